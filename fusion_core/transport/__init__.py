"""How images travel: pixel layouts of messages and files, and a wire format over ZeroMQ."""
