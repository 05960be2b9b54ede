"""The ``fusion`` command, one file per verb."""
