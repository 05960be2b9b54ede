"""Benches: what the project is measured by, each behind ``fusion bench NAME``."""
