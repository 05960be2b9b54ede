"""What is kept of one stream, from its first frame or its last cut on."""

from __future__ import annotations

from typing import Final

from fusion_core.models.stream import StreamState
from fusion_core.priors.change import CutDetector
from fusion_core.types import AlignedPair

_CUT: Final = 0.1  # share of its range that a histogram moves when the scene is another one


class StreamFollower:
    """Counts the time between the frames of a stream, by their stamps, and notices cuts.

    At a cut, where the clock does not go forward, and for pictures of another size everything
    begins anew.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Let the next frame be the first one."""
        self._state = StreamState()
        self._cuts = CutDetector(_CUT)
        self._stamp_ns: int | None = None
        self._shape: tuple[int, ...] = ()

    def step(self, pair: AlignedPair) -> StreamState:
        """Return what is kept, for the next frame."""
        before, shape = self._stamp_ns, self._shape
        self._stamp_ns, self._shape = pair.stamp_ns, pair.valid.shape
        cut = self._cuts.observe(pair)
        if cut or before is None or pair.stamp_ns <= before or shape != self._shape:
            self._state.forget()
        else:
            self._state.advance((pair.stamp_ns - before) / 1e9)
        return self._state
