"""Two small cameras, a real pipeline that fuses them live, and the page of it."""

import itertools
import threading
import time

import cv2
import numpy as np

from fusion_core.config import Config
from fusion_core.pipeline import Pipeline
from fusion_core.types import Frame
from fusion_core.view import open_page

H, W = 96, 128
GROUND_C, BODY_C = 20.0, 36.5
# The warm body: rows and columns; the middle of the picture lies in it.
BODY = (slice(36, 60), slice(52, 76))
# Nothing here depends on the frame before, so that equal inputs give equal pictures.
STILL = {
    "temporal_smoothing": 0.0,
    "thermal": {"freeze_frames": 0, "dead_pixels": False, "unit": "kelvin", "scale": 0.01},
    "mask": {"source": "none"},
}
_LONGEST_S = 90.0


def wait_for(condition, what):
    """Wait until a condition holds and return its value."""
    end = time.monotonic() + _LONGEST_S
    while not (value := condition()):
        assert time.monotonic() < end, f"waited without {what}"
        time.sleep(0.02)
    return value


def counts(celsius):
    """Return the counts of a camera of 100 counts per kelvin."""
    return round((celsius + 273.15) * 100)


class LiveStream:
    """A stream that goes on until it is closed.

    Args:
        folder: Where recordings go.
        moving: Whether a bright bar wanders through the colour picture.
        radiometric: Whether counts mean temperatures.
        view: Settings of the page.
        settings: Of the pipeline.
    """

    def __init__(self, folder, *, moving=False, radiometric=True, view=None, **settings):
        thermal = STILL["thermal"] | ({} if radiometric else {"unit": "none"})
        base = {"device": "cpu", "prior": "none", "detector": "none", "threads": 1}
        page = {"serve": True, "port": 0, "folder": str(folder / "recordings")} | (view or {})
        merged = {**STILL, "thermal": thermal, **base, **settings, "view": page}
        self.config = Config.from_dict(merged)
        self.pipeline = Pipeline(self.config)
        self.moving = moving
        self.paused = threading.Event()
        self.frames = 0
        self._ended = threading.Event()
        self._background = cv2.resize(
            np.random.default_rng(1).integers(0, 200, (12, 16, 3), np.uint8), (W, H)
        )
        self.page = None
        self.serve()
        self.pipeline.start(self._on_fused)
        self._cameras = threading.Thread(target=self._film, daemon=True)
        self._cameras.start()

    @property
    def url(self):
        return self.page.url

    @property
    def port(self):
        return int(self.url.split(":")[2].split("/")[0])

    def serve(self, port=0):
        """Serve the page."""
        view = Config.from_dict({"view": self.config.to_dict()["view"] | {"port": port}}).view
        self.page = open_page(view, self.pipeline)

    def newest(self):
        """Return the next result that is fused from now on."""
        before = self.frames
        wait_for(lambda: self.frames >= before + 2, "a result")
        return self.last

    def close(self):
        self._ended.set()
        self._cameras.join(30)
        if self.page is not None:
            self.page.close()
        self.pipeline.close()

    def _on_fused(self, fused):
        self.last = fused
        self.frames += 1
        if self.page is not None:
            self.page.show(fused)

    def _film(self):
        for index in itertools.count():
            if self._ended.wait(0.05):
                return
            if self.paused.is_set():
                continue
            stamp = (index + 1) * 50_000_000
            visible, thermal = self._background.copy(), np.full((H, W), counts(GROUND_C), np.uint16)
            thermal[BODY] = counts(BODY_C)
            if self.moving:
                visible[:, 4 * index % W :][:, :16] = 255
            self.pipeline.submit(Frame(stamp, "visible", visible, "rgb8", sequence=index))
            self.pipeline.submit(Frame(stamp, "thermal", thermal, "mono16", sequence=index))
