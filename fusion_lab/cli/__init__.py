"""The verbs of the laboratory, one file each."""
