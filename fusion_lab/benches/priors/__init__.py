"""Accuracy, calibration and cost of the embedded prior provider."""
