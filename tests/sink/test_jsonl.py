import json
import math

import numpy as np
import pytest

from fusion_core.errors import SinkError
from fusion_core.sink import open_sink
from fusion_core.types import Alarm, AlignedPair, Detection, Drop, ObjectHeat, ScenePrior


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_convention_line_has_the_documented_fields(tmp_path, make_fused):
    """The contract that outside programs read: names, nesting, units, box as x, y, w, h."""
    path = tmp_path / "out.jsonl"
    image = np.zeros((4, 6, 3), np.uint8)
    aligned = AlignedPair(
        0, image, None, np.ones((4, 6), bool), confidence=np.float32(0.5), residual_px=1.25
    )
    fused = make_fused(
        3,
        1_000,
        image,
        aligned=aligned,
        detections=(
            Detection(
                "person",
                0.75,
                (1.0, 2.0, 3.0, 4.0),
                7,
                36.5,
                predicted=True,
                heat=ObjectHeat(36.5, np.float32(38.25), 37.0, np.int64(12)),
            ),
            Detection("car", np.float32(0.25), (0.0, 0.0, 1.0, 1.0)),
        ),
        prior=ScenePrior(
            2,
            400,
            "embedded",
            {"smoke": 0.9},
            {"clean": 1.0},
            np.zeros((1, 2), np.float32),
            0.6,
            ("visible rain",),
        ),
        timings={"fusion": 12.3456789},
        health=("thermal_held",),
        recent_drops=(
            Drop(np.int64(900), "thermal", "unused"),
            Drop(None, "visible", "lost_on_wire"),
        ),
        unlisted_drops=3,
        alarms=(Alarm("above", 7, "person", np.float32(38.25), 38.0, np.int64(500)),),
        detected_ns=800,
    )
    with open_sink(str(path)) as sink:
        sink.write(fused)
    assert lines(path) == [
        {
            "frame": 3,
            "stamp_ns": 1000,
            "skew_ns": 500,
            "detections": [
                {
                    "label": "person",
                    "score": 0.75,
                    "box": [1.0, 2.0, 3.0, 4.0],
                    "track_id": 7,
                    "temperature": 36.5,
                    "predicted": True,
                    "heat": {
                        "mean": 36.5,
                        "maximum": 38.25,
                        "percentile": 37.0,
                        "pixels": 12,
                    },
                },
                {
                    "label": "car",
                    "score": 0.25,
                    "box": [0.0, 0.0, 1.0, 1.0],
                    "track_id": None,
                    "temperature": None,
                    "predicted": False,
                    "heat": None,
                },
            ],
            "detections_age_ns": 200,
            "alarms": [
                {
                    "kind": "above",
                    "track_id": 7,
                    "label": "person",
                    "temperature": 38.25,
                    "limit": 38.0,
                    "since_ns": 500,
                }
            ],
            "prior": {
                "provider": "embedded",
                "scene_id": 2,
                "age_ns": 600,
                "quality": 0.6,
                "visible": {"smoke": 0.9},
                "thermal": {"clean": 1.0},
                "disputed": ["visible rain"],
            },
            "registration": {"confidence": 0.5, "residual_px": 1.25},
            "recalled": None,
            "latency_ms": {"fusion": 12.345679},
            "health": ["thermal_held"],
            "dropped": [
                {"stamp_ns": 900, "stream": "thermal", "cause": "unused"},
                {"stamp_ns": None, "stream": "visible", "cause": "lost_on_wire"},
            ],
            "dropped_unlisted": 3,
        }
    ]


def test_numbers_that_json_lacks_become_null(tmp_path, make_fused):
    path = tmp_path / "out.jsonl"
    found = Detection("person", 0.5, (0.0, 0.0, 1.0, 1.0), temperature=math.nan)
    with open_sink(str(path)) as sink:
        sink.write(make_fused(detections=(found,), timings={"fusion": math.inf}))
    (line,) = lines(path)
    assert line["detections"][0]["temperature"] is None
    assert line["latency_ms"] == {"fusion": None}
    assert line["prior"] is None


def test_each_line_is_on_disk_before_the_next(tmp_path, make_fused):
    path = tmp_path / "new" / "out.jsonl"
    sink = open_sink(str(path))
    for number in range(3):
        sink.write(make_fused(number))
        assert [line["frame"] for line in lines(path)] == list(range(number + 1))
    sink.close()
    sink.close()


def test_old_file_is_replaced(tmp_path, make_fused):
    path = tmp_path / "out.jsonl"
    path.write_text("old\n")
    with open_sink(str(path)) as sink:
        sink.write(make_fused())
    assert len(lines(path)) == 1


def test_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "out.jsonl").mkdir()
    with pytest.raises(SinkError, match=r"out\.jsonl: cannot be written"):
        open_sink(str(tmp_path / "out.jsonl"))
