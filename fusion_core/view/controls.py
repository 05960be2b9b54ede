"""What the page asks of the stream that it shows: a pipeline, or a node around one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fusion_core.runtime.live_setting import LiveSetting, Scalar
from fusion_core.types import UInt8Image


class Status(Protocol):
    """Counters and state of a stream; see ``PipelineStatus``."""

    @property
    def rates_hz(self) -> Mapping[str, float]:
        """Events per second: ``visible``, ``thermal``, ``fused``."""

    @property
    def drops(self) -> Mapping[str, int]:
        """What was dropped, by cause."""

    @property
    def latency_ms(self) -> Mapping[str, Mapping[str, float]]:
        """Stage -> rank -> milliseconds."""

    @property
    def model(self) -> str:
        """Name of the network."""

    @property
    def device(self) -> str:
        """Where it runs."""

    @property
    def calibration(self) -> str:
        """Rig file, empty without one."""

    @property
    def registration(self) -> Mapping[str, Any]:
        """Refinement of the calibration, empty where it is off."""

    @property
    def mask(self) -> Mapping[str, Any]:
        """Where masks come from; empty for a model that takes none."""

    @property
    def text(self) -> str | None:
        """The text in force; None for a model that reads none."""

    @property
    def last_error(self) -> str:
        """Newest error that did not end the stream."""


class Controls(Protocol):
    """What an operator may see and do; every method may be called from any thread."""

    def status(self) -> Status:
        """Return counters and state."""

    def live_settings(self) -> Sequence[LiveSetting]:
        """Return what may be changed, with the values in force."""

    def change(self, changes: Mapping[str, Scalar]) -> None:
        """Change settings.

        Raises:
            FusionError: One is refused; nothing has changed.
        """

    def submit_mask(self, mask: UInt8Image | None) -> None:
        """Mark what matters, ``HxW``; None: as the settings have it."""

    def submit_text(self, text: str) -> None:
        """Describe the results that are wanted; empty: no text."""
