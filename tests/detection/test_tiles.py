"""Parts of a picture that a detector looks at beside the whole."""

import numpy as np
import onnx_networks as networks
import pytest

from fusion_core.config import Config
from fusion_core.detection import Detector
from fusion_core.detection.boxes import Candidates, overlaps
from fusion_core.detection.tiles import Tile, tiles_of
from fusion_core.pipeline.builders import open_detection
from fusion_core.types import AlignedPair
from fusion_lab.data import Needs, aligned_pair, read_examples

NAMES = {"names": "{0: 'person', 1: 'vehicle', 2: 'cycle'}", "conf": "0.05"}


def test_parts_overlap_and_reach_every_border():
    # Half of the edges and 15 % more: 57.5 and 28.75 pixels, rounded up.
    assert tiles_of((100, 50), 2) == (
        Tile(0, 0, 58, 29),
        Tile(42, 0, 100, 29),
        Tile(0, 21, 58, 50),
        Tile(42, 21, 100, 50),
    )
    assert tiles_of((100, 50), 1) == ()


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (641, 7), (1280, 1024)])
@pytest.mark.parametrize("count", [2, 3, 8])
def test_parts_of_any_picture_cover_it_and_lie_in_it(size, count):
    covered = np.zeros(size[::-1], bool)
    for left, top, right, bottom in tiles_of(size, count):
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        covered[top:bottom, left:right] = True
    assert covered.all()


def test_what_an_inner_border_cuts_is_left_to_others():
    boxes = np.array([(10, 10, 20, 20), (0, 10, 20, 20), (10, 10, 58, 20), (10, 0, 20, 20)], float)
    found = Candidates(boxes, np.full(4, 0.5), np.zeros(4, int))
    right_upper = Tile(42, 0, 100, 29).placed(found, (100, 50))
    # Its left border is an inner one; those above and right are the picture's own.
    assert right_upper.boxes.tolist() == [[52, 10, 62, 20], [52, 10, 100, 20], [52, 0, 62, 20]]
    left_lower = Tile(0, 21, 58, 50).placed(found, (100, 50))
    assert left_lower.boxes.tolist() == [[10, 31, 20, 41], [0, 31, 20, 41]]


def test_whole_and_parts_are_seen_where_they_lie(tmp_path):
    path = networks.colour_meter(tmp_path / "net.onnx", metadata=NAMES)
    picture = np.full((100, 100, 3), (204, 51, 0), np.uint8)
    pair = AlignedPair(0, picture, None, np.zeros((100, 100), bool))
    found = Detector(path, tiles=2).detect(picture, pair)
    # The network finds the middle half of what it sees: of 100, and of 58 pixels from 0 or 42 on.
    wanted = {(25, 25, 50, 50)} | {(x, y, 29, 29) for x in (14.5, 56.5) for y in (14.5, 56.5)}
    assert {each.box for each in found} == wanted
    assert len(Detector(path).detect(picture, pair)) == 1


def test_an_object_that_whole_and_part_show_is_one(tmp_path):
    path = networks.spot_finder(tmp_path / "net.onnx", metadata={"names": "['spot']"})
    picture = np.zeros((96, 128, 3), np.uint8)
    picture[20:28, 20:28] = 255
    pair = AlignedPair(0, picture, None, np.zeros((96, 128), bool))
    detector = Detector(path, tiles=2)
    near = [d for d in detector.detect(picture, pair, iou=0.2) if d.box[0] < 40 and d.box[1] < 40]
    assert len(near) == 1


def test_the_setting_reaches_the_detector(tmp_path):
    path = networks.colour_meter(tmp_path / "net.onnx", metadata=NAMES)
    config = Config.from_dict({"detector": path, "detection": {"tiles": 3}})
    runner = open_detection(config, "cpu")
    assert runner is not None
    assert runner.status()["input"] == "fused 64x64, 3x3 tiles"
    runner.close()


@pytest.mark.data
def test_a_row_of_far_people_is_found_in_parts(recordings):
    """38 people of 20 to 40 pixels on a dam, in a picture of 1024x768."""
    pairs = read_examples([recordings / "m3fd"], needs=Needs(labels=True))
    (pair,) = (pair for pair in pairs if pair.name == "01981")
    aligned = aligned_pair(pair.first, pair.second)
    people = np.asarray(pair.labels.boxes[pair.labels.classes == 0], float)

    def found(tiles, input_choice="small"):
        detector = Detector("default", tiles=tiles, input_choice=input_choice)
        boxes = [d.box for d in detector.detect(pair.first, aligned)]
        corners = np.array([(x, y, x + w, y + h) for x, y, w, h in boxes])
        return int((overlaps(people, corners) >= 0.5).any(axis=1).sum())

    assert len(people) == 38
    assert found(2) > 2 * found(1) > 0
    assert found(1, "auto") > 2 * found(1)  # auto takes the large input here
