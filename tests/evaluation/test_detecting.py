"""The detector as judge, with a network that sees bright spots, on pictures that have some."""

import json

import cv2
import numpy as np
import onnx_networks as networks
import pytest
import tyro

from fusion_core.detection import Detector
from fusion_core.errors import SourceError, UsageError
from fusion_core.types import Detection
from fusion_lab.cli.evaluate import Evaluate
from fusion_lab.data import list_pairs
from fusion_lab.evaluation import FolderMethod, score_by_detection
from fusion_lab.evaluation.detecting import grouped

SPOTS = {"a": (40, 30), "b": (90, 60)}


@pytest.fixture
def data(tmp_path):
    """Two pairs of 128 x 96: the thermal image shows the spots, the visible one shows nothing.

    The fused images `good` show them, too, `moved` shows them 10 pixels to the right.
    """
    for folder in ("set/vi", "set/ir", "set/labels", "good", "moved"):
        (tmp_path / folder).mkdir(parents=True)
    for stem, spot in SPOTS.items():
        save(tmp_path / "set" / "vi" / f"{stem}.png", np.full((96, 128), 60, np.uint8))
        for folder, shift in (("set/ir", 0), ("good", 0), ("moved", 10)):
            image = np.full((96, 128), 20, np.uint8)
            x, y = spot[0] + shift, spot[1]
            image[y - 4 : y + 4, x - 4 : x + 4] = 255
            save(tmp_path / folder / f"{stem}.png", image)
        box = f"{spot[0] - 4},{spot[1] - 4},8,8"
        (tmp_path / "set" / "labels" / f"{stem}.csv").write_text(f"label,x,y,w,h\nperson,{box}\n")
    return tmp_path


def save(path, image):
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def spot_finder(tmp_path):
    """Finds the spot with score 0.9; without one it puts a box into the corner."""
    return networks.spot_finder(tmp_path / "spot.onnx", metadata={"names": "['person']"})


def test_what_shows_the_objects_scores(data, spot_finder):
    methods = [FolderMethod.parse(str(data / name)) for name in ("good", "moved")]
    scores = score_by_detection(Detector(spot_finder), list_pairs([data / "set"]), methods)
    found = {name: classes["person"] for name, classes in scores.inputs.items()}
    assert {name: entry.ap50 for name, entry in found.items()} == {
        "visible": 0, "thermal": 1, "good": 1, "moved": 0,
    }  # fmt: skip
    assert {name: entry.recall for name, entry in found.items()} == {
        "visible": 0, "thermal": 1, "good": 1, "moved": 0,
    }  # fmt: skip
    assert found["moved"].precision == 0
    assert scores.mean_ap50("good") == 1  # of the one class that occurs


def test_labels_of_a_detector_are_mapped_and_boxes_of_one_class_merged(data, tmp_path):
    """Car and truck on the same spot are one vehicle; a dog is nothing that counts."""
    rows = np.zeros((1, 7, 16), np.float32)
    for index in range(3):
        rows[0, :4, index] = [40, 30, 8, 8]
        rows[0, 4 + index, index] = 0.9 - 0.1 * index
    metadata = {"names": "['car', 'truck', 'dog']"}
    shape = (1, 3, 96, 128)
    path = networks.constant(tmp_path / "c.onnx", {"o": rows}, shape=shape, metadata=metadata)
    (data / "set" / "labels" / "a.csv").write_text("label,x,y,w,h\nbus,36,26,8,8\n")
    (data / "set" / "labels" / "b.csv").write_text("label,x,y,w,h\nignore,30,20,20,20\n")
    scores = score_by_detection(Detector(path), list_pairs([data / "set"]), [])
    vehicle = scores.inputs["visible"]["vehicle"]
    assert vehicle.ap50 == pytest.approx(1)
    assert (vehicle.objects, vehicle.precision) == (1, 1)


