"""Place by place: left-out detectors, intervals, reliability and clutter, on made-up pictures."""

import cv2
import numpy as np
import onnx_networks as networks
import pytest

from fusion_core.detection.boxes import Candidates
from fusion_core.errors import UsageError
from fusion_lab.benches.detector.bench import DetectorBench
from fusion_lab.benches.detector.clutter import TWICE, UNLABELLED, ClutterCounts
from fusion_lab.benches.detector.reliability import (
    common_threshold,
    expected_error,
    reliability,
)
from fusion_lab.data import read_examples
from fusion_lab.data.reading import Needs
from fusion_lab.evaluation.precision import ClassTally


def write(folder, pictures):
    """Pairs of 64 x 64: ``stem: (thermal level, label lines)``; green is dark."""
    for name in ("vi", "ir", "labels"):
        (folder / name).mkdir(parents=True)
    for stem, (hot, lines) in pictures.items():
        assert cv2.imwrite(str(folder / "vi" / f"{stem}.png"), np.zeros((64, 64, 3), np.uint8))
        assert cv2.imwrite(str(folder / "ir" / f"{stem}.png"), np.full((64, 64), hot, np.uint8))
        text = "\n".join(["label,x,y,w,h", *lines]) + "\n"
        (folder / "labels" / f"{stem}.csv").write_text(text)
    return folder


@pytest.fixture
def data(tmp_path):
    """Of the set `yard` half of the pictures show a person; of `lane` all do. A hot lamp, too."""
    person, lamp = "person,16,16,32,32", "lamp,16,16,32,32"
    yard = {f"{n}": (220, [person] if n % 2 else [lamp]) for n in range(10)}
    lane = {f"{n}": (220, [person]) for n in range(4)}
    return write(tmp_path / "yard", yard), write(tmp_path / "lane", lane)


def detector(path, label):
    """Finds one box in the middle of what is hot, of this class."""
    names = {"person": "['red', 'car', 'blue', 'person']", "car": "['red', 'x', 'blue', 'car']"}
    metadata = {"names": names[label], "input": "pair", "conf": "0.6"}
    return networks.colour_meter(path, channels=4, metadata=metadata)


def test_every_place_has_the_detector_that_has_not_seen_it(data, tmp_path):
    """The one without `lane` takes all for cars: it finds no person there."""
    everywhere = detector(tmp_path / "all.onnx", "person")
    without = detector(tmp_path / "without_lane.onnx", "car")
    bench = DetectorBench(data=data, detector=everywhere, left_out=(f"lane={without}",))
    result = bench.measure()
    rows = {(row.place, row.label): row for row in result.places.scores}
    yard, lane = rows["yard", "person"], rows["lane", "person"]
    assert (yard.detector, lane.detector) == ("all.onnx", "without_lane.onnx")
    assert (yard.objects, yard.pictures, lane.objects) == (5, 10, 4)
    recall = yard.figures["recall_at_one"]
    assert (recall.value, recall.low, recall.high) == (1, 1, 1)
    # All scores are the same; at most one of the ten may be false, but the first one is.
    assert yard.figures["recall_at_tenth"].value < 0.5
    assert lane.figures["ap50"].value == 0
    precision = yard.figures["ap50"]
    assert precision.low < precision.value < precision.high
    assert result.places.clutter["yard"].false == {"lamp": 5}
    texts = [table.markdown() for table in result.tables()]
    assert "| yard | lamp | 5 | 5 | 0.500 |" in texts[-1]
    assert "worst place" not in texts[0]  # of fewer than ten objects


def test_a_place_that_there_is_not(data, tmp_path):
    path = detector(tmp_path / "all.onnx", "person")
    with pytest.raises(UsageError, match="--left-out attic: no such place; there are yard, lane"):
        DetectorBench(data=data, detector=path, left_out=(f"attic={path}",)).measure()
    with pytest.raises(UsageError, match=r"expected PLACE=FILE\.onnx"):
        DetectorBench(data=data, detector=path, left_out=("lane",)).measure()


def test_reliability_by_hand():
    """Four at 0.95, three of them right; two at 0.35, none right; 0.05 is below the table."""
    tally = ClassTally()
    boxes = np.array([[20.0 * i, 0, 20.0 * i + 10, 10] for i in range(7)])
    scores = np.array([0.95, 0.95, 0.95, 0.95, 0.35, 0.35, 0.05])
    tally.add(boxes, scores, boxes[:3], np.zeros((0, 4)))
    bins = reliability([tally])
    assert [(one.count, one.right) for one in bins if one.count] == [(2, 0), (4, 0.75)]
    assert bins[-1].score == pytest.approx(0.95)
    assert expected_error(bins) == pytest.approx((4 * 0.2 + 2 * 0.35) / 6)


def test_one_threshold_for_two_places_by_hand():
    """At one place the best scores are false; calibrated there, they rank below the other's."""
    boxes = np.array([[20.0 * i, 0, 20.0 * i + 10, 10] for i in range(3)])
    sure, misled = ClassTally(), ClassTally()
    sure.add(boxes[:2], np.array([0.9, 0.8]), boxes[:2], np.zeros((0, 4)))
    misled.add(boxes, np.array([0.95, 0.94, 0.3]), boxes[2:], np.zeros((0, 4)))
    recalls = common_threshold([[sure], [misled]])
    # Two pictures: two false ones are one per picture, and none is one in ten pictures.
    assert recalls.as_they_are == pytest.approx((1.0, 0.0))
    assert recalls.calibrated == pytest.approx((1.0, 2 / 3))


def test_what_a_false_person_is(tmp_path):
    lines = [
        "person,0,0,20,40",
        "motorcycle,30,0,20,20",
        "statue,0,44,10,20",
        "ignore,50,50,14,14",
    ]
    folder = write(tmp_path / "set", {"a": (0, lines)})
    (pair,) = read_examples([folder], needs=Needs(labels=True))
    boxes = [
        [0, 0, 20, 40],  # the person
        [1, 0, 20, 38],  # again
        [32, 0, 44, 30],  # the motorcycle
        [1, 45, 9, 62],  # the statue
        [52, 51, 62, 63],  # in what cannot be judged
        [24, 40, 34, 60],  # nothing
    ]
    counts = ClutterCounts()
    found = Candidates(np.array(boxes, float), np.full(6, 0.9), np.zeros(6, np.int64))
    counts.count(found, pair)
    assert counts.false == {TWICE: 1, "cycle": 1, "statue": 1, UNLABELLED: 1}
    assert counts.labelled == {"cycle": 1, "statue": 1}
