"""The temporal measures of VF-Bench, on videos whose values follow from their definitions."""

import cv2
import numpy as np
import pytest

from fusion_core.errors import EncodingError
from fusion_lab.metrics import VideoMeter


def texture(seed, shape=(96, 128)):
    noise = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.clip(128 + 60 * smooth / smooth.std(), 20, 235).astype(np.uint8)


def measured(fused, first, second):
    meter = VideoMeter()
    for frames in zip(fused, first, second, strict=True):
        meter.update(*frames)
    return meter.result()


def test_a_still_video_has_neither_error_nor_motion():
    picture = texture(0)
    result = measured([picture] * 5, [texture(1)] * 5, [texture(2)] * 5)
    assert result.frames == 3
    assert result.biswe == pytest.approx(0, abs=1e-6)
    assert result.ms2r == pytest.approx(0, abs=1e-6)


def test_flicker_counts_once_for_each_neighbour():
    picture = np.dstack([texture(0)] * 3)
    fused = [picture, picture + np.uint8(8), picture, picture + np.uint8(8), picture]
    still = [picture] * 5
    # 8 levels from the frame before and 8 from the one after; the flow sees no motion in it.
    assert measured(fused, still, still).biswe == pytest.approx(16, rel=0.1)


def test_steady_motion_is_smooth_and_jitter_of_the_fused_video_alone_is_not():
    wide = texture(3, (96, 200))

    def shifted(offsets):
        return [wide[:, 20 + offset : 148 + offset] for offset in offsets]

    steady = shifted([0, 2, 4, 6, 8])
    smooth = measured(steady, steady, steady)
    assert smooth.ms2r == pytest.approx(0, abs=1e-6)
    jitter = measured(shifted([0, 4, 4, 8, 8]), steady, steady)
    # The flow of the fused video changes by 4 px along one of two axes, that of the sources not.
    assert jitter.ms2r == pytest.approx(2, rel=0.25)


def test_too_few_frames_and_other_sizes():
    assert np.isnan(measured([texture(0)] * 2, [texture(0)] * 2, [texture(0)] * 2).biswe)
    with pytest.raises(EncodingError):
        VideoMeter().update(texture(0), texture(0), texture(0, (50, 60)))