def test_neighbours_whom_the_detector_tells_apart_stay_two(spot_finder):
    """Boxes may overlap more than suppression allows once they are averaged."""
    boxes = [(10.0, 10.0, 20.0, 60.0), (12.0, 10.0, 20.0, 60.0)]
    found = [Detection(label="person", score=0.9 - 0.1 * n, box=b) for n, b in enumerate(boxes)]
    assert grouped(found, Detector(spot_finder)).scores == pytest.approx([0.9, 0.8])


def test_a_detector_for_pairs_sees_each_pair_once(data, tmp_path):
    metadata = {"names": "['r', 'g', 'b', 'person']", "input": "pair", "conf": "0.02"}
    path = networks.colour_meter(tmp_path / "p.onnx", channels=4, metadata=metadata)
    methods = [FolderMethod.parse(str(data / "good"))]
    scores = score_by_detection(Detector(path), list_pairs([data / "set"]), methods)
    assert list(scores.inputs) == ["pair"]


def test_pictures_without_labels_are_refused(data, spot_finder):
    (data / "set" / "labels" / "b.csv").unlink()
    with pytest.raises(SourceError, match=r"no b.csv or b.txt"):
        score_by_detection(Detector(spot_finder), list_pairs([data / "set"]), [])


class TestCommand:
    def run(self, *arguments):
        return tyro.cli(Evaluate, args=[str(argument) for argument in arguments]).run()

    def test_scores_beside_the_metrics(self, data, spot_finder, capsys):
        out, page = data / "scores.json", data / "page.html"
        base = ("--data", data / "set", "--detector", spot_finder, "--out", out)
        assert self.run(*base, "--fused", data / "good", "--html", page) == 0
        written = json.loads(out.read_text())
        assert written["method"] == "good"
        assert written["metrics"]["EN"] > 0
        detection = written["detection"]
        assert detection["inputs"]["good"] == {
            "mAP50": 1.0,
            "person": {
                "objects": 2, "AP50": 1.0, "AP": 1.0, "recall": 1.0, "precision": 1.0,
                "recall_at_1_false_per_picture": 1.0,
                "recall_at_0.1_false_per_picture": 1.0,
            },
            "vehicle": {
                "objects": 0, "AP50": None, "AP": None, "recall": None, "precision": None,
                "recall_at_1_false_per_picture": None,
                "recall_at_0.1_false_per_picture": None,
            },
            "cycle": {
                "objects": 0, "AP50": None, "AP": None, "recall": None, "precision": None,
                "recall_at_1_false_per_picture": None,
                "recall_at_0.1_false_per_picture": None,
            },
        }  # fmt: skip
        assert list(detection["inputs"]) == ["visible", "thermal", "good"]
        assert "mAP50" in capsys.readouterr().out
        text = page.read_text(encoding="utf-8")
        assert "Objects found by spot.onnx" in text
        assert "person recall@1" in text
        assert "vehicle recall@1" not in text  # none is labelled

    def test_the_sources_alone(self, data, spot_finder):
        out = data / "scores.json"
        assert self.run("--data", data / "set", "--detector", spot_finder, "--out", out) == 0
        written = json.loads(out.read_text())
        assert (written["dataset"], written["pairs"]) == ("set", 2)
        assert list(written["detection"]["inputs"]) == ["visible", "thermal"]

    def test_a_recording_has_no_labels(self, data, spot_finder):
        source = "synthetic://street?seed=1&registered=1"
        streams = ("--visible", source, "--thermal", source, "--model", "m2pn-edge")
        with pytest.raises(UsageError, match="labelled pictures"):
            self.run(*streams, "--detector", spot_finder, "--out", data / "s.json")

    def test_a_page_needs_something_fused(self, data, spot_finder):
        base = ("--data", data / "set", "--detector", spot_finder, "--out", data / "s.json")
        with pytest.raises(UsageError, match="without --html"):
            self.run(*base, "--html", data / "page.html")
