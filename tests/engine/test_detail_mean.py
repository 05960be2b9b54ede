"""Detail behind drifting smoke gathers where nothing moves, and people neither smear nor vanish."""

import cv2
import numpy as np
import pytest

from fusion_core.engine.detail_mean import DetailMean
from fusion_core.engine.stillness import cells
from fusion_core.engine.temporal_evidence import TemporalEvidence
from fusion_core.types import AlignedPair, ScenePrior

SHAPE = (96, 128)
STEP_NS = 33_333_333
SMOKE = ScenePrior("", 0, "test", {"smoke": 1.0}, {}, np.zeros((1, 4), np.float32), 1.0)


@pytest.fixture(scope="module")
def wall():
    """A wall with fine texture, and its temperature."""
    rng = np.random.default_rng(0)
    small = rng.integers(90, 150, (*(side // 2 for side in SHAPE), 3), np.uint8)
    visible = cv2.resize(small, SHAPE[::-1], interpolation=cv2.INTER_CUBIC)
    heat = cv2.resize(rng.random((12, 16), np.float32) * 0.4, SHAPE[::-1])
    return visible, heat


def smoky(visible, frame):
    """A fifth of the contrast, a veil that drifts in brightness, and a camera's noise."""
    rng = np.random.default_rng((1, frame))
    veil = 150 + 20 * np.sin(frame / 5)
    picture = 0.2 * visible + 0.8 * veil + rng.normal(0, 4, visible.shape)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def likeness(picture, reference):
    """Correlation of what differs from the brightness around."""
    both = (side.astype(np.float32) for side in (picture, reference))
    fine = [side - cv2.GaussianBlur(side, (0, 0), 5) for side in both]
    return np.corrcoef(fine[0].ravel(), fine[1].ravel())[0, 1]


def test_detail_of_twenty_frames_is_more_like_the_wall_and_as_bright_as_the_newest(wall):
    visible, heat = wall
    mean = DetailMean()
    for frame in range(25):
        now = smoky(visible, frame)
        found = mean.step(now, cells(heat))
    assert likeness(found, visible) > likeness(now, visible) + 0.2
    assert abs(float(found.mean()) - float(now.mean())) < 0.5


def test_the_mean_of_three_frames_is_that_of_numpy(wall):
    visible, heat = wall
    frames = [smoky(visible, frame) for frame in range(3)]
    mean = DetailMean()
    for now in frames:
        found = mean.step(now, cells(heat))
    plain = np.mean([f - f.mean((0, 1)) for f in frames], axis=0) + frames[-1].mean((0, 1))
    middle = np.s_[16:-16, 16:-16]
    assert likeness(found[middle], plain[middle]) > 0.97


def test_a_warm_body_that_steps_in_is_there_at_once_and_gone_at_once(wall):
    visible, heat = wall
    body = np.s_[30:70, 50:74]
    mean = DetailMean()
    for frame in range(30):
        now, warm = smoky(visible, frame), heat.copy()
        if 20 <= frame < 25:
            now[body], warm[body] = 40, 0.9
        found = mean.step(now, cells(warm))
        if frame == 20:
            assert np.abs(found[body].astype(int) - 40).max() <= 2
        if frame == 25:
            assert np.abs(found[body].astype(int) - now[body]).max() <= 2


def contrast(picture, reference):
    """How much of the reference's fine detail a picture shows: the slope of the regression."""
    both = (side.astype(np.float32) for side in (picture, reference))
    fine = [side - cv2.GaussianBlur(side, (0, 0), 5) for side in both]
    return float((fine[0] * fine[1]).sum() / np.square(fine[1]).sum())


def test_a_fifth_of_the_contrast_is_raised_to_four_fifths_and_no_more(wall):
    """Koschmieder's law: transmission .2, of which four times is .8."""
    visible, heat = wall
    mean = DetailMean()
    for frame in range(25):
        now = smoky(visible, frame)
        found = mean.step(now, cells(heat))
    assert contrast(now, visible) == pytest.approx(0.2, abs=0.02)
    assert contrast(found, visible) == pytest.approx(0.8, abs=0.1)


def test_contrast_that_is_not_faint_stays(wall):
    _, heat = wall
    board = np.kron(np.indices((12, 16)).sum(0) % 2, np.ones((8, 8)))[..., None].repeat(3, 2)
    board = (80 + 90 * board).astype(np.uint8)  # a deviation of 45
    mean = DetailMean()
    for _ in range(25):
        found = mean.step(board, cells(heat))
    assert contrast(found, board) == pytest.approx(1, abs=0.02)


def stream(wall, pan):
    """What temporal evidence makes of thirty frames of a camera that pans by so many pixels."""
    visible, heat = (np.tile(side, (2, 3) if side.ndim == 2 else (2, 3, 1)) for side in wall)
    evidence = TemporalEvidence()
    for frame in range(30):
        view = np.s_[: SHAPE[0], pan * frame : pan * frame + SHAPE[1]]
        clean = np.ascontiguousarray(visible[view])
        now, sensor = smoky(clean, frame), np.random.default_rng((2, frame))
        warmth = heat[view] + sensor.normal(0, 0.002, SHAPE).astype(np.float32)
        pair = AlignedPair(10**9 + frame * STEP_NS, now, warmth, np.ones(SHAPE, bool))
        found = evidence.clean(pair, SMOKE)
    return clean, now, found


def test_streams_of_a_still_camera_get_it_and_a_moving_one_does_not_smear(wall):
    clean, now, found = stream(wall, 0)
    assert likeness(found, clean) > likeness(now, clean) + 0.2
    clean, now, found = stream(wall, 3)
    assert likeness(found, clean) > likeness(now, clean) - 0.02
