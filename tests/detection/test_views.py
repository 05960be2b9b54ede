"""Expected numbers are worked out by hand from the definitions."""

import numpy as np
import pytest

from fusion_core.detection.boxes import Candidates
from fusion_core.detection.views import merge_views

BODY, ELSEWHERE = (10, 10, 30, 70), (100, 10, 120, 70)
PERSON, VEHICLE = 0, 1
NOTHING = (BODY, 0.0, PERSON)


def candidates(*rows):
    boxes, scores, classes = zip(*rows, strict=True)
    return Candidates(np.array(boxes, float), np.array(scores, float), np.array(classes))


def merged(*rows, threshold=0.01, iou=0.5, auxiliary=True):
    return merge_views(candidates(*rows), threshold, iou, auxiliary=auxiliary)


@pytest.mark.parametrize(
    ("both", "believed"), [(0.9, 0.8), (0.3, 0.8), (0.12, 0.8 * 0.4**0.5), (0.0, 0.8 * 0.05**0.5)]
)
def test_thermal_alone_is_believed_as_far_as_both_cameras_see_somebody(both, believed):
    found = merged((BODY, both, PERSON), (BODY, 0.8, PERSON))
    assert found.scores[0] == pytest.approx(max(both, believed))


@pytest.mark.parametrize("other", [(ELSEWHERE, 0.9, PERSON), (BODY, 0.9, VEHICLE)])
def test_another_person_or_a_thing_is_no_reason_to_believe_thermal(other):
    found = merged(other, (BODY, 0.8, PERSON), threshold=0.3)
    assert [tuple(box) for box in found.boxes] == [other[0]]


def test_thermal_is_weighed_by_what_both_cameras_see_below_the_threshold_as_well():
    assert len(merged((BODY, 0.15, PERSON), (BODY, 0.5, PERSON), threshold=0.3).scores) == 1
    assert len(merged((BODY, 0.05, PERSON), (BODY, 0.5, PERSON), threshold=0.3).scores) == 0


def test_a_network_without_the_branch_keeps_all_its_scores():
    found = merged(NOTHING, (BODY, 0.8, PERSON), auxiliary=False)
    assert found.scores[0] == 0.8


def test_a_box_is_the_mean_of_those_that_propose_the_object_by_score_and_overlap():
    """The second one shares 1080 of 1320 pixels with the first; the third is too far off."""
    shifted, far = (12, 10, 32, 70), (19, 10, 39, 70)
    rows = [(BODY, 0.8, PERSON), (shifted, 0.4, PERSON), (far, 0.4, PERSON)]
    found = merged(*rows, iou=0.3, auxiliary=False)
    weight = 0.4 * 1080 / 1320
    left = (0.8 * 10 + weight * 12) / (0.8 + weight)
    assert found.boxes[0] == pytest.approx([left, 10, left + 20, 70])
    assert found.scores[0] == 0.8


def test_boxes_of_other_classes_do_not_pull():
    found = merged((BODY, 0.8, PERSON), ((12, 10, 32, 70), 0.7, VEHICLE), auxiliary=False)
    assert tuple(found.boxes[0]) == BODY


def test_nothing_and_boxes_without_area_are_no_error():
    assert len(merged(NOTHING, NOTHING).scores) == 0
    empty = (5.0, 5.0, 5.0, 5.0)
    assert tuple(merged((empty, 0.9, PERSON), NOTHING).boxes[0]) == empty
