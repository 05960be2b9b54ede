"""A camera that alternates its exposure: brackets, their merging, and what happens to the rest."""

import itertools

import numpy as np
import pytest
from streams import assert_accounted

from fusion_core.config import Config
from fusion_core.errors import UsageError
from fusion_core.pipeline import Pipeline
from fusion_core.pipeline.bracket_collector import BracketCollector
from fusion_core.runtime.drop_log import DropLog
from fusion_core.source import open_source
from fusion_core.types import Frame

MS = 1_000_000
LEVELS = {"dark": 40, "middle": 100, "bright": 190}
SECONDS = {"dark": 0.001, "middle": 0.004, "bright": 0.016}


def frame(number, kind, *, timed=False, step_ms=33, shape=(32, 48, 3)):
    rng = np.random.default_rng(number)
    image = np.clip(LEVELS[kind] + rng.normal(0, 20, shape), 0, 255).astype(np.uint8)
    return Frame(
        (number + 1) * step_ms * MS, "visible", image, "rgb8", sequence=number,
        exposure_s=SECONDS[kind] if timed else None,
    )  # fmt: skip


def collect(kinds, size, **options):
    """Return the numbers of each bracket from dark to bright, its reference, and the drops."""
    log = DropLog()
    collector = BracketCollector(size, log)
    found = []
    for number, kind in enumerate(kinds):
        if kind is None:  # lost on the way
            continue
        merged = collector.push(frame(number, kind, **options))
        if merged is not None:
            found.append((tuple(each.sequence for each in merged.bracket), merged.sequence))
    collector.drop_waiting()
    return found, log.by_cause()


@pytest.mark.parametrize("timed", [False, True])
def test_frames_in_turn_make_brackets_from_dark_to_bright(timed):
    found, drops = collect(["bright", "dark"] * 3, 2, timed=timed)
    assert [numbers for numbers, _ in found] == [(1, 0), (3, 2), (5, 4)]
    assert drops == {"bracketed": 3}
    found, drops = collect(["dark", "middle", "bright"] * 2, 3, timed=timed)
    assert [numbers for numbers, _ in found] == [(0, 1, 2), (3, 4, 5)]
    assert [reference for _, reference in found] == [1, 4]
    assert drops == {"bracketed": 4}


def test_exposure_times_count_more_than_levels():
    log = DropLog()
    collector = BracketCollector(2, log)
    first = frame(0, "middle", timed=True)
    second = Frame(
        70 * MS, "visible", frame(1, "middle").image, "rgb8", sequence=1, exposure_s=0.016
    )
    assert collector.push(first) is None
    assert collector.push(second).bracket == (first, second)


def test_a_lost_frame_costs_its_bracket_only():
    kinds = ["dark", "bright", "dark", None, "dark", "bright", "dark", "bright"]
    found, drops = collect(kinds, 2)
    assert [numbers for numbers, _ in found] == [(0, 1), (4, 5), (6, 7)]
    assert drops == {"bracketed": 3, "bracket_incomplete": 1}


def test_frames_far_apart_or_of_other_sizes_are_no_bracket():
    found, drops = collect(["dark", "bright"] * 2, 2, step_ms=1500)
    assert found == []
    assert drops == {"bracket_incomplete": 4}
    collector = BracketCollector(2, DropLog())
    collector.push(frame(0, "dark"))
    assert collector.push(frame(1, "bright", shape=(40, 48, 3))) is None


def test_a_camera_that_does_not_alternate_is_passed_frame_by_frame(caplog):
    found, drops = collect(["middle"] * 20, 2)
    assert len(found) >= 10
    assert all(numbers == () for numbers, _ in found)
    assert sum(drops.values()) + len(found) == 20
    assert sum("does not alternate" in message for message in caplog.messages) == 1
    found, _ = collect(["middle"] * 12 + ["dark", "bright"] * 2, 2)
    assert [numbers for numbers, _ in found[-1:]] == [(14, 15)]


def test_the_reference_stays_the_same_exposure():
    rng = np.random.default_rng(0)
    kinds = list(itertools.chain.from_iterable([["dark", "bright"]] * 30))
    collector = BracketCollector(2, DropLog())
    places = []
    for number, kind in enumerate(kinds):
        image = np.full(
            (32, 48, 3), {"dark": 88, "bright": 168}[kind] + rng.integers(-6, 7), np.uint8
        )
        merged = collector.push(Frame((number + 1) * 33 * MS, "visible", image, "rgb8"))
        if merged is not None:
            places.append(
                merged.bracket.index(
                    next(f for f in merged.bracket if f.stamp_ns == merged.stamp_ns)
                )
            )
    assert len(places) == 30
    assert len(set(places)) == 1


