"""Every error that the package raises on purpose, one class per module.

The command line prints the message as one line; its exit code is the class's ``exit_code``.
"""

from __future__ import annotations


class FusionError(Exception):
    """Base of all errors that carry a message for the user."""

    exit_code = 1


class UsageError(FusionError):
    """Wrong usage, whatever the data: an unknown name, key or option."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file or value is malformed, misspelt or out of range."""


class SourceError(FusionError):
    """An input is missing, empty, corrupt or of an unknown kind."""


class EncodingError(SourceError):
    """A frame's pixel encoding or layout is unknown or inconsistent."""


class UnknownEncodingError(EncodingError):
    """Nothing here reads this pixel encoding, codec or way of packing."""


class StackError(FusionError):
    """What pictures of one scene are for, or how they belong together, cannot be told."""


class CalibrationError(FusionError):
    """A rig file is malformed, or does not fit the frames it is used on."""


class WeightsError(FusionError):
    """A weight file is missing, torn, foreign or does not fit the model."""


class TrainingError(FusionError):
    """A training run cannot go on."""


class EngineError(FusionError):
    """A server that runs the networks refuses a request or gives no result."""


class EngineAwayError(EngineError):
    """No server that runs the networks can be reached now."""


class NetworkError(FusionError):
    """A fusion network gives a picture that cannot be used."""


class DetectorError(FusionError):
    """A detector's file is missing, broken or of an unknown output format, or inference fails."""


class MaskError(FusionError):
    """A mask is missing, cannot be read, or does not fit the image."""


class MemoryBankError(FusionError):
    """A memory-bank snapshot is torn, foreign or does not fit the model."""


class SinkError(FusionError):
    """An output cannot be opened or written."""


class ViewError(FusionError):
    """The operator's page cannot be served."""


class MissingExtraError(FusionError):
    """An optional package is needed; the message names the extra that installs it."""


def missing_extra(what: str, package: str, extra: str) -> MissingExtraError:
    """Return the error for a missing package of one of the project's extras.

    Args:
        what: What needs it.
        package: The package, or several.
        extra: Extra of this project that installs it.
    """
    return MissingExtraError(
        f"{what} needs {package}; in your clone of the project run: pip install -e '.[{extra}]'"
    )
