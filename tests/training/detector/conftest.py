"""A folder of labelled pairs whose people are bright in thermal."""

import csv

import cv2
import numpy as np
import pytest

from fusion_lab.data import Needs, read_examples
from fusion_lab.training.detector import DetectionPool


def _write_labels(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("label", "x", "y", "w", "h"), *rows])


def write_scene(folder, stem, seed, people):
    """Write one pair of 160x128 pixels with an upright bright rectangle for each person."""
    rng = np.random.default_rng(seed)
    visible = cv2.resize(rng.integers(60, 120, (8, 10, 3), np.uint8), (160, 128))
    thermal = cv2.resize(rng.integers(40, 90, (8, 10), np.uint8), (160, 128))
    for x, y, w, h in people:
        visible[y : y + h, x : x + w] = (40, 60, 180)
        thermal[y : y + h, x : x + w] = 230
    for kind, image in (("vi", visible), ("ir", thermal)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(folder / kind / f"{stem}.png"), image)
    _write_labels(folder / "labels" / f"{stem}.csv", [("person", *box) for box in people])


@pytest.fixture
def write_labels():
    return _write_labels


SCENES = (
    [(20, 30, 24, 60)],
    [(90, 40, 20, 50), (130, 50, 16, 40)],
    [(60, 20, 40, 96)],
    [(10, 60, 14, 36), (70, 50, 22, 56)],
)


@pytest.fixture
def scenes():
    return SCENES


@pytest.fixture
def labelled_folder(tmp_path):
    for index, people in enumerate(SCENES):
        write_scene(tmp_path / "labelled", f"scene_{index}", index, people)
    return tmp_path / "labelled"


@pytest.fixture
def pool(labelled_folder):
    return DetectionPool(read_examples([labelled_folder], needs=Needs(labels=True)))


@pytest.fixture
def write_pair():
    return write_scene