def config(**settings):
    return Config.from_dict(
        {
            "device": "cpu", "threads": 1, "prior": "none", "detector": "none",
            "temporal_smoothing": 0.0, **settings,
        }
    )  # fmt: skip


def run(url, **settings):
    """Return the results of a synthetic scene, and the status after the end."""
    with open_source(url) as source, Pipeline(config(**settings)) as pipeline:
        results = list(pipeline.stream(source))
    return results, pipeline.status()


NIGHT = "synthetic://night?seed=1&registered=1&rgb_hz=10&seconds=0.6"
SHORT = "synthetic://night?seed=1&registered=1&rgb_hz=10&seconds=0.4"


@pytest.mark.parametrize("size", [2, 3])
def test_brackets_of_a_night_street_show_lamps_and_shadows(chooser, size):
    results, status = run(f"{NIGHT}&bracket={size}", source={"bracket": size})
    assert status.read["visible"] == 6
    assert len(results) == 6 // size
    assert status.drops["bracketed"] == 6 - 6 // size
    assert_accounted_with_brackets(status)
    plain, _ = run(SHORT)
    merged = np.array([result.aligned.visible.astype(float) for result in results])
    single = np.array([result.aligned.visible.astype(float) for result in plain])
    # Fewer pixels are black or white than in the camera's own exposure.
    assert np.mean(merged < 12) < 0.8 * np.mean(single < 12)
    assert np.mean(merged > 250) <= np.mean(single > 250)
    stamps = [result.stamp_ns for result in results]
    assert stamps == sorted(stamps)
    taken = {frame.stamp_ns for frame in open_source(f"{NIGHT}&bracket={size}").frames()}
    assert set(stamps) <= taken


def assert_accounted_with_brackets(status):
    """As for every stream, with the frames that went into brackets."""
    lost = sum(
        status.drops_by_stream["visible"].pop(cause, 0)
        for cause in ("bracketed", "bracket_incomplete")
    )
    status.read["visible"] -= lost
    for cause in ("bracketed", "bracket_incomplete"):
        status.drops.pop(cause, None)
    assert_accounted(status)


@pytest.mark.parametrize("scene", ["night", "tunnel"])
def test_a_still_scene_does_not_flicker(chooser, scene):
    """The merged stream changes no more from frame to frame than one exposure does by noise."""
    url = f"synthetic://{scene}?seed=1&registered=1&rgb_hz=10&seconds=0.8&still=1"
    merged, _ = run(f"{url}&bracket=2", source={"bracket": 2})
    single, _ = run(url)

    def flicker(results):
        images = np.array([result.aligned.visible.astype(np.float32) for result in results])
        cells = images.reshape(len(images), 15, 32, 20, 32, 3).mean(axis=(2, 4, 5))
        return np.abs(np.diff(cells, axis=0)).max()

    assert len(merged) == 4
    assert flicker(merged) < max(2.0 * flicker(single), 1.5)


def test_a_live_stream_without_alternation_goes_on(chooser):
    url = "synthetic://night?seed=1&registered=1&rgb_hz=10&seconds=1.1"
    results, status = run(url, source={"bracket": 2})
    assert len(results) >= 2
    assert "bracket_missing" in results[-1].health
    assert_accounted_with_brackets(status)


def test_a_merger_that_fails_costs_the_merging_only(chooser, monkeypatch):
    from stack_models import Chooser

    def broken(self, first, second, cues):
        raise RuntimeError("out of memory")

    with (
        open_source(f"{SHORT}&bracket=2") as source,
        Pipeline(config(source={"bracket": 2})) as pipeline,
    ):
        monkeypatch.setattr(Chooser, "fuse", broken)
        results = list(pipeline.stream(source))
    assert len(results) == 2
    assert all("bracket_failed" in result.health for result in results)


def test_without_a_model_for_exposures_it_says_so(monkeypatch):
    from fusion_core.pipeline import bracket_merger

    monkeypatch.setattr(bracket_merger, "find_models", lambda matches: ())
    with pytest.raises(UsageError, match=r"source.bracket 2: no installed model merges exposures"):
        Pipeline(config(source={"bracket": 2}))
    with pytest.raises(UsageError, match=r"bracket_model 'm2pn': does vif, not mef"):
        Pipeline(config(source={"bracket": 2, "bracket_model": "m2pn"}))
