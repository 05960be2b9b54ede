"""Recognition of a frozen visible stream: it repeats one picture while the scene goes on."""

from __future__ import annotations

from typing import Final

from fusion_core.runtime.images import same_image
from fusion_core.types import Frame, FramePair

_REPEATS: Final = 3  # frames of one content that mean a frozen stream; noise differs in each


class FrozenStreamDetector:
    """Finds, pair by pair, a visible stream that repeats a picture while the thermal one changes.

    A slow camera's frame that is paired again is no new frame; streams of codecs that predict
    repeat pictures of a still scene exactly, and are passed over.
    """

    def __init__(self) -> None:
        self._visible: Frame | None = None
        self._thermal: Frame | None = None
        self._identical = 1
        self._moved = False

    def is_frozen(self, pair: FramePair) -> bool:
        """Take the next pair; return whether its visible stream is frozen."""
        visible, before = pair.visible, self._visible
        if visible is None or visible.predicted:
            self._visible, self._identical, self._moved = None, 1, False
            return False
        if pair.thermal is not None:
            previous, self._thermal = self._thermal, pair.thermal
            self._moved |= previous is not None and not same_image(
                previous.image, pair.thermal.image
            )
        if visible is not before:
            self._visible = visible
            if before is None or not same_image(before.image, visible.image):
                self._identical, self._moved = 1, False
            else:
                self._identical += 1
        return self._moved and self._identical >= _REPEATS
