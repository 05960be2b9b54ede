import numpy as np
import pytest

from fusion_lab.benches.detector.reliability import EDGES, reliability
from fusion_lab.evaluation.precision import ClassTally

pytest.importorskip("pycocotools")
NONE = np.zeros((0, 4))


def test_bins_count_what_was_found_and_what_was_right_and_pass_over_the_unknown():
    """Two people; found at 0.95 and 0.5, beside nobody at 0.55, and an unknown one at 0.15."""
    people = np.array([[0.0, 0, 10, 20], [50, 0, 60, 20]])
    unknown = np.array([[80.0, 80, 99, 99]])
    boxes = np.vstack([people, [[0, 60, 10, 80]], unknown])
    tally = ClassTally()
    tally.add(boxes, np.array([0.95, 0.5, 0.55, 0.15]), people, unknown)
    bins = dict(zip(EDGES, reliability(tally), strict=False))
    assert bins[0.8] == (1, 1)
    assert bins[0.5] == (2, 1), "the lower limit belongs to a bin"
    assert sum(entry.found for entry in bins.values()) == 3


def test_a_tally_without_detections_has_empty_bins():
    tally = ClassTally()
    tally.add(NONE, np.zeros(0), NONE, NONE)
    assert all(entry == (0, 0) for entry in reliability(tally))
