"""Fusing as a sentence asks: three tasks, degraded, against restoring first."""
