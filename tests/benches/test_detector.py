"""The bench of detectors, with networks that measure the mean of each channel."""

import cv2
import numpy as np
import onnx_networks as networks
import pytest

from fusion_core.errors import UsageError
from fusion_lab.benches.detector.bench import DetectorBench
from fusion_lab.benches.detector.tallies import gain_of_both
from fusion_lab.evaluation.precision import ClassTally


@pytest.fixture
def data(tmp_path):
    """Two pairs of 64 x 64: a shows a car, bright green only; b a person, hot only."""
    for folder in ("vi", "ir", "labels"):
        (tmp_path / "set" / folder).mkdir(parents=True)
    for stem, label, green, hot in (("a", "car", 200, 0), ("b", "person", 0, 200)):
        visible, thermal = np.zeros((64, 64, 3), np.uint8), np.full((64, 64), hot, np.uint8)
        visible[..., 1] = green
        assert cv2.imwrite(str(tmp_path / "set" / "vi" / f"{stem}.png"), visible)
        assert cv2.imwrite(str(tmp_path / "set" / "ir" / f"{stem}.png"), thermal)
        text = f"label,x,y,w,h\n{label},16,16,32,32\n"
        (tmp_path / "set" / "labels" / f"{stem}.csv").write_text(text)
    return tmp_path / "set"


@pytest.fixture
def pair_detector(tmp_path):
    """Finds a car in the middle where green is bright, a person where thermal is and green not."""
    metadata = {"names": "['red', 'car', 'blue', 'person']", "input": "pair", "conf": "0.6"}
    return networks.colour_meter(tmp_path / "pair.onnx", channels=4, metadata=metadata)


@pytest.fixture
def reference(tmp_path):
    """Finds a car in the middle of a green picture, a person in that of a gray one."""
    metadata = {"names": "['person', 'car', 'blue']", "conf": "0.6"}
    return networks.colour_meter(tmp_path / "reference.onnx", metadata=metadata)


def test_views_and_targets_are_counted(data, pair_detector, reference):
    result = DetectorBench(data=(data,), detector=pair_detector, reference=reference).measure()
    figures = result.sets["set"]
    recall = {
        view: (classes["vehicle"].recall, classes["person"].recall)
        for view, classes in figures.scores.items()
    }
    assert recall["pair"] == (1, 1)
    for state in ("black", "missing"):
        assert recall[f"thermal {state}"] == (1, 0)
        assert recall[f"visible {state}"] == (0, 1)
    assert recall["thermal frozen"] == (1, 0)  # the other picture's person beside the car
    assert recall["visible frozen"] == (0, 0)  # the other picture's car wins over the person
    assert recall["reference: visible"] == (1, 0)
    assert recall["reference: thermal"] == (0, 1)
    rows = {(row.camera, row.label): row for row in figures.targets}
    targets = {key: row.targets for key, row in rows.items() if row.targets}
    assert targets == {("visible", "vehicle"): 1, ("thermal", "person"): 1}
    car, person = rows["visible", "vehicle"], rows["thermal", "person"]
    assert (car.both, car.broken["black"], car.broken["missing"], car.broken["frozen"]) == (1,) * 4
    assert (person.both, person.broken["black"], person.broken["frozen"]) == (1, 1, 0)
    assert 0 <= car.broken["frozen stream"] <= 1
    texts = [table.markdown() for table in result.tables()]
    assert "| set | thermal | person | 1 | 1 | 1 (+0 %) | 0 (-100 %) |" in texts[-1]
    assert "| all | visible | all | 1 | 1 | 1 (+0 %) | 1 (+0 %) |" in texts[-1]


def test_without_a_reference_there_are_no_targets(data, pair_detector):
    result = DetectorBench(data=(data,), detector=pair_detector).measure()
    assert result.sets["set"].targets == ()
    assert len(result.tables()) == 2


def test_a_detector_for_single_pictures_is_refused(data, reference):
    with pytest.raises(UsageError, match="give it as --reference"):
        DetectorBench(data=(data,), detector=reference).measure()


def test_the_gain_is_over_the_better_camera():
    def tally(right):
        found = ClassTally()
        boxes = np.array([[0, 0, 9, 9] if right else [50, 50, 59, 59]], np.float64)
        found.add(boxes, np.array([0.9]), np.array([[0, 0, 9, 9.0]]), np.zeros((0, 4)))
        return found

    all_right, half = [tally(True)] * 20, [tally(True)] * 10 + [tally(False)] * 10
    gain = gain_of_both(all_right, [half, [tally(False)] * 20])
    # Half the objects at precision 10/20, interpolated: below the gain over the worse camera, 1.
    assert 0.4 < gain.value < 1
    assert gain.low < gain.value < gain.high
    assert gain_of_both(all_right, [half, all_right]).high == 0
