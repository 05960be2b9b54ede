"""The person at a point, found by a network in numpy."""

import cv2
import numpy as np
import pytest
import torch

from fusion_core.errors import WeightsError
from fusion_core.masks.marks import Marks, Scene
from fusion_core.masks.person_at import (
    STRIDES,
    WINDOW,
    Looks,
    PersonNetwork,
    heights_in,
    person_at,
    read_person_network,
)
from fusion_core.types import Detection
from fusion_lab.training.clicking.trainer import ClickNetwork, ClickRecipe


def scene_with_a_person(x=300, y=260, height=120):
    """A ramp from a cold sky to a warm ground, and a hot ellipse 2.5 times as high as wide."""
    ramp = np.linspace(0.2, 0.4, 480, dtype=np.float32)[:, None].repeat(640, 1)
    scene = ramp + np.random.default_rng(0).normal(0, 0.01, ramp.shape).astype(np.float32)
    if height:
        cv2.ellipse(scene, (x, y), (height // 5, height // 2), 0, 0, 360, 0.9, -1)
    return scene


def overlap(first, second):
    wide, high = (
        min(first[at] + first[at + 2], second[at] + second[at + 2]) - max(first[at], second[at])
        for at in (0, 1)
    )
    shared = max(0, wide) * max(0, high)
    return shared / (first[2] * first[3] + second[2] * second[3] - shared)


def test_numpy_computes_what_torch_does():
    torch.manual_seed(0)
    network = ClickNetwork(ClickRecipe(model="person-at", steps=1)).eval()
    layers = [
        (layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in network.layers
    ]
    assert [layer.stride[0] for layer in network.layers[:-2]] == list(STRIDES)
    windows = torch.randn(3, 2, *WINDOW)
    reaches, overlaps = PersonNetwork(layers).run(windows.numpy())
    with torch.no_grad():
        wanted, logits = network(windows)
    np.testing.assert_allclose(reaches, wanted.numpy(), atol=1e-4)
    np.testing.assert_allclose(overlaps, logits.sigmoid().numpy(), atol=1e-4)


@pytest.mark.parametrize("height", [45, 120, 300])
def test_a_person_of_the_height_looked_for_takes_30_of_48_rows_in_the_middle(height):
    """By hand: 48 rows are 1.6 heights, so one height is 30 rows."""
    picture = np.zeros((480, 640), np.float32)
    top, left = 240 - height // 2, 320 - height // 6
    picture[top : top + height, left : left + height // 3] = 1
    seen = Looks(picture).at(320, 240, height)[1] + 0.5
    rows, columns = (np.flatnonzero(seen.max(axis) > 0.5) for axis in (1, 0))
    assert (rows[0] + rows[-1]) / 2 == pytest.approx(24, abs=1)
    assert len(rows) == pytest.approx(30, abs=2)
    assert len(columns) == pytest.approx(10, abs=2)


def test_heights_reach_from_20_pixels_to_the_pictures_own():
    heights = heights_in(480)
    assert heights[0] == 20
    assert 480 / 1.36 < heights[-1] <= 1.15 * 480
    assert len(heights_in(8)) == 1


@pytest.mark.parametrize("height", [60, 120, 240])
def test_someone_is_found_at_a_click_and_nobody_on_bare_ground(height):
    found = person_at(scene_with_a_person(height=height), 300, 260)
    assert found.overlap > 0.5
    box = (300 - height // 5, 260 - height // 2, 2 * (height // 5), height)
    assert overlap(found.box, box) > 0.5
    assert person_at(scene_with_a_person(height=0), 300, 260).overlap < 0.5


def test_foreign_weights_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="torn or not safetensors"):
        read_person_network(path)


def test_of_detections_the_one_whose_middle_is_clicked_is_meant():
    """The point lies near the border of the smaller box, and in the middle of the larger."""
    small, large = (20.0, 20.0, 20.0, 40.0), (10.0, 10.0, 60.0, 80.0)
    detections = tuple(Detection("person", 0.9, box) for box in (small, large))
    marks = Marks()
    marks.add_point((0.38, 0.5), Scene(100, 100, None, detections))
    marked = np.argwhere(marks.mask(Scene(100, 100, None)))
    assert (marked.min(0).tolist(), marked.max(0).tolist()) == ([10, 10], [89, 69])


def test_a_detection_without_width_is_nowhere():
    marks = Marks()
    scene = Scene(100, 100, None, (Detection("person", 0.9, (50.0, 20.0, 0.0, 40.0)),))
    marks.add_point((0.5, 0.4), scene)
    assert marks.mask(scene).sum() == 10 * 10


def test_a_click_marks_the_box_for_a_network_that_segments_and_else_the_object():
    thermal = scene_with_a_person()
    scene = Scene(*thermal.shape, thermal)
    marks = Marks()
    marks.add_point(scene.share_of(300, 260), scene)
    box, silhouette = marks.mask(scene, boxes=True), marks.mask(scene)
    rows, columns = (np.flatnonzero(box.any(axis)) for axis in (1, 0))
    assert box.sum() == len(rows) * len(columns)
    assert (silhouette > 0)[thermal < 0.6].mean() < 0.01
    assert silhouette.sum() > 0.8 * (thermal > 0.6).sum()
