"""Restoring while fusing, compared with fusing alone and with restoring first."""
