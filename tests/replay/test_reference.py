"""A recorded log through the pipeline gives the reference outputs, within limits.

Where only the log differs, the renderer has changed; where only the outputs do, the pipeline has.
"""

import json
from collections import Counter

import numpy as np
import pytest
from replay_log import REFERENCE, record, replay

# Other processors round in another order; a real change of the network's picture is larger.
MEAN_LEVELS, MOST_LEVELS = 1.0, 8.0
QUALITY = 0.02
CONFIDENCE = 0.1


@pytest.fixture(scope="module")
def reference():
    return json.loads(REFERENCE.read_text())


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "bag"
    record(path)
    return replay(path)


def column(run, name):
    return [frame[name] for frame in run["frames"]]


def test_the_log_is_that_of_the_reference(reference, replayed):
    for name in ("stamp_ns", "skew_ns"):
        assert column(replayed, name) == column(reference, name)
    for name in ("visible", "thermal"):
        assert column(replayed, name) == pytest.approx(column(reference, name), rel=2e-3)


def test_pictures_stay_within_the_limit(reference, replayed):
    for found, expected in zip(column(replayed, "image"), column(reference, "image"), strict=True):
        difference = np.abs(np.subtract(found, expected))
        assert difference.mean() <= MEAN_LEVELS
        assert difference.max() <= MOST_LEVELS


def test_quality_and_registration_stay_within_the_limit(reference, replayed):
    for name, limit in (("quality", QUALITY), ("confidence", CONFIDENCE)):
        pairs = zip(column(replayed, name), column(reference, name), strict=True)
        for found, expected in pairs:
            assert (found is None) == (expected is None)
            assert found == pytest.approx(expected, abs=limit)


def test_detections_differ_by_two_objects_at_most(reference, replayed):
    """A score near the threshold may fall on either side of it."""
    pairs = zip(column(replayed, "detections"), column(reference, "detections"), strict=True)
    for found, expected in pairs:
        assert expected
        missing, extra = Counter(expected) - Counter(found), Counter(found) - Counter(expected)
        assert missing.total() + extra.total() <= 2


def test_health_and_counters_are_the_same(reference, replayed):
    assert column(replayed, "health") == column(reference, "health")
    assert replayed["counters"] == reference["counters"]


def test_a_change_of_the_picture_is_noticed(reference):
    """Two levels brighter is beyond the limit."""
    brighter = json.loads(json.dumps(reference))
    for frame in brighter["frames"]:
        frame["image"] = (np.array(frame["image"]) + 2).tolist()
    with pytest.raises(AssertionError):
        test_pictures_stay_within_the_limit(reference, brighter)
