"""The bench of registration on generated pictures with known displacements."""

import cv2
import numpy as np
import pytest
from pictures import scene_pair
from street import example, street

from fusion_core.errors import UsageError
from fusion_core.types import Frame, FramePair
from fusion_lab.benches.registration import geometry
from fusion_lab.benches.registration.alternatives import ALIGNERS, NOTHING, OWN
from fusion_lab.benches.registration.bench import RegistrationBench, RegistrationResult
from fusion_lab.benches.registration.confidence import area_under_roc, measure_confidence
from fusion_lab.benches.registration.cost import measure_refinement, measure_warp
from fusion_lab.benches.registration.deformed import DENSE, DeformedPair, measure_deformed
from fusion_lab.benches.registration.homographies import (
    corner_summary,
    is_night,
    measure_homographies,
)
from fusion_lab.benches.registration.moving import measure_stream

SHIFT = np.array([[1, 0, 6], [0, 1, -4], [0, 0, 1]], np.float64)


def generated(seed):
    visible, thermal = scene_pair(seed)
    return example(visible, np.ascontiguousarray(thermal[40:-40, 40:-40]), f"scene{seed}")


def test_a_smooth_displacement_is_undone_by_its_inverse():
    y, x = np.mgrid[:60, :80].astype(np.float32)
    bent = np.dstack((3 * np.sin(y / 15), 2 * np.cos(x / 20))).astype(np.float32)
    back = geometry.inverted(bent)
    places = geometry.pixel_grid(bent.shape) + back
    there = cv2.remap(bent, places, None, cv2.INTER_LINEAR)
    assert np.abs(back + there)[8:-8, 8:-8].max() < 0.01


def test_homographies_move_corners_by_two_to_twenty_pixels():
    rng = np.random.default_rng(0)
    moves = [
        geometry.corner_errors(geometry.random_homography(rng, (240, 320)), np.eye(3), (240, 320))
        for _ in range(50)
    ]
    assert all(2 <= move.mean() <= 20.001 for move in moves)


def test_errors_between_homographies_are_distances():
    """A shift by (6, -4) is sqrt(52) px everywhere."""
    assert geometry.corner_errors(SHIFT, np.eye(3), (50, 70)) == pytest.approx([52**0.5] * 4)
    assert geometry.picture_error(SHIFT, np.eye(3), (50, 70)) == pytest.approx(52**0.5, abs=1e-4)
    assert geometry.picture_error(None, np.eye(3), (50, 70)) == np.inf


def test_what_the_methods_leave_of_a_known_shift():
    pair = generated(3)
    moved = geometry.moved_by(pair.second, SHIFT)  # moved(p) = thermal(p + shift)
    true = np.broadcast_to(np.array([-6.0, 4.0]), (*moved.shape, 2))
    aligners = {name: ALIGNERS[name] for name in (NOTHING, OWN)}
    figures = measure_deformed(iter([DeformedPair(pair.first, moved, true)]), aligners)
    assert figures.errors[NOTHING][0] == pytest.approx(52**0.5)
    assert figures.errors[OWN][0] < 1
    assert figures.errors[DENSE][0] < 1.5
    assert [row[4] for row in figures.table().rows] == [0, 0, 0]


def test_known_homographies_by_day_and_by_night():
    aligners = {name: ALIGNERS[name] for name in (NOTHING, OWN)}
    dark = example(generated(4).first // 3, generated(4).second)
    rows = measure_homographies("msrs", [generated(3), dark], aligners)
    found = {(row.method, row.light): row for row in rows}
    assert set(found) == {(m, light) for m in aligners for light in ("day", "night")}
    assert found[NOTHING, "day"].stored == found[NOTHING, "day"].consistent
    assert found[NOTHING, "day"].stored.median_px > 1
    assert found[OWN, "day"].consistent.median_px < 1
    assert found[OWN, "day"].picture_below_1 == 1
    assert found[OWN, "day"].trials == 2


def test_corner_errors_are_summarised_per_trial_and_per_pair():
    errors = np.array([[0, 0, 0, 8], [0.5] * 4, [3] * 4, [3] * 4], np.float64)
    summary = corner_summary(errors)  # means 2, .5, 3, 3; pair medians .25 and 3
    assert (summary.median_px, summary.trials_below_1, summary.pairs_below_1) == (2.5, 0.25, 0.5)


def test_night_is_recognised_by_the_sky_on_roadscene():
    bright_ground = np.zeros((90, 60, 3), np.uint8)
    bright_ground[30:] = 250
    assert is_night("roadscene/val", bright_ground)
    assert not is_night("msrs", bright_ground)


def test_area_under_roc_by_hand():
    """Of six comparisons four are won and one is a tie."""
    assert area_under_roc([0.9, 0.5], [0.5, 0.7, 0.1]) == pytest.approx(4.5 / 6)
    assert np.isnan(area_under_roc([], [0.5]))


def test_right_and_wrong_registrations_are_separated():
    figures = measure_confidence([([generated(3)], [generated(5)])])
    assert len(figures.right) == 1
    assert figures.right[0] > figures.wrong[0]
    assert figures.area == 1
    figures.table().markdown()


def test_a_moved_stream_is_corrected():
    visible, thermal, _ = street()
    pairs = [
        FramePair(
            number,
            Frame(number, "visible", visible, "rgb8"),
            Frame(number, "thermal", thermal, "mono8"),
            0,
        )
        for number in range(8)
    ]
    still = measure_stream("street", "as recorded", pairs, lambda _: (0.0, 0.0))
    moved = measure_stream("street", "moved", pairs, lambda _: (8.0, 0.0))
    assert moved.worst_px == pytest.approx(8, abs=0.01)  # nothing is known at the first frame
    assert still.worst_px < moved.worst_px
    assert np.isnan(still.settled_s)  # shorter than the four seconds until the step


def test_costs_are_reported():
    warp = measure_warp(2, (64, 48))
    assert list(warp) == ["warp of a frame", "new map (background)"]
    refinement = measure_refinement(turns=1, frames=18)
    assert refinement.off.count == refinement.on.count == 3
    result = RegistrationResult(warp=warp, refinement=refinement)
    assert len([table.markdown() for table in result.tables()]) == 3


def test_recordings_must_be_named():
    with pytest.raises(UsageError, match="--data"):
        RegistrationBench(parts=("deformed",)).measure()
