"""Labels from looks of a trained detector: what they agree on."""

import numpy as np
import onnx_networks as networks
import pytest

from fusion_core.detection import Detector
from fusion_core.types import Detection
from fusion_lab.data import Needs, read_examples
from fusion_lab.training.detector.pseudo import agreed, label_frames


def person(score, x=10.0, y=20.0, label="person"):
    return Detection(label, score, (x, y, 10.0, 20.0))


def test_nearly_every_look_makes_an_object_some_a_doubt_and_few_background():
    sure = [[person(0.8)], [person(0.6)], [person(0.7)], []]  # mean 0.525
    (found,) = agreed(sure)
    assert found[0] == "person"
    doubtful = [[person(0.8)], [person(0.6)], [], []]  # 0.35
    assert [label for label, _ in agreed(doubtful)] == ["ignore"]
    assert agreed([[person(0.4)], [], [], []]) == []  # 0.1


def test_the_box_is_the_mean_by_score():
    ((_, box),) = agreed([[person(0.9, x=10)], [person(0.6, x=12.5)]])
    assert box == pytest.approx([11, 20, 21, 40])  # (0.9 * 10 + 0.6 * 12.5) / 1.5


def test_neighbours_and_classes_stay_apart_and_doubles_count_once():
    looks = [[person(0.9), person(0.8, x=30), person(0.7, label="cycle"), person(0.2, x=11)]] * 2
    found = agreed(looks)
    assert [label for label, _ in found] == ["person", "person", "cycle"]


def test_frames_without_labels_get_them_where_the_objects_are(tmp_path, write_pair):
    """The network finds what is bright; its box is 8 by 8 pixels of its input of 128x96."""
    clip = tmp_path / "clip"
    for number in range(6):
        write_pair(clip, f"{number:04d}", number, [(20 + 5 * number, 30, 24, 60)])
    for number in (1, 2, 3, 5):
        (clip / "labels" / f"{number:04d}.csv").unlink()
    path = networks.spot_finder(tmp_path / "net.onnx", metadata={"names": "['person']"})
    assert label_frames([clip], [Detector(path)], tmp_path / "out", 2) == 2
    pairs = read_examples([tmp_path / "out"], needs=Needs(labels=True))
    assert [pair.name for pair in pairs] == ["0001", "0003"]
    for pair, left in zip(pairs, (25, 35), strict=True):
        assert pair.labels.classes.tolist() == [0]
        x0, y0, x1, y1 = pair.labels.boxes[0]
        assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((left + 12, 60), abs=1)
        assert (x1 - x0, y1 - y0) == pytest.approx((8 * 128 / 96,) * 2, abs=0.5)
        again = next(each for each in read_examples([clip]) if each.name == pair.name)
        assert np.array_equal(again.second, pair.second)
