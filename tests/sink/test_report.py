"""The report page: complete, self-contained, and of bounded size."""

from __future__ import annotations

import base64
import dataclasses
import importlib.util
import inspect
import re
import sys
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from fusion_core.cli.run import Run
from fusion_core.errors import MissingExtraError, SinkError
from fusion_core.pipeline import pair_step
from fusion_core.sink.report import HtmlReport
from fusion_core.sink.report_glossary import PARTS, STAGES
from fusion_core.sink.report_page import command_line
from fusion_core.sink.report_series import BUCKETS, SAMPLES, SampleSelector, Timeline
from fusion_core.sink.report_verdict import run_verdict
from fusion_core.types import Detection

_VOID = {"meta", "img", "br", "input"}
_SUMMARY = {
    "read": {"visible": 61, "thermal": 50},
    "pairs": 60,
    "fused": 59,
    "drops": {"late": 2, "unpaired": 5},
    "latency_ms": {
        "total": {"p50": 31.25, "p95": 40.125, "p99": 47.375},
        "network": {"p50": 27.0625, "p95": 33.5, "p99": 41.75},
    },
    "fps": 28.94,
    "model": "m2pn-edge <test>",
    "prior": "embedded",
    "device": "cpu",
    "error": "",
    "versions": {"python": "3.11.7", "numpy": "2.4.1"},
}
_MEMORY = {
    "updates": (3, 0, 2, 1), "uses": (20, 9, 14, 16), "accepted": 6, "rejected": 53,
    "threshold": 0.61, "diversity": 0.74,
}  # fmt: skip


