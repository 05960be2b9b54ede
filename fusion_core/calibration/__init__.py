"""Calibration of a rig from recordings, and its import from other tools' files."""
