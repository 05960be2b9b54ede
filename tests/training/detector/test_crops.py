import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from fusion_lab.data import BoxLabels, Example
from fusion_lab.data.labels import IGNORE, PERSON
from fusion_lab.training.detector.assign import Objects
from fusion_lab.training.detector.crops import (
    Sampling,
    degrade_cameras,
    draw_picture,
    make_detection_batch,
    to_objects,
)
from fusion_lab.training.detector.degrade import THERMAL, VISIBLE, degrade
from fusion_lab.training.detector.pool import DetectionPool

PLAIN = Sampling(size=128, fitted=(128, 160), scale=(0.5, 1.6), mosaic=0, shift=0, blind=0)


def labelled(name, planes, boxes, kind):
    labels = BoxLabels(boxes, np.array([kind]))
    pictures = {"first": planes[..., :3], "second": planes[..., 3], "target": None}
    place = {"folder": Path(), "name": name, "scene": name}
    return Example(**pictures, **place, task="vif", text="", mask=None, labels=labels)


def bright_boxes(pair_count=3):
    """Pairs that are black but for one white rectangle, which is the object."""
    pairs = []
    for index in range(pair_count):
        planes = np.zeros((128, 160, 4), np.uint8)
        left, top, right, bottom = 30 + 20 * index, 20 + 10 * index, 80 + 20 * index, 90
        planes[top:bottom, left:right] = 255
        boxes = np.array([[left, top, right, bottom]], np.float32)
        pairs.append(labelled(str(index), planes, boxes, 0))
    return DetectionPool(pairs)


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_boxes_follow_their_objects_through_scale_flip_and_mosaic(mosaic):
    """What is bright in either modality is exactly what the boxes say, to a pixel at each edge."""
    sampling = dataclasses.replace(PLAIN, mosaic=mosaic)
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(30):
        picture, labels = draw_picture(bright_boxes(), sampling, rng)
        inside, near = np.zeros((2, 128, 128), bool)
        for box in labels.boxes:
            left, top, right, bottom = box
            x0, y0 = np.floor([left - 1, top - 1]).clip(0).astype(int)
            x1, y1 = np.ceil([right + 1, bottom + 1]).astype(int)
            near[y0:y1, x0:x1] = True
            x0, y0 = np.ceil([left + 1, top + 1]).astype(int)
            x1, y1 = np.floor([right - 1, bottom - 1]).astype(int)
            inside[y0:y1, x0:x1] = True
            seen += 1
        for plane in (picture[..., 0], picture[..., 3]):
            assert plane[inside].min(initial=255) > 200
            assert plane[~near].max(initial=0) <= 114
    assert seen > 10


def test_what_is_left_of_an_object_cut_by_the_border_is_ignored():
    planes = np.zeros((128, 160, 4), np.uint8)
    boxes = np.array([[0, 40, 160, 50]], np.float32)
    pool = DetectionPool([labelled("wide", planes, boxes, 1)])
    sampling = dataclasses.replace(PLAIN, size=32, scale=(1.0, 1.0), centred=1.0)
    classes = {
        int(number)
        for seed in range(20)
        for number in draw_picture(pool, sampling, np.random.default_rng(seed))[1].classes
    }
    assert classes == {IGNORE}


def test_ignored_regions_are_kept_apart():
    boxes = np.array([[0, 0, 4, 8], [10, 10, 20, 30]], np.float32)
    objects = to_objects(BoxLabels(boxes, np.array([IGNORE, 2])))
    assert isinstance(objects, Objects)
    assert objects.boxes.tolist() == [[15, 20, 10, 20]]
    assert objects.classes.tolist() == [2]
    assert objects.ignore.tolist() == [[2, 4, 4, 8]]


def test_batches_depend_on_seed_and_step_only(pool):
    sampling = Sampling(size=96, fitted=(128, 160))
    first, boxes, people = make_detection_batch(pool, sampling, count=3, seed=1, step=5)
    again, *same = make_detection_batch(pool, sampling, count=3, seed=1, step=5)
    other, *_ = make_detection_batch(pool, sampling, count=3, seed=1, step=6)
    assert torch.equal(first, again)
    for mine, twin in zip((boxes, people), same, strict=True):
        assert all(torch.equal(a.boxes, b.boxes) for a, b in zip(mine, twin, strict=True))
    assert not torch.equal(first, other)
    assert first.dtype == torch.float32
    assert 0 <= first.min() <= first.max() <= 1


