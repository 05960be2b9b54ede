"""Temporal evidence on the synthetic street, in rain, snow and noise that move."""

import cv2
import numpy as np
import pytest

from fusion_core.engine.stream_follower import StreamFollower
from fusion_core.engine.temporal_evidence import TemporalEvidence, median
from fusion_core.types import AlignedPair, ScenePrior
from fusion_lab.synthetic import SyntheticScene
from fusion_lab.training.degradations import Degrader

FRAMES, STEP_NS = 6, 33_333_333
TOKENS = np.zeros((1, 4), np.float32)


class Evidence(TemporalEvidence):
    """Evidence with the stream that it is of."""

    def __init__(self):
        super().__init__()
        self._follower = StreamFollower()

    def clean(self, pair, prior):
        return super().clean(self._follower.step(pair), pair, prior)


def told(**visible):
    return ScenePrior("", 0, "test", visible, {}, TOKENS, 1.0)


def pair(index, visible, thermal):
    return AlignedPair(10**12 + index * STEP_NS, visible, thermal, np.ones(thermal.shape, bool))


@pytest.fixture(scope="module")
def street():
    """Visible RGB, thermal and people of six frames at half size; camera and people move."""
    frames = SyntheticScene("day", seconds=FRAMES / 30, registered=True, thermal_hz=30).frames()
    found = []
    for visible, thermal in zip(*[iter(frames)] * 2, strict=True):
        counts = thermal.image.astype(np.float32)
        heat = (counts - counts.min()) / np.ptp(counts)
        sides = [
            cv2.resize(picture, (320, 240), interpolation=cv2.INTER_AREA)
            for picture in (visible.image, heat)
        ]
        people = cv2.resize((visible.truth.mask == 1).astype(np.uint8), (320, 240)) > 0
        found.append((*sides, people))
    return found


def cleaned(street, kind, severity):
    """Return clean, degraded and cleaned pictures of the last frame, and where people are."""
    evidence, degrader = Evidence(), Degrader({kind: severity}, seed=3)
    prior = told(**{kind: 1.0})
    evidence.clean(pair(-1, *street[0][:2]), prior)
    for index, (clean, heat, _) in enumerate(street):
        values = degrader.apply(clean / np.float32(255), index / 30).image
        bad = np.rint(255 * values).astype(np.uint8)
        good = evidence.clean(pair(index, bad, heat), prior)
    return clean, bad, good, street[-1][2]


def decibels(picture, reference, where=...):
    error = (picture.astype(float) - reference)[where]
    return 10 * np.log10(255**2 / np.mean(error**2))


@pytest.mark.parametrize(("kind", "severity"), [("rain", 0.4), ("snow", 0.4), ("noise", 0.4)])
def test_what_is_there_for_one_frame_goes_and_people_stay_as_they_are(street, kind, severity):
    clean, bad, good, people = cleaned(street, kind, severity)
    assert decibels(good, clean) > decibels(bad, clean) + 0.7
    assert people.mean() > 0.002
    assert decibels(good, clean, people) > decibels(bad, clean, people) - 0.1


def test_clear_weather_returns_the_pair_itself(street):
    evidence = Evidence()
    for index, (visible, heat, _) in enumerate(street):
        seen = pair(index, visible, heat)
        assert evidence.clean(seen, told(rain=0.5, snow=0.1)) is visible


@pytest.mark.parametrize("hz", [10, 30])
def test_the_gain_follows_the_clock_and_a_missing_prior_changes_nothing(street, hz):
    """After a time constant of 0.7 s what is told has 1 - 1 / e of its weight."""
    evidence, gains = Evidence(), []
    for number in range(7 * hz // 10 + 1):
        seen = AlignedPair(round(number * 1e9 / hz), *street[0][:2], np.ones((240, 320), bool))
        evidence.clean(seen, {0: told(snow=0.0), 1: told(snow=0.75)}.get(number))
        gains.append(evidence.gain)
    assert gains[0] == 0
    assert np.diff(gains).min() > 0
    assert gains[-1] == pytest.approx(0.5 * (1 - np.exp(-1)))


def still_stream(frames, size=(120, 160)):
    """A flat wall, and what is put over it frame by frame."""
    rng = np.random.default_rng(0)
    wall = cv2.resize(rng.integers(60, 160, (15, 20, 3), np.uint8), size[::-1])
    heat = cv2.resize(rng.random((15, 20), np.float32) * 0.4, size[::-1])
    evidence = Evidence()
    evidence.clean(pair(-1, wall, heat), told(rain=1.0))
    for index, (change, warm) in enumerate(frames):
        last = evidence.clean(pair(index, *put(wall, heat, change, warm)), None)
    return wall, last


def put(wall, heat, column, warm):
    """Return both pictures with a bright bar of 2x60 pixels, or a warm body of 24x60."""
    visible, thermal = wall.copy(), heat.copy()
    if column is not None:
        visible[30:90, column : column + (24 if warm else 2)] = 230
        if warm:
            thermal[30:90, column : column + 24] = 0.9
    return visible, thermal


def test_a_streak_of_one_frame_goes_altogether():
    wall, last = still_stream([(None, False)] * 5 + [(70, False)])
    assert np.abs(last.astype(int) - wall)[30:90, 70:72].max() <= 3


def test_a_warm_body_that_steps_in_is_there_at_once_and_gone_at_once():
    wall, last = still_stream([(None, False)] * 5 + [(70, True)])
    assert (last[30:90, 70:94] == 230).mean() > 0.95
    wall, last = still_stream([(70, True)] * 6 + [(None, False)])
    assert np.abs(last.astype(int) - wall).max() <= 3


def test_a_gap_in_the_stream_forgets_what_was_before(street):
    evidence, (visible, heat, _) = Evidence(), street[0]
    evidence.clean(pair(-1, visible, heat), told(rain=1.0))
    for index in range(5):
        evidence.clean(pair(index, visible, heat), None)
    later = pair(100, 255 - visible, heat)
    assert evidence.clean(later, None) is later.visible


@pytest.mark.parametrize("count", [3, 5])
def test_median_is_that_of_every_pixel(count):
    pictures = np.random.default_rng(1).integers(0, 256, (count, 9, 7, 3), np.uint8)
    assert np.array_equal(median(list(pictures)), np.median(pictures, axis=0))
