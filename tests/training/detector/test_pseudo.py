"""Labels from looks of a trained detector: what they agree on."""

from pathlib import Path

import numpy as np
import onnx_networks as networks
import pytest

from fusion_core.errors import UsageError
from fusion_core.types import Detection
from fusion_lab.cli.label import Label
from fusion_lab.data import Needs, read_examples
from fusion_lab.training.detector.pseudo import agreed


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


@pytest.fixture
def clip(tmp_path, write_pair):
    """Six frames of a bright thing that moves, two of them labelled."""
    for number in range(6):
        write_pair(tmp_path / "clip", f"{number:04d}", number, [(20 + 5 * number, 30, 24, 60)])
    for number in (1, 2, 3, 5):
        (tmp_path / "clip" / "labels" / f"{number:04d}.csv").unlink()
    return tmp_path / "clip"


@pytest.fixture
def finder(tmp_path):
    """A network that finds what is bright; its box is 8 by 8 pixels of its input of 128x96."""
    return networks.spot_finder(tmp_path / "net.onnx", metadata={"names": "['person']"})


def test_frames_without_labels_get_them_where_the_objects_are(tmp_path, clip, finder, capsys):
    out = tmp_path / "out"
    assert Label((clip,), out, (str(finder),), tiles=1, every=2).run() == 0
    assert "2 frames, 2 objects, 0 doubtful" in capsys.readouterr().out
    pairs = read_examples([out], needs=Needs(labels=True))
    assert [pair.name for pair in pairs] == ["0001", "0003"]
    for pair, left in zip(pairs, (25, 35), strict=True):
        assert pair.labels.classes.tolist() == [0]
        x0, y0, x1, y1 = pair.labels.boxes[0]
        assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((left + 12, 60), abs=1)
        assert (x1 - x0, y1 - y0) == pytest.approx((8 * 128 / 96,) * 2, abs=0.5)
        again = next(each for each in read_examples([clip]) if each.name == pair.name)
        assert np.array_equal(again.second, pair.second)


def test_pairs_that_are_named_and_folders_of_clips_are_labelled_too(tmp_path, write_pair, finder):
    for name in ("dusk", "day"):
        write_pair(tmp_path / "clips" / name, "FLIR_07", 0, [(20, 30, 24, 60)])
        write_pair(tmp_path / "clips" / name, "FLIR_08", 0, [(60, 30, 24, 60)])
        (tmp_path / "clips" / name / "labels" / "FLIR_08.csv").unlink()
    out = tmp_path / "out"
    Label((tmp_path / "clips",), out, (str(finder),), tiles=1).run()
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*.csv"))
    assert written == ["day/labels/FLIR_08.csv", "dusk/labels/FLIR_08.csv"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"every": 0}, "--every 0: must be at least 1"),
        ({"tiles": 9}, "--tiles 9: must be from 1 to 8"),
        ({"out": "clip/labels"}, "labels is the input"),
        ({"out": "full"}, "full: is no empty folder"),
        ({"data": ("clip", "other/clip")}, "has the name of"),
    ],
)
def test_what_cannot_be_labelled_is_refused(
    tmp_path, clip, finder, write_pair, monkeypatch, options, words
):
    monkeypatch.chdir(tmp_path)
    write_pair(tmp_path / "other" / "clip", "0001", 0, [])
    (tmp_path / "full" / "vi").mkdir(parents=True)
    given = {"data": (clip.name,), "out": "new", "detector": (str(finder),), "tiles": 1} | options
    data, out = tuple(map(Path, given.pop("data"))), Path(given.pop("out"))
    with pytest.raises(UsageError, match=words):
        Label(data, out, **given).run()
    assert not (tmp_path / "new").exists()
