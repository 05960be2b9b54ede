"""The scene memory inside the pipeline: marked, kept, and without influence where it is off."""

import json

import numpy as np
import pytest
from veiled_world import World, error, soft_disc, veiled

from fusion_core.config import Config
from fusion_core.pipeline import Pipeline
from fusion_core.sink.jsonl import to_record
from fusion_core.types import Frame, FramePair

CLOUD = soft_disc()
INSIDE = CLOUD > 0.9
SETTINGS = {"prior": "none", "detector": "none", "device": "cpu", "threads": 1}


def frame_pair(visible, thermal, stamp_ns):
    heat = np.rint(255 * thermal).astype(np.uint8)
    frames = [
        Frame(stamp_ns, "visible", visible, "rgb8"),
        Frame(stamp_ns, "thermal", heat, "mono8"),
    ]
    return FramePair(stamp_ns, *frames, skew_ns=0)


def results(pipeline, clear, smoky=12, start_ns=0):
    world = World()
    for index in range(clear + smoky):
        visible = world.visible()
        if index >= clear:
            visible = veiled(visible, 0.95 * CLOUD)
        # No picture is the same twice: a camera that repeats itself counts as frozen.
        thermal = world.thermal()
        visible[0, 0], thermal[0, 0] = index % 250, index % 250 / 255
        yield pipeline.step(frame_pair(visible, thermal, start_ns + index * 33_000_000))


def config(**memory):
    return Config.from_dict({**SETTINGS, **memory})


def test_results_say_what_is_recalled_and_show_it():
    with Pipeline(config()) as on, Pipeline(config(scene_memory={"mode": "off"})) as off:
        shown, hidden = list(results(on, 40)), list(results(off, 40))
        status = on.status().scene_memory
    assert shown[30].recalled is None
    np.testing.assert_array_equal(shown[30].image, hidden[30].image)
    clear, last, without = shown[30].image, shown[-1], hidden[-1]
    assert error(last.image, clear, INSIDE) < 0.4 * error(without.image, clear, INSIDE)
    # What the cameras see is handed on as it is.
    np.testing.assert_array_equal(last.aligned.visible, without.aligned.visible)
    record = to_record(last)["recalled"]
    assert record["share"] == pytest.approx(last.recalled.share, abs=1e-6)
    assert 0 < record["age_s"] < 2
    assert to_record(without)["recalled"] is None
    assert status["places"] == 1
    assert status["share"] == last.recalled.share


def test_places_are_kept_beside_the_bank(tmp_path):
    memory = {"memory": {"file": str(tmp_path / "bank")}}
    with Pipeline(config(**memory)) as pipeline:
        clear = list(results(pipeline, 40, 0))[-1].image
    with Pipeline(config(**memory)) as pipeline:
        last = list(results(pipeline, 0, 12, start_ns=10**15))[-1]
    assert last.recalled.share > 0.1
    assert error(last.image, clear, INSIDE) < 25
    assert sorted(path.name for path in tmp_path.glob("bank*") if "lock" not in path.name) == [
        "bank",
        "bank.places",
    ]


def test_reset_and_save_cover_both_memories(tmp_path):
    memory = {"memory": {"file": str(tmp_path / "bank")}}
    with Pipeline(config(**memory)) as pipeline:
        list(results(pipeline, 40, 0))
        assert pipeline.save_memory() == tmp_path / "bank"
        assert (tmp_path / "bank.places").is_file()
        pipeline.reset_memory()
        assert pipeline.status().scene_memory["places"] == 0


def test_a_foreign_file_beside_the_bank_is_left_alone(tmp_path):
    places = tmp_path / "bank.places"
    places.write_text(json.dumps({"mine": True}))
    memory = {"memory": {"file": str(tmp_path / "bank")}}
    with Pipeline(config(**memory), reset_invalid_memory=True) as pipeline:
        last = list(results(pipeline, 3, 0))[-1]
    assert "memory_unsaved" in last.health
    assert json.loads(places.read_text()) == {"mine": True}
