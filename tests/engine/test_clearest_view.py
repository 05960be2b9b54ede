"""Views behind drifting smoke gather where nothing moves; people do not smear nor leave ghosts."""

import cv2
import numpy as np
import pytest

from fusion_core.engine.clearest_view import ClearestView
from fusion_core.engine.stillness import cells
from fusion_core.engine.stream_follower import StreamFollower
from fusion_core.engine.temporal_evidence import TemporalEvidence
from fusion_core.types import AlignedPair, ScenePrior

SHAPE = (96, 128)
STEP_S, STEP_NS = 1 / 30, 33_333_333
SMOKE = ScenePrior("", 0, "test", {"smoke": 1.0}, {}, np.zeros((1, 4), np.float32), 1.0)


@pytest.fixture(scope="module")
def wall():
    """A wall with fine texture, and its temperature."""
    rng = np.random.default_rng(0)
    small = rng.integers(90, 150, (*(side // 2 for side in SHAPE), 3), np.uint8)
    visible = cv2.resize(small, SHAPE[::-1], interpolation=cv2.INTER_CUBIC)
    heat = cv2.resize(rng.random((12, 16), np.float32) * 0.4, SHAPE[::-1])
    return visible, heat


def smoky(visible, frame, passed=0.2, air=None, noise=4):
    """Koschmieder's law with an airlight that drifts in brightness, and a camera's noise."""
    rng = np.random.default_rng((1, frame))
    air = 150 + 20 * np.sin(frame / 5) if air is None else air
    picture = passed * visible + (1 - passed) * air + rng.normal(0, noise, visible.shape)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def fine(picture):
    """What differs from the brightness around."""
    values = picture.astype(np.float32)
    return values - cv2.GaussianBlur(values, (0, 0), 5)


def likeness(picture, reference):
    """Correlation of what differs from the brightness around."""
    return np.corrcoef(fine(picture).ravel(), fine(reference).ravel())[0, 1]


def after_smoke(wall):
    """Return the last of 25 smoky frames, and what is shown of it."""
    visible, heat = wall
    views = ClearestView()
    for frame in range(25):
        now = smoky(visible, frame)
        found = views.step(now, cells(heat), STEP_S)
    return now, found


def test_detail_of_twenty_frames_is_more_like_the_wall_and_as_bright(wall):
    visible = wall[0]
    now, found = after_smoke(wall)
    assert likeness(found, visible) > likeness(now, visible) + 0.2
    assert abs(float(found.mean()) - float(now.mean())) < 2


def test_the_mean_of_three_frames_is_that_of_numpy(wall):
    visible, heat = wall
    frames = [smoky(visible, frame) for frame in range(3)]
    views = ClearestView()
    for now in frames:
        found = views.step(now, cells(heat), STEP_S)
    plain = np.mean([f - f.mean((0, 1)) for f in frames], axis=0) + frames[-1].mean((0, 1))
    middle = np.s_[16:-16, 16:-16]
    assert likeness(found[middle], plain[middle]) > 0.97


def test_a_warm_body_is_there_at_once_and_what_was_seen_before_comes_back(wall):
    visible, heat = wall
    body = np.s_[30:70, 50:74]
    views = ClearestView()
    for frame in range(30):
        now, warm = smoky(visible, frame), heat.copy()
        if 20 <= frame < 25:
            now[body], warm[body] = 40, 0.9
        found = views.step(now, cells(warm), STEP_S)
        if frame == 20:
            assert np.abs(found[body].astype(int) - 40).max() <= 2
        if frame == 25:
            assert likeness(found[body], visible[body]) > likeness(now[body], visible[body]) + 0.2
            assert abs(float(found[body].mean()) - float(visible[body].mean())) < 20


@pytest.mark.parametrize("air", [200, 40])
def test_when_the_veil_gets_thicker_the_brightness_is_that_of_the_clearest_view(wall, air):
    """Of bright smoke and of dark smoke: four fifths passed for a second, then a fifth for two."""
    visible, heat = wall
    views = ClearestView()
    for frame in range(95):
        clear, now = (smoky(visible, frame, passed, air, noise=1) for passed in (0.8, 0.2))
        shown = views.step(clear if frame < 30 else now, cells(heat), STEP_S)
    hidden, left = (abs(float(p.mean()) - float(clear.mean())) for p in (now, shown))
    assert hidden > 30
    assert left < 0.2 * hidden


def test_what_is_brought_back_does_not_flicker(wall):
    """Noise changes contrast from frame to frame, not how much is brought back.

    Means of cells are not rounded: they change by less than 1 of 255.
    """
    visible, heat = wall
    views, now, shown = ClearestView(), [], []
    for frame in range(60):
        now.append(smoky(visible, frame, 0.8 if frame < 30 else 0.7, 250, noise=6))
        shown.append(views.step(now[-1], cells(heat), STEP_S))
    changes = [
        np.diff([cells(p[..., 1].astype(np.float32), 32) for p in pictures[45:]], axis=0)
        for pictures in (shown, now)
    ]
    assert changes[0].std() < changes[1].std()


@pytest.mark.parametrize("hz", [10, 30])
def test_a_view_fades_with_the_seconds_and_not_with_the_frames(wall, hz):
    """Seen for a second, then veiled for two, or for ten.

    By hand: after s seconds of each, of weights .8^6 and .5^6 that fade with 3 seconds,
    .262 (1 - exp(-1/3)) exp(-s/3) against .0156 (1 - exp(-s/3)), times how hidden the place is by
    the contrast left; then the mean of that, of weights that fade with half a second.
    """
    visible, heat = wall
    views, left = ClearestView(), {}
    thicker = 0.3 * (200 - float(visible.mean()))
    for frame in range(11 * hz + 1):
        passed = 0.8 if frame < hz else 0.5
        now = smoky(visible, frame, passed, 200, noise=1)
        shown = views.step(now, cells(heat), 1 / hz)
        left[frame / hz] = (float(now.mean()) - float(shown.mean())) / thicker
    assert left[3] == pytest.approx(0.83, abs=0.04)
    assert left[11] == pytest.approx(0.09, abs=0.03)


def test_who_passes_neither_takes_away_nor_gets_more_than_the_places_around(wall):
    """The wall was seen clearly; then someone dark stands before it, nearer than bright smoke."""
    visible, heat = wall
    body, beside = np.s_[20:76, 40:72], np.s_[20:76, 74:82]
    views, shown = ClearestView(), []
    for frame in range(90):
        now, warm = smoky(visible, frame, 0.8 if frame < 30 else 0.3, 200, noise=1), heat.copy()
        if frame >= 75:
            now[body], warm[body] = 40, 0.9
        shown.append(views.step(now, cells(warm), STEP_S).astype(np.float32))
    around = [float(picture[beside].mean()) for picture in shown[70:]]
    brought = float(now[beside].mean()) - around[0]
    assert brought > 25
    assert max(around) - around[0] < 0.2 * brought
    assert np.abs(np.diff(around)).max() < 0.15 * brought
    got = float(shown[-1][48, 56].mean()) / 40
    assert around[-1] / float(now[beside].mean()) - 0.1 < got < 1


def test_what_was_seen_of_one_half_ends_softly(wall):
    """The other half was veiled from the first frame on, 32 pixels lie between."""
    visible, heat = wall
    views, passed = ClearestView(), np.interp(np.arange(SHAPE[1]), (48, 80), (0.9, 0.2))[:, None]
    for frame in range(75):
        now = smoky(visible, frame, passed if frame < 30 else 0.2, 220, noise=1)
        shown = views.step(now, cells(heat), STEP_S)
    brought = (now.astype(np.float32) - shown).mean((0, 2)).reshape(-1, 8).mean(1)
    assert brought[0] > 30
    assert brought[-1] < 0.3 * brought[0]
    assert brought.min() > 0
    assert np.abs(np.diff(brought)).max() < 0.3 * brought[0]


def test_a_jacket_as_cold_as_the_wall_leaves_no_ghost(wall):
    """Nearer than the smoke: dark, with all its contrast, inside a warm outline."""
    visible, heat = wall
    body, jacket = np.s_[20:76, 40:88], np.s_[26:70, 46:82]
    views = ClearestView()
    for frame in range(60):
        now, warm = smoky(visible, frame), heat.copy()
        if 20 <= frame < 50:
            warm[body], warm[jacket] = 0.9, heat[jacket]
            now[body] = visible[body] // 3
        shown = views.step(now, cells(warm), STEP_S)
    assert abs(float(shown[body].mean()) - float(now[body].mean())) < 5


def test_what_has_come_to_stay_gathers_like_everything_else(wall):
    visible, heat = wall
    body, views = np.s_[20:76, 40:88], ClearestView()
    parked, warm = visible.copy(), heat.copy()
    parked[body], warm[body] = visible[body][::-1], 0.9
    for frame in range(170):  # at 10 Hz; it is waited for 10 seconds
        came = frame >= 20
        now = smoky(parked if came else visible, frame)
        shown = views.step(now, cells(warm if came else heat), 0.1)
    inside = np.s_[30:66, 50:78]
    assert likeness(shown[inside], parked[inside]) > likeness(now[inside], parked[inside]) + 0.2


def contrast(picture, reference):
    """How much of the reference's fine detail a picture shows: the slope of the regression."""
    known = fine(reference)
    return float((fine(picture) * known).sum() / np.square(known).sum())


def test_a_fifth_of_the_contrast_is_raised_to_four_fifths_and_no_more(wall):
    """Koschmieder's law: transmission .2, of which four times is .8."""
    visible = wall[0]
    now, found = after_smoke(wall)
    assert contrast(now, visible) == pytest.approx(0.2, abs=0.02)
    assert contrast(found, visible) == pytest.approx(0.8, abs=0.1)


def test_contrast_that_is_not_faint_stays(wall):
    _, heat = wall
    board = np.kron(np.indices((12, 16)).sum(0) % 2, np.ones((8, 8)))[..., None].repeat(3, 2)
    board = (80 + 90 * board).astype(np.uint8)  # a deviation of 45
    views = ClearestView()
    for _ in range(25):
        found = views.step(board, cells(heat), STEP_S)
    assert contrast(found, board) == pytest.approx(1, abs=0.02)


def stream(wall, pan, jump=None):
    """What temporal evidence makes of thirty frames of a camera that pans by so many pixels.

    At one frame thermal may jump, as that of a camera which calibrates itself.
    """
    visible, heat = (np.tile(side, (2, 3) if side.ndim == 2 else (2, 3, 1)) for side in wall)
    evidence, follower = TemporalEvidence(), StreamFollower()
    for frame in range(30):
        view = np.s_[: SHAPE[0], pan * frame : pan * frame + SHAPE[1]]
        clean = np.ascontiguousarray(visible[view])
        now, sensor = smoky(clean, frame), np.random.default_rng((2, frame))
        warmth = heat[view] + sensor.normal(0, 0.002, SHAPE).astype(np.float32)
        if frame == jump:
            warmth = np.roll(1.4 * warmth + np.float32(0.05), 6, axis=1)
        pair = AlignedPair(10**9 + frame * STEP_NS, now, warmth, np.ones(SHAPE, bool))
        found = evidence.clean(follower.step(pair), pair, SMOKE)
    return clean, now, found


def test_streams_of_a_still_camera_get_it_and_a_moving_one_does_not_smear(wall):
    clean, now, found = stream(wall, 0)
    assert likeness(found, clean) > likeness(now, clean) + 0.2
    clean, now, found = stream(wall, 3)
    assert likeness(found, clean) > likeness(now, clean) - 0.02


def test_a_thermal_picture_that_jumps_while_the_visible_one_stands_loses_nothing(wall):
    clean, now, found = stream(wall, 0, jump=28)
    assert likeness(found, clean) > likeness(now, clean) + 0.2
