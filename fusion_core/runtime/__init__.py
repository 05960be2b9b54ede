"""Small pieces for threads, files and counters that several modules share."""
