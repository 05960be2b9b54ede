"""Suppression of duplicates sees every candidate, however many there are."""

import numpy as np
import onnx_networks as networks
import pytest

from fusion_core.detection import Detector
from fusion_core.detection.boxes import MAX_DETECTIONS, Candidates, overlaps, strongest
from fusion_core.types import AlignedPair

SIZE, STEP, EDGE = 640, 32, 20
PEOPLE = (SIZE // STEP) ** 2  # 400
COPIES = 9
PICTURE = np.zeros((SIZE, SIZE, 3), np.uint8)
METADATA = {"names": "{0: 'person', 1: 'vehicle'}", "conf": "0.2"}


def crowd():
    """Return ``Nx4`` centred boxes of 400 people, each found nine times, and ``N`` scores.

    The copies are shifted by at most 2 of 20 pixels, so that they overlap by 0.68 at least; people
    stand 32 pixels apart and do not overlap.
    """
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: SIZE // STEP, : SIZE // STEP] * STEP + STEP / 2
    centres = np.stack([x.ravel(), y.ravel()], axis=1)
    centres = np.repeat(centres, COPIES, axis=0) + rng.uniform(-1, 1, (PEOPLE * COPIES, 2))
    boxes = np.hstack([centres, np.full_like(centres, EDGE)])
    return boxes, rng.uniform(0.3, 0.9, len(boxes))


def as_yolov8(boxes, scores):
    rows = np.concatenate([boxes.T, scores[None], np.zeros_like(scores)[None]])
    return {"output0": rows[None].astype(np.float32)}


def as_yolov5(boxes, scores):
    cells = 3 * sum((SIZE // stride) ** 2 for stride in (8, 16, 32))
    rows = np.zeros((1, cells, 7), np.float32)
    rows[0, : len(boxes)] = np.hstack([boxes, scores[:, None], np.tile([1, 0], (len(boxes), 1))])
    return {"output0": rows}


def as_yolox(boxes, scores):
    strides = [(stride, (SIZE // stride) ** 2) for stride in (8, 16, 32)]
    rows = np.zeros((1, sum(count for _, count in strides), 7), np.float32)
    cell, stride = np.arange(len(boxes)), 8
    assert len(boxes) <= strides[0][1]
    at = np.stack([cell % (SIZE // stride), cell // (SIZE // stride)], axis=1)
    rows[0, : len(boxes), :2] = boxes[:, :2] / stride - at
    rows[0, : len(boxes), 2:4] = np.log(boxes[:, 2:] / stride)
    rows[0, : len(boxes), 4:6] = np.stack([scores, np.ones_like(scores)], axis=1)
    return {"output": rows}


@pytest.mark.parametrize("export", [as_yolov5, as_yolov8, as_yolox])
def test_everybody_in_a_crowd_is_found_once(export, tmp_path):
    outputs = export(*crowd())
    path = networks.constant(
        tmp_path / "net.onnx", outputs, shape=(1, 3, SIZE, SIZE), metadata=METADATA
    )
    pair = AlignedPair(0, PICTURE, None, np.zeros((SIZE, SIZE), bool))
    found = Detector(path).detect(PICTURE, pair)
    cells = {(int(d.box[0] + EDGE / 2) // STEP, int(d.box[1] + EDGE / 2) // STEP) for d in found}
    assert len(found) == PEOPLE
    assert len(cells) == PEOPLE
    assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)


def test_a_crowd_of_queries_is_not_cut(tmp_path):
    """A format without suppression: 400 boxes that are given once each."""
    boxes, scores = (values[::COPIES] for values in crowd())
    rows = np.hstack([boxes / SIZE, scores[:, None], np.zeros((len(boxes), 1))])
    outputs = {"output0": rows[None].astype(np.float32)}
    path = networks.constant(
        tmp_path / "net.onnx", outputs, shape=(1, 3, SIZE, SIZE), metadata=METADATA
    )
    pair = AlignedPair(0, PICTURE, None, np.zeros((SIZE, SIZE), bool))
    assert len(Detector(path).detect(PICTURE, pair)) == PEOPLE


def greedy(found, iou):
    """Return the indices that plain greedy suppression keeps, best first."""
    kept = []
    for index in np.argsort(-found.scores, kind="stable"):
        mine = [k for k in kept if found.classes[k] == found.classes[index]]
        if not mine or overlaps(found.boxes[[index]], found.boxes[mine]).max() <= iou:
            kept.append(index)
    return np.array(kept)


@pytest.mark.parametrize(("count", "extent"), [(1, 100), (900, 200), (3500, 60), (4000, 1500)])
def test_it_is_plain_greedy_suppression(count, extent):
    """Also where the candidates fill several blocks; the bound cuts what is left, worst first."""
    rng = np.random.default_rng(count)
    corners = rng.uniform(0, extent, (count, 2))
    boxes = np.hstack([corners, corners + rng.uniform(10, 40, (count, 2))])
    found = Candidates(boxes, rng.uniform(0.1, 1, count), rng.integers(0, 3, count))
    expected = greedy(found, 0.45)
    assert (len(expected) > MAX_DETECTIONS) == (extent == 1500)
    kept = strongest(found, 0.0, 0.45)
    assert np.array_equal(kept.boxes, found.boxes[expected[:MAX_DETECTIONS]])
    assert np.array_equal(kept.scores, found.scores[expected[:MAX_DETECTIONS]])


@pytest.mark.parametrize("iou", [None, 0.5])
def test_nothing_gives_nothing(iou):
    nobody = Candidates(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
    assert len(strongest(nobody, 0.5, iou).scores) == 0