def test_a_blind_camera_shows_nothing_of_the_scene_and_the_other_is_kept(pool):
    """Never both: the labels must be seen in one of them."""
    sampling = Sampling(size=96, fitted=(128, 160), blind=1.0, centred=1.0, mosaic=0)
    for seed in range(25):
        pictures, objects, _ = make_detection_batch(pool, sampling, count=1, seed=seed, step=0)
        if not len(objects[0].boxes):
            continue
        spread = [pictures[0, :3].std().item(), pictures[0, 3].std().item()]
        assert max(spread) > 0.01


def test_what_a_frozen_camera_shows_is_ignored_and_the_rest_stays_known():
    """One picture is blank, the other has the one object: whichever is drawn stays labelled."""
    sampling = dataclasses.replace(PLAIN, blind=1.0, frozen=1.0)
    rng = np.random.default_rng(0)
    for _ in range(10):
        picture, labels = draw_picture(bright_boxes(1), sampling, rng)
        _, known, _ = degrade_cameras(picture, labels, bright_boxes(1), sampling, rng)
        count = len(labels.classes)
        assert known.boxes[:count].tolist() == labels.boxes.tolist()
        assert known.classes[:count].tolist() == labels.classes.tolist()
        assert (known.classes[count:] == IGNORE).all()


@pytest.mark.parametrize("frozen", [0.0, 1.0])
@pytest.mark.parametrize("camera", ["visible", "thermal"])
def test_thermal_alone_answers_for_what_it_shows(camera, frozen):
    """Dead: for nothing; frozen: for the other scene; with the visible one broken: for its own."""
    chances = {"blind": 1.0, "thermal": float(camera == "thermal"), "frozen": frozen}
    sampling = dataclasses.replace(PLAIN, **chances)
    picture = np.zeros((128, 128, 4), np.uint8)
    labels = BoxLabels(np.array([[0, 0, 9, 9]], np.float32), np.array([PERSON]))
    _, both, alone = degrade_cameras(
        picture, labels, bright_boxes(1), sampling, np.random.default_rng(2)
    )
    assert both.classes.tolist()[:1] == [PERSON]
    assert (both.classes[1:] == IGNORE).all()
    assert len(both.classes) == 1 + int(frozen)
    if camera == "visible":
        assert alone.classes.tolist() == [PERSON]
    elif frozen:
        assert alone.boxes.tolist() == both.boxes[1:].tolist()
        assert IGNORE not in alone.classes
    else:
        assert not len(alone.classes)


def test_thermal_alone_is_asked_for_people_only():
    """A vehicle is background for it; what is ignored stays so."""
    boxes = np.arange(12, dtype=np.float32).reshape(3, 4)
    people = BoxLabels(boxes, np.array([1, PERSON, IGNORE])).people()
    assert people.boxes.tolist() == boxes[1:].tolist()
    assert people.classes.tolist() == [PERSON, IGNORE]


@pytest.mark.parametrize("kind", ["visible", "thermal"])
def test_every_degradation_keeps_shape_range_and_type(kind):
    rng = np.random.default_rng(0)
    image = rng.random((40, 50, 3) if kind == "visible" else (40, 50)).astype(np.float32)
    for step in VISIBLE if kind == "visible" else THERMAL:
        before = image.copy()
        changed = degrade(image, (step._replace(probability=1.0, camera=False),), rng)
        assert changed.shape == image.shape
        assert changed.dtype == np.float32
        assert 0 <= changed.min() <= changed.max() <= 1
        assert not np.array_equal(changed, before)
        assert np.array_equal(image, before)


@pytest.mark.parametrize("steps", [VISIBLE, THERMAL], ids=["visible", "thermal"])
def test_all_that_goes_wrong_at_once_is_still_a_picture(steps):
    """Sharpening and clipping leave the range; a power of what is below 0 would be no number."""
    certain = tuple(step._replace(probability=1.0) for step in steps)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        image = rng.random((40, 50, 3) if steps is VISIBLE else (40, 50)).astype(np.float32)
        changed = degrade(image, certain, rng, other_cameras=True)
        assert np.isfinite(changed).all()
        assert 0 <= changed.min() <= changed.max() <= 1


def test_other_cameras_are_left_out_unless_they_are_asked_for():
    image = np.random.default_rng(1).random((40, 50)).astype(np.float32)
    only = tuple(s._replace(probability=1.0) for s in THERMAL if s.camera)
    rng = np.random.default_rng(0)
    assert np.array_equal(degrade(image, only, rng), image)
    # Nothing was drawn for them either, so that runs without them stay as they were.
    assert rng.random() == np.random.default_rng(0).random()
    assert not np.array_equal(degrade(image, only, rng, other_cameras=True), image)
