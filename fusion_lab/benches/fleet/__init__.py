"""A fleet of recordings on a Ray cluster that loses a worker and a node."""
