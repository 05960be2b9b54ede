"""From one scene prior to the next without a jump."""

from __future__ import annotations

import numpy as np

from fusion_core.types import FloatImage, ScenePrior


class PriorFade:
    """Moves the tokens that a network sees from a prior's to the next one's, frame by frame.

    Without it a refreshed prior shows as a jump of the whole picture. The first prior, that of
    another scene, and one of another shape count at once: tokens of two scenes are never mixed.

    Args:
        frames: Frames from one prior to the next, at least 1.
    """

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self.restart()

    def restart(self) -> None:
        """Let the next prior be the first one."""
        self._prior: ScenePrior | None = None
        self._left = 0
        self._shown: FloatImage | None = None

    def step(self, prior: ScenePrior) -> FloatImage:
        """Return the ``SxC`` tokens for the next frame."""
        target = prior.tokens
        before = self._prior
        if (
            before is None
            or before.scene_id != prior.scene_id
            or before.tokens.shape != target.shape
        ):
            self._left = 0
        elif prior is not before:
            self._left = self._frames
        self._prior = prior
        if self._left <= 1 or self._shown is None:
            self._left, self._shown = 0, target
        else:
            # The same step every frame: the rest of the way over the rest of the frames.
            step = (target - self._shown) / np.float32(self._left)
            self._left, self._shown = self._left - 1, self._shown + step
        return self._shown
