"""Small concurrency and bookkeeping pieces that several rooms share."""
