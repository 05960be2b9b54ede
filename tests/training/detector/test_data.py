import cv2
import numpy as np
import pytest

from fusion_core.errors import SourceError
from fusion_lab.data import BoxLabels, Example, Needs, read_examples
from fusion_lab.data.labels import IGNORE, load_labels
from fusion_lab.synthetic import SyntheticScene
from fusion_lab.training.detector.rendered import empty_grounds, render_aerial, render_scene


def load_labelled(folders):
    return read_examples(folders, needs=Needs(labels=True))


def test_convention_labels_are_left_top_width_height_and_three_classes(tmp_path, write_labels):
    rows = [("truck", 10, 20, 30, 5), ("motorcycle", 1, 2, 3, 4), ("ignore", 0, 0, 9, 9)]
    write_labels(tmp_path / "a.csv", rows)
    labels = load_labels(tmp_path, "a", 48, 64)
    assert labels.boxes.tolist() == [[10, 20, 40, 25], [1, 2, 4, 6], [0, 0, 9, 9]]
    assert labels.classes.tolist() == [1, 2, IGNORE]


def test_a_picture_without_objects_is_a_picture(tmp_path, labelled_folder, write_labels):
    write_labels(labelled_folder / "labels" / "scene_1.csv", [])
    pairs = load_labelled([labelled_folder])
    assert [len(pair.labels.boxes) for pair in pairs] == [1, 0, 1, 2]


def test_convention_pictures_are_red_green_blue_and_thermal(labelled_folder, scenes):
    """The people are written as blue, green, red = 40, 60, 180, thermal 230."""
    (pair, *_) = load_labelled([labelled_folder])
    x, y, w, h = scenes[0][0]
    middle = y + h // 2, x + w // 2
    assert pair.first[middle].tolist() == [180, 60, 40]
    assert pair.second[middle] == 230


def test_a_label_without_its_image_and_an_empty_folder_are_errors(tmp_path, labelled_folder):
    (labelled_folder / "ir" / "scene_2.png").unlink()
    with pytest.raises(SourceError, match="scene_2"):
        load_labelled([labelled_folder])
    with pytest.raises(SourceError, match="no labelled pairs"):
        load_labelled([tmp_path / "nothing"])


def test_frames_of_videos_are_found_by_their_number(tmp_path, write_labels):
    """Every frame is of one gray, 20 times its number."""
    for name in ("vi", "ir"):
        fourcc = cv2.VideoWriter_fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(tmp_path / f"{name}.mp4"), fourcc, 10, (64, 48))
        for number in range(8):
            writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
        writer.release()
    for number in (2, 5):
        write_labels(tmp_path / "labels" / f"{number:04d}.csv", [("person", 1, 1, 9, 9)])
    pairs = load_labelled([tmp_path])
    for pictures in ([pair.first for pair in pairs], [pair.second for pair in pairs]):
        assert [picture.mean() for picture in pictures] == pytest.approx([40, 100], abs=4)
    assert [pair.name for pair in pairs] == ["0002", "0005"]


def test_rendered_people_are_warm_where_their_labels_say(tmp_path):
    """At night people are the warmest things of the street."""
    for name in ("vi", "ir", "labels"):
        (tmp_path / name).mkdir()
    render_scene(tmp_path, SyntheticScene("night", 1000, 1.0, 1, 1, registered=True))
    (pair,) = load_labelled([tmp_path])
    people = pair.labels.boxes[pair.labels.classes == 0].astype(int)
    assert len(people) >= 2
    median = np.median(pair.second)
    for left, top, right, bottom in people:
        assert pair.second[top:bottom, left:right].max() > median + 50


def column_pair(left, right):
    """A pair whose thermal pixels hold their column, with one object between two columns."""
    columns = np.tile(np.arange(250, dtype=np.uint8), (200, 1))
    boxes = np.array([[left, 0, right, 200]], np.float32)
    labels = BoxLabels(boxes, np.array([IGNORE]))
    return Example(
        np.zeros((200, 250, 3), np.uint8), columns, None, "vif", "", None, labels, None, "a", "a"
    )


def test_grounds_are_parts_without_objects():
    grounds = empty_grounds([column_pair(0, 40)], 5)
    assert len(grounds) == 5
    for ground in grounds:
        assert ground.shape[2] == 4
        assert min(ground.shape[:2]) >= 128
        assert ground[..., 3].min() >= 40
    assert empty_grounds([column_pair(100, 150)], 5) == []  # 100 columns on either side


def test_two_thirds_of_the_pairs_from_the_air_lie_on_the_grounds_given(tmp_path):
    ground = np.full((150, 200, 4), (30, 200, 60, 128), np.uint8)
    render_aerial(tmp_path / "drawn", range(3))
    render_aerial(tmp_path / "recorded", range(3), [ground])
    for seed in range(3):
        drawn, recorded = (
            (tmp_path / name / "vi" / f"000{seed}.png").read_bytes()
            for name in ("drawn", "recorded")
        )
        assert (drawn == recorded) == (seed == 0)
    assert len(load_labelled([tmp_path / "recorded"])) == 3
