"""Reading of data folders: layouts of all tasks, and what lies beside the pictures."""

import cv2
import numpy as np
import pytest

from fusion_core.errors import EncodingError, SourceError
from fusion_lab.data import LAYOUTS, Needs, list_pairs, pair_files, read_example, read_examples


def picture(seed, shape=(40, 50, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)


def write_set(folder, task, stems=("p", "q")):
    """Write pictures whose seeds are 10 for the first and 20 for the second, plus the index."""
    for index, stem in enumerate(stems):
        write(folder / LAYOUTS[task].first / f"{stem}.png", picture(10 + index))
        write(folder / LAYOUTS[task].second / f"{stem}.png", picture(20 + index))
    return folder


@pytest.mark.parametrize("task", ["mef", "mff"])
def test_pairs_of_other_tasks_are_colour_on_both_sides(tmp_path, task):
    examples = read_examples([write_set(tmp_path, task)], task)
    assert [example.name for example in examples] == ["p", "q"]
    for index, example in enumerate(examples):
        assert example.task == task
        assert np.array_equal(example.first, picture(10 + index))
        assert np.array_equal(example.second, picture(20 + index))
        assert (example.target, example.mask, example.labels, example.text) == (None,) * 3 + ("",)


def test_convention_first_is_visible_and_second_is_gray_thermal(tmp_path):
    (example, _) = read_examples([write_set(tmp_path, "vif")])
    assert np.array_equal(example.first, picture(10))
    # BT.601 in 14-bit fixed point, as OpenCV documents it: within one level of the exact value.
    luma = picture(20) @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(example.second, luma, atol=0.51)


@pytest.mark.parametrize("task", ["vif", "mef"])
def test_luma_alone_is_read_on_demand(tmp_path, task):
    (example, _) = read_examples([write_set(tmp_path, task)], task, Needs(luma=True))
    assert example.first.shape == example.second.shape == (40, 50)


def test_what_lies_beside_the_pictures_is_read(tmp_path):
    write_set(tmp_path, "vif")
    for stem in ("p", "q"):
        write(tmp_path / "gt" / f"{stem}.png", picture(30))
    write(tmp_path / "masks" / "p.png", np.full((40, 50), 255, np.uint8))
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "q.txt").write_text("the man in the smoke\n")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "p.csv").write_text("label,x,y,w,h\nperson,1,2,3,4\n")
    plain = read_examples([tmp_path])
    assert [example.text for example in plain] == ["", "the man in the smoke"]
    assert all(np.array_equal(example.target, picture(30)) for example in plain)
    assert all(example.mask is None and example.labels is None for example in plain)
    (labelled,) = read_examples([tmp_path], needs=Needs(labels=True, mask=True))
    assert labelled.labels.boxes.tolist() == [[1, 2, 4, 6]]
    assert labelled.mask.min() == 255


def test_a_scene_is_a_clip_or_a_single_pair(tmp_path):
    write_set(tmp_path / "single", "mef")
    write_set(tmp_path / "clips" / "one", "mef")
    write_set(tmp_path / "clips" / "two", "mef")
    scenes = [e.scene for e in read_examples([tmp_path / "single", tmp_path / "clips"], "mef")]
    assert len(scenes) == 6
    assert len(set(scenes[:2])) == len(set(scenes[2:])) == 2


@pytest.mark.parametrize("name", ["a", "b", "gt"])
def test_every_stem_needs_all_files(tmp_path, name):
    write_set(tmp_path, "mff")
    for stem in ("p", "q"):
        write(tmp_path / "gt" / f"{stem}.png", picture(30))
    (tmp_path / name / "q.png").unlink()
    for read in (pair_files, lambda folder, task: read_examples([folder], task)):
        with pytest.raises(SourceError, match=rf"'q' has no partner in {name}/ \(1 such stems\)"):
            read(tmp_path, "mff")


@pytest.mark.parametrize("name", ["b", "gt"])
def test_a_picture_of_another_size_is_named(tmp_path, name):
    write_set(tmp_path, "mef", ["p"])
    write(tmp_path / "gt" / "p.png", picture(30))
    write(tmp_path / name / "p.png", picture(1, (30, 50, 3)))
    with pytest.raises(SourceError, match=rf"{name}/p\.png: 50x30, but .*a/p\.png is 50x40"):
        read_examples([tmp_path], "mef")


@pytest.mark.parametrize("luma", [False, True])
def test_pictures_of_16_bits_are_refused(tmp_path, luma):
    write_set(tmp_path, "vif", ["p"])
    write(tmp_path / "ir" / "p.png", picture(1)[..., 0].astype(np.uint16))
    with pytest.raises(EncodingError, match=r"p\.png: uint16"):
        read_example(list_pairs([tmp_path])[0], Needs(luma=luma))


def test_the_wrong_task_is_named_with_its_folders(tmp_path):
    write_set(tmp_path, "mef")
    with pytest.raises(SourceError, match="no pairs; expected vi/ and ir/"):
        read_examples([tmp_path])


@pytest.mark.parametrize(("labels", "names"), [(False, ["0", "10"]), (True, ["0003", "0011"])])
def test_frames_of_videos_are_every_tenth_or_the_labelled_ones(tmp_path, labels, names):
    """Every frame is of one gray, ten times its number."""
    for name in ("vi", "ir"):
        fourcc = cv2.VideoWriter_fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(tmp_path / f"{name}.mp4"), fourcc, 10, (64, 48))
        for number in range(14):
            writer.write(np.full((48, 64, 3), 10 * number, np.uint8))
        writer.release()
    (tmp_path / "labels").mkdir()
    for stem in ("0003", "0011"):
        (tmp_path / "labels" / f"{stem}.csv").write_text("label,x,y,w,h\n")
    examples = read_examples([tmp_path], needs=Needs(labels=labels))
    assert [example.name for example in examples] == names
    for example in examples:
        assert example.first.mean() == pytest.approx(10 * int(example.name), abs=4)
        assert example.second.mean() == pytest.approx(10 * int(example.name), abs=4)
    (tmp_path / "labels" / "0020.csv").write_text("label,x,y,w,h\n")
    if labels:
        with pytest.raises(SourceError, match="ends before frame 20, which has a label"):
            read_examples([tmp_path], needs=Needs(labels=True))
