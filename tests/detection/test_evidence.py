from dataclasses import replace

import numpy as np
import pytest

from fusion_core.detection.evidence import edge_agreement, weigh_by_thermal
from fusion_core.types import Detection
from fusion_lab.data import aligned_pair

BODY, WALL = (40.0, 30.0, 20.0, 60.0), (110.0, 30.0, 20.0, 60.0)
SURE, LIKELY = 0.9, 0.5


def scene():
    """A street that is half warm, with one body of warm and cool parts."""
    thermal = np.full((120, 160), 60, np.uint8)
    thermal[:, :30] = 140
    thermal[30:60, 40:60], thermal[60:90, 40:60] = 220, 150
    return thermal


def pair(thermal):
    return aligned_pair(np.full((*thermal.shape, 3), 90, np.uint8), thermal)


def people(*boxes, score=LIKELY, label="person"):
    return [Detection(label=label, score=score, box=box) for box in boxes]


def weighed(found, thermal, least=0.01):
    return weigh_by_thermal(found, pair(thermal), least)


def test_who_does_not_show_in_thermal_is_believed_less_and_goes_behind_who_does():
    wall, body = people(WALL, score=0.6) + people(BODY, score=0.5)
    first, second = weighed([wall, body], scene())
    assert first == body
    assert second.box == WALL
    assert second.score < 0.3


def test_whom_the_detector_is_sure_of_stays_and_what_falls_below_the_least_score_goes():
    assert weighed(people(WALL, score=SURE), scene(), least=0.3)[0].score >= 0.3
    assert weighed(people(WALL, score=LIKELY), scene(), least=0.3) == ()


@pytest.mark.parametrize("label", ["vehicle", "cycle"])
def test_things_may_be_as_cold_as_what_surrounds_them(label):
    found = people(WALL, label=label)
    assert list(weighed(found, scene())) == found


@pytest.mark.parametrize("value", [0, 114, 255])
def test_a_blind_thermal_camera_says_nothing_about_anybody(value):
    found = people(WALL, BODY)
    assert list(weighed(found, np.full((120, 160), value, np.uint8))) == found


def test_contrast_counts_by_that_of_the_picture_so_that_faint_thermal_still_tells():
    """A fifth of the contrast: levels from 60 to 92."""
    faint = (60 + (scene().astype(int) - 60) // 5).astype(np.uint8)
    found = weighed(people(WALL, BODY), faint)
    assert [each.box for each in found] == [BODY, WALL]
    assert found[0].score == LIKELY > found[1].score


def test_boxes_at_and_beyond_the_border_are_no_error():
    outside = people((-30, -30, 20, 20), (150, 110, 40, 40), (0, 0, 2, 2), (500, 5, 9, 9))
    assert len(weighed(outside, scene())) == 4


def test_nothing_changes_without_thermal():
    found = people(WALL)
    missing = replace(pair(scene()), thermal=None)
    assert list(weigh_by_thermal(found, missing, 0.01)) == found


def street(seed):
    """Blocks of many sizes, each of its own brightness."""
    rng = np.random.default_rng(seed)
    image = np.zeros((120, 160), np.uint8)
    for _ in range(60):
        left, top, width, height = rng.integers((0, 0, 10, 10), (150, 110, 50, 40))
        image[top : top + height, left : left + width] = rng.integers(30, 226)
    return image


def seen_by_both(visible, thermal):
    return aligned_pair(np.repeat(visible[..., None], 3, 2), thermal)


def test_thermal_that_is_frozen_on_another_scene_says_nothing_about_people_who_are_here():
    here, there = street(1), street(2)
    here[30:90, 110:130] = there[30:90, 110:130] = 90  # flat where the person stands
    found = people(WALL)
    assert list(weigh_by_thermal(found, seen_by_both(here, there), 0.01)) == found
    assert weigh_by_thermal(found, seen_by_both(here, here), 0.01)[0].score < LIKELY


def test_thermal_of_another_moment_of_the_scene_says_nothing_either():
    """Somebody plain does not show: whom else it does not show may have come since, too."""
    plain, faint = people((130.0, 30.0, 20.0, 60.0), score=SURE) + people(WALL)
    assert weighed([plain, faint], scene()) == (plain, faint)
    body = people(BODY, score=SURE)
    assert weighed([*body, faint], scene())[1].score < LIKELY
    car = people((130.0, 30.0, 20.0, 60.0), score=SURE, label="vehicle")
    assert weighed([*car, faint], scene())[1].score < LIKELY


def test_edges_of_one_scene_agree_whichever_side_is_the_warm_one():
    scene = street(3)
    assert edge_agreement(seen_by_both(scene, 255 - scene)) == pytest.approx(1, abs=1e-3)
    assert abs(edge_agreement(seen_by_both(scene, street(4)))) < 0.12
    assert edge_agreement(seen_by_both(scene, np.full_like(scene, 80))) == 1


def test_edges_count_where_both_cameras_see():
    """Outside of what the thermal camera sees there is nothing, which has an edge of its own."""
    scene = street(5)
    cut = scene.copy()
    cut[:, :60] = 0
    pair = seen_by_both(scene, cut)
    valid = np.ones(scene.shape, bool)
    valid[:, :60] = False
    assert edge_agreement(replace(pair, valid=valid)) > edge_agreement(pair)
