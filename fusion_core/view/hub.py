"""What all viewers of one stream share."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from fusion_core.errors import ConfigError, MaskError
from fusion_core.masks.marks import Marks, Scene
from fusion_core.runtime.process import yield_to_others
from fusion_core.types import FusedFrame
from fusion_core.view.controls import Controls
from fusion_core.view.health import health_lines
from fusion_core.view.pictures import PictureEncoder
from fusion_core.view.recorder import Recorder

if TYPE_CHECKING:
    from fusion_core.view.messages import Change, Mark
    from fusion_core.view.viewer import Viewer

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_STATUS_S: Final = 0.5
_MARKS_S: Final = 0.1  # how often marked objects are followed; well below any useful mask.hold_s


class Hub:
    """The newest result, the marks, the recording, and who looks.

    Except for :meth:`show` all methods are called from the event loop's thread. What may take its
    time runs in three threads: one encodes pictures, one carries out what viewers ask for, and one
    keeps marks and state up to date meanwhile.

    Args:
        controls: What steers the stream.
        recorder: Records it.

    Attributes:
        newest: The newest result, None before the first.
        viewers: Who looks.
        encoder: Of the pictures; for the encoding thread only.
    """

    def __init__(self, controls: Controls, recorder: Recorder) -> None:
        self.newest: FusedFrame | None = None
        self.viewers: set[Viewer] = set()
        self.encoder = PictureEncoder()
        self.controls = controls
        self.recorder = recorder
        self.marks = Marks()
        self.registered = True
        self._marked = False
        self._newest_at: float | None = None
        self._encoding = ThreadPoolExecutor(1, "view-encoder", yield_to_others)
        self._working = ThreadPoolExecutor(1, "view-worker")
        self._commands = ThreadPoolExecutor(1, "view-commands")
        self._loop: asyncio.AbstractEventLoop | None = None

    def show(self, fused: FusedFrame) -> None:
        """Take a result, from the thread that fuses; returns at once."""
        self.newest, self._newest_at = fused, time.monotonic()
        self.recorder.offer(fused)
        if self.viewers and self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._wake)
            except RuntimeError:
                self._loop = None  # the page is being closed

    async def run(self) -> None:
        """Keep viewers and marks up to date until cancelled."""
        self._loop = asyncio.get_running_loop()
        due = 0.0
        while True:
            await asyncio.sleep(_MARKS_S)
            try:
                if self.marks or self._marked:
                    await self._run_command(self._submit_marks)
                if self.viewers and time.monotonic() >= due:
                    due = time.monotonic() + _STATUS_S
                    await self.tell_status()
            except Exception:  # noqa: BLE001 - the page outlives what it cannot show
                _log.exception("the page's state could not be brought up to date")

    async def encode(self, make: Callable[[], bytes]) -> bytes:
        """Run in the encoding thread."""
        return await asyncio.get_running_loop().run_in_executor(self._encoding, make)

    async def work(self, act: Callable[[], _T]) -> _T:
        """Run in the thread that carries out what viewers ask for, one after the other."""
        return await asyncio.get_running_loop().run_in_executor(self._working, act)

    async def tell_status(self) -> None:
        """Give every viewer the newest state."""
        status = await self._run_command(self._status)
        for viewer in tuple(self.viewers):
            viewer.tell_status(status)

    def mark(self, message: Mark) -> None:
        """Mark what a viewer wants marked.

        Raises:
            MaskError: The model takes no mask, or nothing can be marked there.
        """
        if not self.controls.status().mask:
            model = self.controls.status().model
            raise MaskError(f"model {model!r} takes no marks: choose ctrlfuse in the settings")
        if message.area is not None:
            self.marks.add_area(message.area)
        elif message.point is not None and self.newest is not None:
            self.marks.add_point(message.point, _scene_of(self.newest))

    def change(self, message: Change) -> None:
        """Change a setting to a value that the page offers.

        Raises:
            FusionError: It offers no such setting or value, or the stream refuses it.
        """
        offered = {setting.name: setting for setting in self.controls.live_settings()}
        setting = offered.get(message.name)
        if setting is None or (setting.choices and message.value not in setting.choices):
            raise ConfigError(f"{message.name} = {message.value!r}: not offered by this page")
        self.controls.change({message.name: message.value})

    def close(self) -> None:
        """End the threads, and withdraw what is marked."""
        self._loop = None
        if self._marked:
            self.controls.submit_mask(None)
        for pool in (self._encoding, self._working, self._commands):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _run_command(self, act: Callable[[], _T]) -> _T:
        """Run in the thread that nothing holds up for long, as the loading of a model would."""
        return await asyncio.get_running_loop().run_in_executor(self._commands, act)

    def _wake(self) -> None:
        for viewer in tuple(self.viewers):
            viewer.wake()

    def _submit_marks(self) -> None:
        """Keep what is marked in force while somebody looks who can take it back."""
        fused, wanted = self.newest, bool(self.marks and self.viewers)
        if wanted and fused is not None:
            scene = _scene_of(fused)
            self.marks.follow(scene)
            boxes = bool(self.controls.status().mask.get("boxes"))
            self.controls.submit_mask(self.marks.mask(scene, boxes=boxes).astype(np.uint8))
        elif self._marked:
            self.controls.submit_mask(None)
        self._marked = wanted

    def _status(self) -> dict[str, Any]:
        status = self.controls.status()
        self.registered = not status.calibration and not status.registration
        newest = self.newest
        age_s = None if self._newest_at is None else time.monotonic() - self._newest_at
        return {
            "kind": "status",
            "model": status.model,
            "device": status.device,
            "rates": dict(status.rates_hz),
            "latency_ms": status.latency_ms.get("total", {}).get("p50"),
            "drops": dict(status.drops),
            "health": health_lines(newest.health if newest else (), status, age_s),
            "marks": self.marks.listed() if status.mask else None,
            "text": status.text,
            "recording": self.recorder.state(),
            "viewers": len(self.viewers),
            "settings": [asdict(setting) for setting in self.controls.live_settings()],
        }


def _scene_of(fused: FusedFrame) -> Scene:
    height, width = fused.image.shape[:2]
    return Scene(height, width, fused.aligned.thermal, fused.detections)
