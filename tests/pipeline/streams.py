"""Small real sources for pipeline tests."""

import time
from collections import Counter

import cv2
import numpy as np

from fusion_core.errors import SourceError
from fusion_core.runtime.drop_log import DropLog
from fusion_core.sync import CAUSES
from fusion_core.types import Frame

SECOND = 1_000_000_000
H, W = 96, 128


def visible_image(seed, height=H, width=W):
    """Smooth coloured texture that differs from frame to frame."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def thermal_image(seed, height=H, width=W):
    """A warm blob that moves over a cool ground, 8-bit."""
    image = np.full((height, width), 60, np.uint8)
    image[(seed * 3) % (height - 20) :][:20, 40:60] = 220
    image[::7] += np.uint8(seed % 5)
    return image


def visible(stamp_ns, sequence=0, **size):
    return Frame(stamp_ns, "visible", visible_image(sequence, **size), "rgb8", "rgb", sequence)


def thermal(stamp_ns, sequence=0, **size):
    return Frame(stamp_ns, "thermal", thermal_image(sequence, **size), "mono8", "ir", sequence)


def stream(make, hertz, seconds, start_ns=SECOND, phase_ns=0):
    step_ns = round(SECOND / hertz)
    return [make(start_ns + phase_ns + i * step_ns, i) for i in range(round(hertz * seconds))]


def merged(*streams):
    """Frames of several streams by stamp, visible ones first."""
    frames = (frame for one in streams for frame in one)
    return sorted(frames, key=lambda frame: (frame.stamp_ns, frame.modality != "visible"))


PAIR_CAUSES = ("busy", "frozen", "failed", "abandoned")


def assert_accounted(status):
    """After ``close`` nothing waits: frames were used or dropped, pairs fused or dropped."""
    for name in ("visible", "thermal"):
        dropped = status.drops_by_stream[name]
        lost = sum(dropped.get(cause, 0) for cause in CAUSES)
        assert status.read[name] == status.used[name] + lost
    unfused = sum(status.drops.get(cause, 0) for cause in PAIR_CAUSES)
    assert status.pairs == status.fused + unfused
    by_stream = [Counter(dropped) for dropped in status.drops_by_stream.values()]
    assert sum(by_stream, Counter()) == Counter(status.drops)


class ListReader:
    """A live input that gives prepared frames and then nothing."""

    def __init__(self, frames, pace_s=0.0):
        self.name = "list"
        self._pace_s = pace_s
        self.drop_log = DropLog()
        self._frames = list(frames)

    def read(self, timeout_s):
        if self._frames:
            time.sleep(self._pace_s)
            return self._frames.pop(0)
        time.sleep(min(timeout_s, 0.01))
        return None

    def close(self):
        pass


class ListSource:
    """A recorded source that plays prepared frames, and may break at the end."""

    live = False

    def __init__(self, *streams, broken=None):
        self._frames = sorted((f for s in streams for f in s), key=lambda f: f.stamp_ns)
        self._broken = broken
        self.total = None
        self.drop_log = DropLog()
        self.read = Counter()

    def frames(self):
        for frame in self._frames:
            self.read[frame.modality] += 1
            yield frame
        if self._broken:
            raise SourceError(self._broken)

    def close(self):
        pass
