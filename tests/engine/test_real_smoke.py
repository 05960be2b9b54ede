"""Real smoke before a still camera that has seen what is behind it."""

import cv2
import numpy as np
import pytest

from fusion_core.engine.stream_follower import StreamFollower
from fusion_core.engine.temporal_evidence import TemporalEvidence
from fusion_core.models import load_model
from fusion_core.source import open_source
from fusion_core.types import AlignedPair, ScenePrior
from fusion_lab.benches.networks import pair_fuser
from fusion_lab.data import aligned_pair

pytestmark = pytest.mark.data
SMOKE = ScenePrior("", 0, "test", {"smoke": 1.0}, {}, np.zeros((1, 4), np.float32), 1.0)
CLEAR, SMOKY = range(75, 105, 2), range(370, 446)


def luma(picture):
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)


@pytest.fixture(scope="module")
def recording(recordings):
    """Visible RGB and thermal frames of video/0117_1620 of M3SVD: kind -> index -> uint8."""
    folder = recordings / "video" / "0117_1620"
    seen = {"visible": {}, "thermal": {}}
    with open_source(visible=folder / "vi.mp4", thermal=folder / "ir.mp4") as source:
        for frame in source.frames():
            if frame.sequence in CLEAR or frame.sequence in SMOKY:
                seen[frame.modality][frame.sequence] = frame.image
            if min(max(frames, default=0) for frames in seen.values()) == SMOKY[-1]:
                break
    return seen["visible"], seen["thermal"]


def likeness(picture, clear, where):
    """PSNR in dB and correlation of fine detail, where smoke hides and nothing is warm."""
    error = (luma(picture) - clear)[where]
    fine = [p - cv2.GaussianBlur(p, (0, 0), 7) for p in (luma(picture), clear)]
    decibels = 10 * np.log10(255**2 / np.mean(error**2))
    return decibels, np.corrcoef(fine[0][where], fine[1][where])[0, 1]


def test_views_of_the_last_seconds_show_more_of_what_smoke_hides(recording):
    """Nothing of the clear frames enters: the stream begins in smoke."""
    visible, thermal = recording
    clear = np.median([luma(visible[index]) for index in CLEAR], 0).astype(np.float32)
    usual = np.median([thermal[index] for index in CLEAR], 0)
    evidence, follower = TemporalEvidence(), StreamFollower()
    fuse = pair_fuser(load_model("m2pn-edge"), with_prior=False)
    for index in SMOKY:
        heat = thermal[index].astype(np.float32) / 255
        valid = np.ones(heat.shape, bool)
        pair = AlignedPair(10**9 + index * 33_333_333, visible[index], heat, valid)
        found = evidence.clean(follower.step(pair), pair, SMOKE)
    hides = np.abs(cv2.GaussianBlur(luma(visible[index]) - clear, (0, 0), 3)) > 20
    where = hides & (np.abs(thermal[index] - usual) < 12)
    pictures = (visible[index], found)
    fused = [fuse(aligned_pair(p, thermal[index]), None) for p in pictures]
    for before, after in (pictures, fused):
        dull, sharp = (likeness(p, clear, where) for p in (before, after))
        assert sharp[0] > dull[0] + 0.4
        assert sharp[1] > dull[1] + 0.2
