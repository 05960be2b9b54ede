"""Many recordings through the same pipeline: on this machine, or on a Ray cluster.

The unit of work is a whole recording: tracks, the memory bank, gain control, temporal smoothing and
scene priors carry on from frame to frame without end, so that a part of a recording would not give
the results of the whole.
"""
