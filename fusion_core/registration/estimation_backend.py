"""Where misalignments are estimated: the interface, and the backend in the caller's thread."""

from __future__ import annotations

from typing import Protocol

from fusion_core.registration.misalignment import (
    EstimationTask,
    MisalignmentEstimate,
    MisalignmentEstimator,
)
from fusion_core.registration.scene_pyramid import ScenePyramid
from fusion_core.registration.settings import RegistrationConfig


class EstimationBackend(Protocol):
    """Takes one pair at a time and returns its estimate, at once or later."""

    @property
    def failed(self) -> bool:
        """Whether nothing is estimated at present."""

    def is_idle(self) -> bool:
        """Return whether a pair can be submitted."""

    def submit_scene(self, scene: ScenePyramid, task: EstimationTask) -> None:
        """Start the estimate of a pair; only while idle."""

    def poll_estimate(self) -> MisalignmentEstimate | None:
        """Return an estimate that is new since the last call, without waiting."""

    def close(self) -> None:
        """Release what is held."""


class InlineBackend:
    """Estimates in the caller's thread, within ``submit_scene``."""

    failed = False

    def __init__(self, config: RegistrationConfig) -> None:
        self._estimator = MisalignmentEstimator(config)
        self._estimate: MisalignmentEstimate | None = None

    def is_idle(self) -> bool:
        """Return True."""
        return True

    def submit_scene(self, scene: ScenePyramid, task: EstimationTask) -> None:
        """Estimate the misalignment of a pair."""
        self._estimate = self._estimator.estimate_misalignment(scene, task)

    def poll_estimate(self) -> MisalignmentEstimate | None:
        """Return the estimate of the last pair, once."""
        estimate, self._estimate = self._estimate, None
        return estimate

    def close(self) -> None:
        """Do nothing."""
