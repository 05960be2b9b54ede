"""Errors and cost of registration: known deformations, known homographies, streams."""
