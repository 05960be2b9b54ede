"""MMAIF: a latent transformer that fuses and restores as a sentence says."""
