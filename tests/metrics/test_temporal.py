"""Stability of streams whose motion, noise and flicker are known."""

import math

import cv2
import numpy as np
import pytest

from fusion_core.errors import EncodingError
from fusion_lab.metrics import TemporalMeter


def world(seed, shape=(160, 260)):
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4.0)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return np.round(30 + 190 * smooth).astype(np.uint8)


def still_sources():
    return world(1)[:, :192], world(2)[:, :192]


def panned(image, frame, speed=4):
    return np.ascontiguousarray(image[:, frame * speed : frame * speed + 192])


def test_a_pan_that_all_streams_share_costs_nothing():
    meter = TemporalMeter()
    moving = [world(1), world(2), world(3)]
    for frame in range(5):
        meter.update(*(panned(image, frame) for image in moving))
    result = meter.result()
    unaligned = np.std(panned(moving[0], 1).astype(float) - panned(moving[0], 0))
    assert result.frames == 5
    # The flow is found on the mean of the second and third stream; what is left is its error.
    assert result.warping_error.fused < 0.15 * unaligned
    assert result.warping_error.visible < 0.15 * unaligned


def test_noise_of_the_fused_stream_is_its_warping_error():
    rng = np.random.default_rng(0)
    visible, thermal = still_sources()
    meter = TemporalMeter()
    for _ in range(6):
        fused = np.clip(visible + rng.normal(0, 5, visible.shape), 0, 255).round()
        meter.update(fused.astype(np.uint8), visible, thermal)
    result = meter.result()
    # Two independent noises of sigma 5; rounding adds 1/12 each.
    assert result.warping_error.fused == pytest.approx(math.sqrt(2 * (25 + 1 / 12)), rel=0.03)
    assert result.warping_error.visible == pytest.approx(0.0, abs=1e-3)
    assert math.isnan(result.warping_error.ratio)


def test_convention_streams_are_moved_from_the_previous_frame_to_the_current():
    # Moved the wrong way, a pan doubles the misalignment instead of removing it. The texture is
    # finer along x, so the sign of x and not of y decides.
    meter = TemporalMeter()
    image = world(4)
    for frame in range(2):
        view = panned(image, frame, speed=6)
        meter.update(view, view, view)
    doubled = np.std(panned(image, 2, 6).astype(float) - panned(image, 0, 6))
    assert meter.result().warping_error.fused < 0.1 * doubled


def test_background_uncovered_by_a_moving_object_is_not_counted():
    background, thing = world(1)[:, :192], world(7)[:64, :64]
    meter = TemporalMeter()
    for frame in range(3):
        view = background.copy()
        left = 40 + 10 * frame
        view[48:112, left : left + 64] = thing
        meter.update(view, view, view)
    uncovered = background[48:112, 40:50].astype(float) - thing[:, :10]
    counted = math.sqrt(np.sum(uncovered**2) / background.size)
    assert meter.result().warping_error.fused < 0.6 * counted


def test_flicker_of_a_still_scene_is_the_size_of_its_steps():
    visible, thermal = still_sources()
    base = visible // 2 + 20
    meter = TemporalMeter()
    for frame in range(5):
        meter.update(base + np.uint8(8 * (frame % 2)), visible, thermal)
    result = meter.result()
    assert result.static_share == 1.0
    # Steps +8 -8 +8 -8 of every cell
    assert result.flicker.fused == pytest.approx(8.0)
    assert result.flicker.visible == 0.0


def test_a_slow_common_drift_is_no_flicker():
    visible, thermal = still_sources()
    meter = TemporalMeter()
    for frame in range(5):
        meter.update(visible // 2 + np.uint8(3 * frame), visible, thermal)
    assert meter.result().flicker.fused == pytest.approx(0.0, abs=1e-9)


def test_what_moves_in_one_source_is_not_static():
    visible, thermal = still_sources()
    changed = thermal.copy()
    changed[:64, :64] = 255 - changed[:64, :64]
    meter = TemporalMeter()
    meter.update(visible, visible, thermal)
    meter.update(visible, visible, changed)
    # 5 x 6 cells of 32 pixels, of which 2 x 2 changed; the blur reaches into their 5 neighbours.
    assert 21 / 30 <= meter.result().static_share <= 26 / 30


def test_nothing_static_gives_no_flicker_value():
    rng = np.random.default_rng(0)
    meter = TemporalMeter()
    for _ in range(3):
        frame = np.full((64, 64), rng.integers(0, 255), np.uint8)
        meter.update(frame, frame, frame)
    assert meter.result().static_share == 0.0
    assert math.isnan(meter.result().flicker.fused)


def test_ratio_compares_with_the_less_stable_source():
    rng = np.random.default_rng(0)
    visible, thermal = still_sources()

    def noisy(image, sigma):
        return np.clip(image + rng.normal(0, sigma, image.shape), 0, 255).astype(np.uint8)

    meter = TemporalMeter()
    for _ in range(4):
        meter.update(noisy(visible, 6), noisy(visible, 3), noisy(thermal, 2))
    assert meter.result().warping_error.ratio == pytest.approx(2.0, rel=0.1)


def test_colour_frames_are_scored_as_gray():
    visible, thermal = still_sources()
    gray, colour = TemporalMeter(), TemporalMeter()
    for _ in range(2):
        gray.update(visible, visible, thermal)
        colour.update(np.dstack([visible] * 3), np.dstack([visible] * 3), thermal)
    assert gray.result() == colour.result()


def test_no_values_before_the_second_frame():
    meter = TemporalMeter()
    meter.update(*(world(1),) * 3)
    result = meter.result()
    assert result.frames == 1
    assert math.isnan(result.warping_error.fused)
    assert math.isnan(result.static_share)


def test_a_stream_that_changes_size_is_refused():
    meter = TemporalMeter()
    meter.update(*(world(1),) * 3)
    with pytest.raises(EncodingError, match="260x160"):
        meter.update(*(world(1)[:100],) * 3)
