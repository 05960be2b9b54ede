"""Masks made from a frame itself."""

import cv2
import numpy as np
import pytest

from fusion_core.masks import hot_regions
from fusion_core.masks.regions import fill_boxes, labelled_regions, object_regions
from fusion_core.models.blocks.object_prompts import find_objects
from fusion_lab.data import Needs, read_examples
from fusion_lab.data.labels import PERSON


def warm_scene(height=480, width=640):
    """A ramp from a cold sky to a warm ground, with a little noise."""
    ramp = np.linspace(0.2, 0.6, height, dtype=np.float32)[:, None].repeat(width, 1)
    return ramp + np.random.default_rng(0).normal(0, 0.01, ramp.shape).astype(np.float32)


def test_a_person_is_found_with_its_outline_and_nothing_else():
    scene = warm_scene()
    truth = np.zeros(scene.shape, np.uint8)
    cv2.ellipse(truth, (300, 260), (14, 40), 0, 0, 360, 1, -1)
    found = hot_regions(np.where(truth > 0, 0.9, scene).astype(np.float32))
    assert set(np.unique(found)) == {0, 1}
    overlap = (found * truth).sum() / np.maximum(found, truth).sum()
    assert overlap > 0.6
    assert found[:180].sum() == 0


def test_a_scene_without_anything_hot_has_nothing_marked():
    assert hot_regions(np.clip(warm_scene(), 0, 1)).sum() == 0
    assert hot_regions(np.full((48, 64), 0.5, np.float32)).sum() == 0


def test_a_cold_thing_is_not_marked():
    scene = warm_scene()
    scene[200:280, 300:330] = 0
    found = hot_regions(scene)
    assert found[200:280, 300:330].sum() == 0


@pytest.mark.parametrize("size", [(120, 160), (480, 640), (1024, 1280)])
def test_the_same_scene_gives_the_same_share_at_any_size(size):
    scene = warm_scene()
    cv2.rectangle(scene, (200, 200), (239, 299), 0.95, -1)
    found = hot_regions(cv2.resize(scene, size[::-1], interpolation=cv2.INTER_AREA))
    assert found.mean() == pytest.approx(40 * 100 / (480 * 640), rel=0.25)


def test_boxes_fill_the_pixels_whose_middle_they_hold():
    """By hand: columns 1.4 to 4.5 hold the middles 1.5, 2.5, 3.5; the right border 4.5 does not."""
    mask = fill_boxes([(1.4, 0.6, 3.1, 1.0)], 3, 6)
    assert np.argwhere(mask).tolist() == [[1, 1], [1, 2], [1, 3]]
    assert fill_boxes([], 3, 6).sum() == 0
    assert fill_boxes([(-5, -5, 100, 100)], 3, 6).sum() == 18


@pytest.mark.parametrize("value", [0.9, 0.05], ids=["hot", "cold"])
def test_the_object_in_a_box_is_found_with_its_outline(value):
    scene = warm_scene()
    truth = np.zeros(scene.shape, np.uint8)
    cv2.ellipse(truth, (300, 260), (14, 40), 0, 0, 360, 1, -1)
    thermal = np.where(truth > 0, value, scene).astype(np.float32)
    found = object_regions(thermal, [(284, 218, 32, 84)], *scene.shape)
    assert (found * truth).sum() / np.maximum(found, truth).sum() > 0.9


def test_a_box_without_an_object_is_marked_whole():
    """So is one that fills the picture: nothing is left to compare with."""
    scene, boxes = warm_scene(), [(284, 218, 32, 84)]
    expected = fill_boxes(boxes, *scene.shape)
    np.testing.assert_array_equal(object_regions(scene, boxes, *scene.shape), expected)
    np.testing.assert_array_equal(object_regions(None, boxes, *scene.shape), expected)
    assert object_regions(scene, [(-5, -5, 700, 500)], *scene.shape).all()
    assert not object_regions(scene, [], *scene.shape).any()
    assert not object_regions(scene, [(700, 10, 20, 20)], *scene.shape).any()


def test_of_a_vehicle_the_box_is_marked_as_a_shape_and_of_a_person_the_silhouette():
    """The engine of the one and all of the other are warm: half of each box.

    By hand: corners of 0.15 * 40 = 6 pixels are cut, 6 + 5 + ... + 1 pixels each.
    """
    scene = warm_scene()
    scene[300:340, 100:130] = scene[300:340, 300:330] = 0.9
    boxes = [("car", (100, 300, 60, 40)), ("person", (300, 300, 60, 40))]
    found = labelled_regions(scene, boxes, *scene.shape)
    assert found[:, :200].sum() == 60 * 40 - 4 * 21
    assert found[:, 200:].sum() == 30 * 40


def test_boxes_are_left_to_a_network_that_looks_in_them_but_for_those_that_touch_a_vehicle():
    """A box that touches another shape would be one shape with it, and be taken whole."""
    scene = warm_scene()
    scene[300:340, 300:330] = scene[300:340, 500:530] = 0.9
    away, near = ("person", (300, 300, 60, 40)), ("person", (500, 300, 60, 40))
    car = ("car", (561, 300, 40, 40))
    found = labelled_regions(scene, [away, near, car], *scene.shape, boxes=True)
    assert found[:, :400].sum() == 60 * 40
    assert found[:, 400:561].sum() == 30 * 40
    apart = ("car", (562, 300, 40, 40))
    assert labelled_regions(scene, [near, apart], *scene.shape, boxes=True)[:, :562].sum() == 2400


@pytest.mark.parametrize("size", [(7, 8), (12, 20), (20, 12), (37, 90), (150, 300)])
def test_the_shape_of_a_vehicle_is_no_box_to_a_network(size):
    high, wide = size
    found = labelled_regions(None, [("truck", (40, 50, wide, high))], 480, 640)
    (one,), exact = find_objects(found.astype(np.uint8))
    assert not one.by_box
    assert one.box == (40, 50, wide, high)
    assert exact.sum() >= 0.5 * wide * high
    assert not labelled_regions(None, [("truck", (700, 50, 20, 20))], 480, 640).any()


@pytest.mark.data
def test_people_in_checked_boxes_are_found_with_their_silhouettes(recordings):
    """Intersection over union with the silhouettes of a published segmentation network (MFNet)."""
    overlaps, of_boxes = [], []
    for name in ("msrs", "llvip"):
        for example in read_examples([recordings / name], needs=Needs(labels=True, mask=True)):
            thermal = example.second.astype(np.float32) / 255
            if example.mask is None:
                continue
            for left, top, right, bottom in example.labels.of(PERSON):
                box = (left, top, right - left, bottom - top)
                inside = fill_boxes([box], *thermal.shape) > 0
                truth = (example.mask > 127) & inside
                # Small people, and those whose silhouette is not known.
                if box[3] < 24 or truth.sum() < 0.3 * inside.sum():
                    continue
                found = object_regions(thermal, [box], *thermal.shape) > 0
                overlaps.append((found & truth).sum() / (found | truth).sum())
                of_boxes.append(truth.sum() / inside.sum())
    assert len(overlaps) > 100
    assert np.mean(overlaps) > 0.75 > np.mean(of_boxes) + 0.2