class _Page(HTMLParser):
    """Collects tags, their nesting, pictures and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.references: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name == "src":
                self.sources.append(value)
            elif name in {"href", "xlink:href"}:
                self.references.append(value)
            elif name == "id":
                self.ids.append(value)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words += [data.strip()] if data.strip() else []


def _results(make_fused, count):
    """Return results that vary in everything the report shows."""
    for number in range(count):
        fused = make_fused(
            number,
            timings={"network": 20.0 + number % 7, "total": 25.0 + number % 9},
            drops={"late": number // 20, "unpaired": number // 10},
            health=("thermal_held",) if 30 <= number < 35 else (),
            quality=0.5 + number / 1000,
            memory_slot=number % 4 if number % 10 == 0 else None,
        )
        pair = dataclasses.replace(fused.pair, reused=number % 3 == 0)
        yield dataclasses.replace(fused, pair=pair)


@pytest.fixture
def page(tmp_path, make_fused):
    report = HtmlReport(tmp_path / "new" / "report.html")
    for fused in _results(make_fused, 59):
        report.write(fused)
        if fused.frame % 20 == 0:
            report.add_memory(_MEMORY)
    report.close(_SUMMARY)
    return (tmp_path / "new" / "report.html").read_text(encoding="utf-8")


def test_page_is_well_formed_and_needs_nothing_from_outside(page):
    parsed = _Page(page)
    assert parsed.open == []
    assert "http:" not in page
    assert "https:" not in page
    assert "@import" not in page
    assert "script" not in parsed.tags
    assert "link" not in parsed.tags
    assert all(source.startswith("data:image/") for source in parsed.sources)
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {reference.removeprefix("#") for reference in parsed.references} <= set(parsed.ids)


def test_every_sample_shows_four_pictures_that_decode(page):
    sources = _Page(page).sources
    assert len(sources) == 4 * SAMPLES
    for source in sources:
        data = np.frombuffer(base64.b64decode(source.partition(",")[2]), np.uint8)
        assert cv2.imdecode(data, cv2.IMREAD_COLOR).shape == (48, 64, 3)


def test_convention_pictures_keep_their_channel_order(tmp_path, make_fused):
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 0] = 220
    report = HtmlReport(tmp_path / "report.html")
    report.write(make_fused(0, image=red))
    report.close(_SUMMARY)
    sources = _Page((tmp_path / "report.html").read_text(encoding="utf-8")).sources
    data = np.frombuffer(base64.b64decode(sources[-1].partition(",")[2]), np.uint8)
    blue, _, shown_red = cv2.imdecode(data, cv2.IMREAD_COLOR).mean(axis=(0, 1))
    assert shown_red > 200
    assert blue < 20


def test_shares_of_the_sources_are_shown_in_their_colours(tmp_path, make_fused):
    """The upper half is of the visible picture, the lower one of the thermal picture."""
    shares = np.zeros((2, 12, 16), np.float32)
    shares[0, :6], shares[1, 6:] = 1, 1
    report = HtmlReport(tmp_path / "report.html")
    report.write(dataclasses.replace(make_fused(0), shares=shares))
    report.close(_SUMMARY)
    sources = _Page((tmp_path / "report.html").read_text(encoding="utf-8")).sources
    assert len(sources) == 5
    data = np.frombuffer(base64.b64decode(sources[-1].partition(",")[2]), np.uint8)
    drawn = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert drawn.shape == (48, 64, 3)
    blue, _, red = drawn[:20].mean((0, 1))
    assert blue > red + 100
    blue, _, red = drawn[28:].mean((0, 1))
    assert red > blue + 100


def test_figures_are_rounded_and_the_values_of_the_summary_follow_in_full(page):
    """31.25, 40.125 and 47.375 ms and 28.94 per second to three digits, by hand."""
    words = _Page(page).words
    for value in ("61", "60", "59", "28.9", "31.2 ms", "40.1 ms", "47.4 ms", "27.1", "41.8"):
        assert value in words
    assert words[words.index("frames dropped") - 1] == "7"
    assert words[words.index("drops.late") + 1] == "2"
    assert words[words.index("drops.unpaired") + 1] == "5"
    assert words[words.index("latency_ms.network.p95") + 1] == "33.5"
    assert words[words.index("latency_ms.total.p99") + 1] == "47.375"


def test_header_names_what_was_run(page, monkeypatch):
    words = _Page(page).words
    for name, value in (("Model", "m2pn-edge <test>"), ("Prior", "embedded"), ("Device", "cpu")):
        assert words[words.index(name) + 1] == value
    assert "Command" in words
    argv = ["/opt/bin/fusion", "run", "--visible", "rtsp://me:secret@10.0.0.2/a b"]
    monkeypatch.setattr(sys, "argv", argv)
    assert command_line() == "fusion run --visible 'rtsp://10.0.0.2/a b'"


def test_plots_cover_what_was_measured(page):
    words = _Page(page).words
    for title in (
        "Latency over time", "Latency histogram", "Rate", "Skew between the streams",
        "Drops by cause", "Health", "Quality score and memory updates", "Memory slots",
        "Memory over time",
    ):  # fmt: skip
        assert title in words
    assert _Page(page).tags.count("svg") == 9
    assert "thermal_held" in words
    assert "currentColor" in page


def test_plots_without_anything_to_show_are_hidden(tmp_path, make_fused):
    report = HtmlReport(tmp_path / "report.html")
    for number in range(3):
        fused = make_fused(number, drops={"unused": 0})
        pair = dataclasses.replace(fused.pair, skew_ns=0)
        report.write(dataclasses.replace(fused, pair=pair))
    report.add_memory({**_MEMORY, "updates": (0, 0), "uses": (0, 0)})
    report.close({**_SUMMARY, "drops": {"unused": 0}})
    parsed = _Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert parsed.tags.count("svg") == 1
    assert "Rate" in parsed.words
    assert "Frames dropped" not in parsed.words


def test_stages_are_listed_in_the_order_of_the_pipeline_with_their_meaning(tmp_path):
    ranks = {"p50": 1.0}
    stages = ("sink", "total", "fusion", "network", "new-stage", "registration", "thermal")
    report = HtmlReport(tmp_path / "report.html")
    report.close({"latency_ms": dict.fromkeys(stages, ranks)})
    words = _Page((tmp_path / "report.html").read_text(encoding="utf-8")).words
    words = words[words.index("Latency per stage") : words.index("All values")]
    order = ("thermal", "registration", "fusion", "network", "total", "sink", "new-stage")
    places = [words.index(stage) for stage in order]
    assert places == sorted(places)
    assert words[words.index("network") + 1] == "The network alone, a part of fusion."


def test_stages_of_the_pipeline_have_a_meaning():
    """The names that the pipeline times, read from its source."""
    timed = set(re.findall(r'timer\("(\w+)"\)', inspect.getsource(pair_step)))
    assert len(timed) > 4
    assert timed <= set(STAGES)
    assert set(PARTS) | {"total"} == timed


@pytest.mark.parametrize(
    ("summary", "health", "state", "words"),
    [
        ({}, (), "good", ["without problems", "29 of 30 pairs", "in the median"]),
        ({"drops": {"busy": 3}}, (), "attention", ["3 frames were dropped (30% of those read)"]),
        ({}, ("prior_failed",), "attention", ["prior_failed held for 4 of 4", "provider failed"]),
        ({"detection": {"failures": 2, "last_error": "no <x>"}}, (), "attention", ["no <x>"]),
        ({"error": "disk full"}, (), "failed", ["The run failed.", "disk full"]),
    ],
)
def test_verdict_says_in_words_how_the_run_went(make_fused, summary, health, state, words):
    timeline = Timeline()
    for number in range(4):
        timeline.record_result(make_fused(number, health=health))
    base = {"read": {"visible": 5, "thermal": 5}, "pairs": 30, "fused": 29, "drops": {}}
    base["latency_ms"] = {"total": {"p50": 1.0, "p99": 2.0}}
    verdict = run_verdict({**base, **summary}, timeline)
    assert verdict.state == state
    for word in words:
        assert word in " ".join((verdict.headline, *verdict.sentences))


HOSTILE = "</svg></style><script>alert(1)</script>\"'><img src=x onerror=alert(1)>$\\frac$"


def test_hostile_names_are_shown_and_not_executed(tmp_path, make_fused):
    """Names from files, streams and detectors reach every part of the page."""
    report = HtmlReport(tmp_path / "report.html")
    for number in range(3):
        report.write(
            make_fused(
                number,
                health=(HOSTILE,),
                drops={HOSTILE: 1},
                detections=(Detection(HOSTILE, 0.9, (1, 1, 9, 9)),),
                timings={HOSTILE: 3.0},
            )
        )
    report.close(
        {
            "model": HOSTILE,
            "error": HOSTILE,
            "read": {HOSTILE: 3},
            "drops": {HOSTILE: 1},
            "latency_ms": {HOSTILE: {HOSTILE: 1.0}},
            "detection": {"detections": {HOSTILE: 3}, "failures": 1, "last_error": HOSTILE},
            HOSTILE: HOSTILE,
        }
    )
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert HOSTILE not in page
    parsed = _Page(page)
    assert parsed.open == []
    assert "script" not in parsed.tags
    assert all(source.startswith("data:image/") for source in parsed.sources)
    assert parsed.tags.count("svg") == 7  # two of latency, rate, skew, drops, health, objects
    assert parsed.words.count(HOSTILE) > 8


def test_empty_run_still_gives_a_page_that_says_why(tmp_path):
    report = HtmlReport(tmp_path / "report.html")
    report.close({"read": {}, "fused": 0, "error": "no frame was fused"})
    report.close({"error": "a second call changes nothing"})
    parsed = _Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert parsed.open == []
    assert "no frame was fused" in parsed.words
    assert "svg" not in parsed.tags


def test_result_without_a_thermal_side_is_shown(tmp_path, make_fused):
    fused = make_fused(0)
    pair = dataclasses.replace(fused.pair, thermal=None, skew_ns=None)
    aligned = dataclasses.replace(fused.aligned, thermal=None)
    report = HtmlReport(tmp_path / "report.html")
    report.write(
        dataclasses.replace(fused, pair=pair, aligned=aligned, health=("thermal_missing",))
    )
    report.close(_SUMMARY)
    parsed = _Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert len(parsed.sources) == 2
    assert "thermal_missing" in parsed.words


def test_timeline_stays_bounded_and_loses_no_frame(make_fused):
    timeline = Timeline()
    blank = np.zeros((2, 2, 3), np.uint8)
    count = 5 * BUCKETS + 17
    for number in range(count):
        health = ("time_jump",) if number == 1234 else ()
        fused = make_fused(number, image=blank, timings={"total": float(number)}, health=health)
        timeline.record_result(fused)
    buckets = timeline.buckets
    assert len(buckets) <= BUCKETS
    assert sum(bucket.frames for bucket in buckets) == count
    assert sum(bucket.stages["total"][0] for bucket in buckets) == count * (count - 1) / 2
    assert buckets[-1].stages["total"][1] == count - 1
    assert sum(bool(bucket.health) for bucket in buckets) == 1
    assert sum(timeline.histograms["total"].values()) == count
    starts = [bucket.start_ns for bucket in buckets]
    assert starts == sorted(starts)


@pytest.mark.parametrize("count", [1, 5, 8, 9, 500])
def test_samples_are_spread_over_the_run_and_keep_events(make_fused, count):
    selector = SampleSelector()
    blank = np.zeros((2, 2, 3), np.uint8)
    for number in range(count):
        health = ("thermal_frozen",) if number == count // 3 + 1 else ()
        selector.consider_result(make_fused(number, image=blank, health=health))
    frames = [sample.frame for sample in selector.samples()]
    assert frames == sorted(set(frames))
    assert len(frames) == min(count, SAMPLES)
    assert frames[0] == 0
    if count > 2:
        assert count // 3 + 1 in frames
    if count > SAMPLES:
        assert max(np.diff([*frames, count])) <= count / 3


def test_long_run_gives_a_page_of_moderate_size(tmp_path, make_fused):
    """Noise at 640x480 is the worst case for the pictures; the limit is 5 MB."""
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    report = HtmlReport(tmp_path / "report.html")
    fused = make_fused(0, image=noise, timings={"total": 30.0})
    for number in range(3000):
        report.write(dataclasses.replace(fused, frame=number, stamp_ns=number * 33_000_000))
    report.close(_SUMMARY)
    assert (tmp_path / "report.html").stat().st_size < 5_000_000


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_missing_package_is_reported_before_work_starts(tmp_path, monkeypatch, package):
    found = importlib.util.find_spec

    def without_package(name, parent=None):
        return None if name == package else found(name, parent)

    monkeypatch.setattr(importlib.util, "find_spec", without_package)
    with pytest.raises(MissingExtraError, match=rf"{package}.*pip install -e '\.\[report\]'"):
        HtmlReport(tmp_path / "report.html")
    # On the command line before the inputs are even looked for.
    options = Run(visible="none.mp4", thermal="none.mp4", report=tmp_path / "report.html")
    with pytest.raises(MissingExtraError, match=rf"--report .*report\.html needs {package};"):
        options.run()


def test_all_missing_packages_are_named_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, parent=None: None)
    with pytest.raises(MissingExtraError, match="needs jinja2 and matplotlib;"):
        HtmlReport(tmp_path / "report.html")


def test_folder_as_target_is_refused(tmp_path):
    with pytest.raises(SinkError, match="Is a directory"):
        HtmlReport(tmp_path)


def test_objects_found_are_drawn_plotted_and_counted(tmp_path, make_fused):
    """Boxes in the last picture of the last moment, a plot of their number, and a table."""
    report = HtmlReport(tmp_path / "report.html")
    gray = np.full((480, 480, 3), 90, np.uint8)
    found = (Detection("cycle", 0.9, (100, 200, 200, 200)), Detection("dog", 0.4, (10, 20, 9, 9)))
    for number in range(3):
        report.write(make_fused(number, image=gray, detections=found[: number + 1]))
    counts = {"detections": {"cycle": 3, "dog": 2}, "objects": {"cycle": 1}}
    report.close({**_SUMMARY, "detection": counts})
    page = _Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    data = np.frombuffer(base64.b64decode(page.sources[-1].partition(",")[2]), np.uint8)
    shown = cv2.imdecode(data, cv2.IMREAD_COLOR).astype(int)
    assert np.ptp(shown[250:350, 100], axis=1).min() > 40  # the left edge is coloured
    assert abs(shown[300, 200] - 90).max() < 10  # the inside is not
    table = page.words[page.words.index("Objects found", page.words.index("class") - 1) :]
    assert table[: 4 + 6] == [
        "Objects found", "class", "detections", "objects tracked",
        "cycle", "3", "1", "dog", "2", "0",
    ]  # fmt: skip
    assert page.words.count("Objects found") == 2


def test_timeline_counts_objects_of_merged_buckets(make_fused):
    timeline = Timeline()
    found = (Detection("person", 0.9, (0, 0, 9, 9)),) * 2
    for number in range(BUCKETS + 1):
        timeline.record_result(make_fused(number, detections=found))
    assert sum(bucket.detections["person"] for bucket in timeline.buckets) == 2 * (BUCKETS + 1)
