"""Results in the viewers that robot people have: Rerun and Foxglove, live and as recordings."""
