"""What was seen of a place comes back where smoke, darkness or glare hide it now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.runtime.closable import Closable
from fusion_core.runtime.process import yield_to_others
from fusion_core.runtime.timed_call import RECORDED_TIMEOUT_S, Call, TimedCaller
from fusion_core.scene_memory.detail import blurred
from fusion_core.scene_memory.matching import Shift, shifted
from fusion_core.scene_memory.place import Place, blend, reduced
from fusion_core.scene_memory.settings import SceneMemoryConfig
from fusion_core.scene_memory.snapshot import pack_places, read_places, write_places
from fusion_core.types import AlignedPair, Box, FloatImage, Recalled, UInt8Image

_NS: Final = 1_000_000_000
# Reduced images with a shorter side than this have too few parts to compare.
_SMALLEST: Final = 60
# A new place is remembered once the camera has stood still for so many frames.
_STANDING: Final = 10
_OTHERS_EVERY: Final = 3
# While nothing is hidden, every so many frames are looked at, beside the fusion; as many are
# learned from.
_EVERY: Final = 3
# Share of the picture that a veil hides at least; it counts in full from twice as much.
_LEAST_SHARE: Final = 0.01
# An object reaches so many box widths from the centre of its box; beyond, what is recalled rises
# over some reduced pixels.
_REACH: Final = 0.6
_SOFT: Final = 6.0
_TINT: Final = (255, 160, 0)
_TINT_SHARE: Final = 0.3


@dataclass(frozen=True, slots=True)
class SceneMemoryStatus:
    """State of a scene memory.

    Attributes:
        places: Places remembered.
        place: Number of the place the camera sees, None at none of them.
        share: Share of the newest picture that was recalled, in [0, 1].
        age_s: Mean age of what was recalled in seconds, None where nothing was.
        recalled: Pictures of which something was recalled, so far.
    """

    places: int
    place: int | None
    share: float
    age_s: float | None
    recalled: int


@dataclass(frozen=True, slots=True)
class _Remembered:
    """What a place has to show, on the grid of the present picture.

    Attributes:
        weight: ``hxw`` in [0, 1]: where the present hides what is remembered.
        place: The place.
        way: x and y by which the view has moved since, in pixels of the picture.
        age_ns: ``hxw``, how long ago it was seen, in nanoseconds.
    """

    weight: FloatImage
    place: Place
    way: Shift
    age_ns: NDArray[np.int64]

    @property
    def view(self) -> UInt8Image:
        """What was seen there, ``HxWx3`` uint8 RGB."""
        return shifted(self.place.visible, *self.way) if any(self.way) else self.place.visible


class SceneMemory(Closable):
    """Remembers places and completes the visible image of a pair by what hides there now.

    A place is the view of a camera that stands, or returns to where it stood: it is recognised by
    its thermal image, which smoke, darkness and glare leave as it is, and followed when it moves by
    some pixels. A pixel is recalled only where the detail that was seen there has vanished from
    the visible image, the thermal image is as it was, the visible image shows nothing of its own,
    and no object was detected. What is recalled is given with a weight, and fades with its age.

    Args:
        config: Its settings.
    """

    def __init__(self, config: SceneMemoryConfig) -> None:
        self._config = config
        self._places: list[Place] = []
        self._here: Place | None = None
        self._standing = 0
        self._waiting: Place | None = None
        self._frames = 0
        self._recalled_frames = 0
        self._newest: Recalled | None = None
        self._hiding = True
        self._caller = TimedCaller("scene-memory")
        self._beside: Call[_Remembered | None] | None = None
        self._later: Callable[[], _Remembered | None] | None = None
        self.revision = 0
        self._lock = threading.Lock()

    def recall(
        self, aligned: AlignedPair, objects: Sequence[Box] = (), *, live: bool = False
    ) -> tuple[AlignedPair, Recalled | None]:
        """Return the pair with its visible image completed, and what was recalled.

        Args:
            aligned: The pair; one that lacks an image, or is very small, is returned as it is.
            objects: Boxes of the newest detections, where nothing is recalled.
            live: Newer pairs come whatever happens: while nothing is hidden none waits for a look,
                which begins with :meth:`rest`.
        """
        self._newest, self._later = None, None
        if aligned.visible is None or aligned.thermal is None:
            return aligned, None
        thermal = reduced(aligned.thermal)
        if min(thermal.shape) < _SMALLEST:
            return aligned, None
        self._frames += 1
        looks = self._looks_beside(wait=not live)
        if looks or not self._hiding:
            if not looks and self._frames % _EVERY == 0:
                self._later = partial(self._hidden, aligned, thermal, objects, self._frames)
            if not live:
                self._look_beside()
            return aligned, None
        found = self._hidden(aligned, thermal, objects, self._frames)
        if found is None:
            return aligned, None
        weight = found.weight
        veil = float(weight.mean())
        if veil <= _LEAST_SHARE:
            return aligned, None
        # A copy: the place goes on from its own weights.
        weight = weight * np.float32(np.clip(veil / _LEAST_SHARE - 1, 0.0, 1.0))
        self._recalled_frames += 1
        age_s = float((found.age_ns * weight).sum() / weight.sum()) / _NS
        levels = (255 * weight + 0.5).astype(np.uint8)
        full = cv2.resize(levels, aligned.visible.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        self._newest = Recalled(full.astype(np.uint8, copy=False), float(weight.mean()), age_s)
        mixed = blend(aligned.visible, found.view, weight)
        return replace(aligned, visible=mixed), self._newest

    def rest(self) -> None:
        """Look at the live pair that is due: its frame is on its way, the next one has not come."""
        self._look_beside(yielding=True)

    def tint(self, image: UInt8Image, recalled: Recalled | None) -> UInt8Image:
        """Return a fused picture with what is recalled coloured, where the settings ask for it."""
        if recalled is None or not self._config.tint:
            return image
        colour = np.full_like(image, _TINT)
        return blend(image, colour, _TINT_SHARE / 255 * recalled.weight.astype(np.float32))

    def status(self) -> SceneMemoryStatus:
        """Return its state; callable from any thread."""
        with self._lock:
            here = next((i for i, p in enumerate(self._places) if p is self._here), None)
            newest = self._newest
            return SceneMemoryStatus(
                places=len(self._places),
                place=here,
                share=newest.share if newest else 0.0,
                age_s=newest.age_s if newest else None,
                recalled=self._recalled_frames,
            )

    def reset(self) -> None:
        """Forget every place."""
        with self._lock:
            self._places.clear()
            self._here = self._waiting = None
            self._standing = 0
            self.revision += 1

    def close(self) -> None:
        """End the thread of its looks."""
        self._caller.close()

    def load_snapshot(self, path: str | Path) -> None:
        """Replace the places by those of a file.

        Raises:
            MemoryBankError: The file is missing, torn or foreign.
        """
        places = read_places(path)
        with self._lock:
            self._places = places[: self._config.places]
            self._here = None

    def save_snapshot(self, path: str | Path) -> None:
        """Write all places to a file; it is either whole or as it was.

        Raises:
            OSError: The file cannot be written.
        """
        with self._lock:
            packed = pack_places(self._places)
        write_places(path, packed)

    def _hidden(
        self, aligned: AlignedPair, thermal: FloatImage, objects: Sequence[Box], number: int
    ) -> _Remembered | None:
        """Return what is remembered and hidden now, but for objects; note whether anything is."""
        assert aligned.visible is not None, "both sides are there"
        with self._lock:
            found = self._look(aligned.visible, thermal, aligned.stamp_ns, number)
        if found is None:
            return None
        weight = _without(found.weight, objects, aligned.visible.shape)
        self._hiding = float(weight.mean()) > _LEAST_SHARE
        return replace(found, weight=weight)

    def _look_beside(self, *, yielding: bool = False) -> None:
        """Look beside what comes next, where a look is due: nothing was hidden, no frame needs it.

        Args:
            yielding: Give way to all other threads.
        """
        look, self._later = self._later, None
        if look is None:
            return

        def give_way() -> _Remembered | None:
            yield_to_others()
            return look()

        self._beside = self._caller.start(give_way if yielding else look)

    def _looks_beside(self, *, wait: bool) -> bool:
        """Return whether the look beside an earlier frame goes on; it tells what is hidden.

        Args:
            wait: Wait for its end.
        """
        look = self._beside
        if look is None or not (wait or look.done):
            return look is not None
        self._beside = None
        look.wait(RECORDED_TIMEOUT_S)
        look.result()
        return False

    def _look(
        self, visible: UInt8Image, thermal: FloatImage, stamp_ns: int, number: int
    ) -> _Remembered | None:
        """Return what is remembered of the place that the camera sees, None at no place."""
        place, shift = self._find(thermal, number)
        if place is None or shift is None:
            self._arrive(visible, thermal, stamp_ns)
            return None
        self._here, self._waiting, self._standing = place, None, 0
        place.resume(stamp_ns)
        x, y = shift
        scale = visible.shape[1] / thermal.shape[1]
        moved = bool(x or y)
        if moved:
            visible = shifted(visible, -x * scale, -y * scale)
            thermal = shifted(thermal, -x, -y)
        max_age_ns = self._config.max_age_s * _NS
        look = place.look(visible, thermal, stamp_ns, max_age_ns)
        if not moved and number % _EVERY == 0:
            place.learn(visible, thermal, look)
        self.revision += 1
        age_ns = stamp_ns - place.seen_ns
        if not moved:
            return _Remembered(look.weight, place, (0.0, 0.0), age_ns)
        inside = shifted(np.ones_like(look.weight), x, y, border=0.0)
        return _Remembered(
            weight=shifted(look.weight, x, y) * (inside == 1),
            place=place,
            way=(x * scale, y * scale),
            age_ns=age_ns,
        )

    def _find(self, thermal: FloatImage, number: int) -> tuple[Place | None, Shift | None]:
        """Return the place that the thermal image shows and how far the view has moved."""
        if self._here is not None:
            shift = self._here.shift_to(thermal)
            if shift is not None:
                return self._here, shift
        if self._here is None and number % _OTHERS_EVERY:
            return None, None
        self._here = None
        for place in self._places:
            shift = place.shift_to(thermal)
            if shift is not None:
                return place, shift
        return None, None

    def _arrive(self, visible: UInt8Image, thermal: FloatImage, stamp_ns: int) -> None:
        """Remember a new place once the camera stands, or the first one at once."""
        still = self._waiting is not None and self._waiting.shift_to(thermal) == (0.0, 0.0)
        self._standing = self._standing + 1 if still else 0
        if self._places and self._standing < _STANDING:
            if not still:
                self._waiting = Place.first_view(visible, thermal, stamp_ns)
            return
        if len(self._places) >= self._config.places:
            self._places.remove(min(self._places, key=lambda place: place.last_ns))
        self._here = Place.first_view(visible, thermal, stamp_ns)
        self._places.append(self._here)
        self._waiting, self._standing = None, 0
        self.revision += 1


def _without(weight: FloatImage, objects: Sequence[Box], shape: tuple[int, ...]) -> FloatImage:
    """Return the weights with nothing on objects, by the ellipses about their boxes."""
    if not objects:
        return weight
    scale_x, scale_y = weight.shape[1] / shape[1], weight.shape[0] / shape[0]
    free = np.ones_like(weight)
    for x, y, width, height in objects:
        centre = round((x + width / 2) * scale_x), round((y + height / 2) * scale_y)
        axes = round(_REACH * width * scale_x), round(_REACH * height * scale_y)
        cv2.ellipse(free, centre, axes, 0, 0, 360, 0.0, -1)
    return weight * np.minimum(free, blurred(free, _SOFT))
