"""Runs that are killed or interrupted, and parts of them that hang, fail or give NaN."""

import json
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from streams import ListSource, assert_accounted, merged, stream, thermal, visible

from fusion_core.cli.main import main
from fusion_core.config import Config
from fusion_core.memory import MemoryBank, MemoryConfig
from fusion_core.models import LumaFuser, LumaOutput, load_model
from fusion_core.pipeline import Pipeline, builders, pair_step
from fusion_core.priors.provider import Assessment
from fusion_core.source import open_source

SCENE = ["--bag", "synthetic://street?seed=1&registered=1", "--device", "cpu"]
FUSED_TWICE = {"visible_topic": "/fusion/image", "thermal_topic": "/fusion/image"}
APART = 10  # results that wait for an output, with those being written
WITHOUT = ["--prior", "none", "--detector", "none"]


def start(folder, *command):
    return subprocess.Popen(
        [sys.executable, "-m", "fusion_core.cli.main", *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, process):
    end = time.monotonic() + 200
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def write_video(path, seed, count=5000):
    """Write small pictures, 30 per second; by default more than a test ever reads."""
    rng = np.random.default_rng(seed)
    gray = rng.integers(0, 256, (8, 48, 64, 1), np.uint8)  # a camera that repeats one is frozen
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        pictures = [av.VideoFrame.from_ndarray(np.repeat(one, 3, 2)) for one in gray]
        packets = [bytes(packet) for one in pictures for packet in stream.encode(one)]
        for number in range(count):
            copy = av.Packet(packets[number % len(packets)])
            copy.pts = copy.dts = number
            copy.time_base, copy.stream, copy.is_keyframe = Fraction(1, 30), stream, True
            container.mux(copy)


def test_what_a_killed_run_leaves_opens_again(tmp_path):
    write_video(tmp_path / "vi.mkv", 0)
    write_video(tmp_path / "ir.mkv", 1)
    inputs = ["--visible", "vi.mkv", "--thermal", "ir.mkv", "--device", "cpu"]
    names = ["a.jsonl", "p/", "bag:drive", "a.mkv", "a.mp4"]
    outputs = [word for name in names for word in ("--out", name)]
    settings = ["--memory", "bank", "--set", "memory.save_every_s=0.1"]
    settings += ["--set", "memory.mode=online"]
    process = start(tmp_path, "run", *inputs, *WITHOUT, *outputs, *settings)
    bank, log, mp4 = (tmp_path / name for name in ("bank", "a.jsonl", "a.mp4"))
    drive = tmp_path / "drive" / "drive.mcap"

    def has_all():
        """An MP4 can be played from its second fragment on; bags are stored once a second."""
        return bank.exists() and mp4.read_bytes().count(b"moof") >= 2 and drive.stat().st_size > 5e4

    wait_for(has_all, process)
    process.kill()
    process.communicate()
    lines = log.read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == list(range(len(lines)))
    pictures = sorted((tmp_path / "p").glob("*.png"))
    # Each output is written beside the others, which are at most a queue ahead or behind.
    assert abs(len(pictures) - len(lines)) <= APART
    assert all(cv2.imread(str(path)).shape == (48, 64, 3) for path in pictures)
    with open_source(str(tmp_path / "drive"), **FUSED_TWICE) as source:
        written = sum(frame.modality == "visible" for frame in source.frames())
    assert 1 <= written <= len(lines) + APART
    for name, most_lost in (("a.mkv", 30), ("a.mp4", 90)):
        with open_source(visible=tmp_path / name) as source:
            played = sum(1 for _ in source.frames())
        assert max(1, len(lines) - most_lost - APART) <= played <= len(lines) + APART
    model = load_model("m2pn-edge", torch.device("cpu"))
    restored = MemoryBank(model.bank, MemoryConfig(), model.name)
    restored.load_snapshot(bank)
    assert restored.stats().queries > 0


@pytest.mark.parametrize(
    ("number", "delay_s"), [(signal.SIGINT, 0.3), (signal.SIGTERM, 0.8), (signal.SIGINT, 1.5)]
)
def test_a_signal_while_modules_are_imported_is_one_line(tmp_path, number, delay_s):
    """Again and again, each time a little later in the start; both are handled by one place."""
    process = start(tmp_path, "run", *SCENE, *WITHOUT, "--out", "a.jsonl")
    wait_for(lambda: "libtorch" in maps(process) or has_main(process), process)
    time.sleep(delay_s)
    end = time.monotonic() + 100
    while process.poll() is None and time.monotonic() < end:
        process.send_signal(number)
        time.sleep(0.01)
    _, err = process.communicate(timeout=100)
    lines = [line for line in err.splitlines() if "fusing" not in line and line.strip()]
    assert process.returncode == 1, err
    assert lines in ([], ["fusion: interrupted"]), err


def maps(process):
    """Return the libraries that a process has loaded."""
    try:
        return Path(f"/proc/{process.pid}/maps").read_text()
    except OSError:
        return ""


def has_main(process):
    """Return whether the command has begun: it takes the signals itself."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    caught = next(line for line in lines if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) & 1 << (signal.SIGTERM - 1))


# Parts that hang, fail or give NaN


@dataclass(frozen=True)
class NoConfig:
    """A mean has no settings."""


class FaultyFuser(LumaFuser):
    """The mean of both images, but for what happens from the given call on, for some calls.

    `fault` takes the mean and returns what the network gives.
    """

    def __init__(self, fault, first, count):
        super().__init__("faulty", NoConfig())
        self.calls = 0
        self._fault, self._first, self._last = fault, first, first + count

    def fuse_luma(self, thermal, visible, slots, cues):
        number, self.calls = self.calls, self.calls + 1
        mean = (thermal + visible) / 2
        return LumaOutput(self._fault(mean) if self._first <= number < self._last else mean)


def broken(mean):
    raise RuntimeError("CUDA error: device-side assert triggered")


def out_of_memory(mean):
    raise MemoryError


def nan(mean):
    return torch.full_like(mean, torch.nan)


def one_nan(mean):
    mean[..., 3, 4] = torch.nan
    return mean


def infinity(mean):
    mean[..., 0, 0] = -torch.inf
    return mean


FAULTS = [broken, out_of_memory, nan, one_nan, infinity]


def make(monkeypatch, fault=None, first=4, count=3, **config):
    if fault is not None:
        network = FaultyFuser(fault, first, count).eval()
        monkeypatch.setattr(builders, "load_model", lambda *_: network)
    settings = {"device": "cpu", "threads": 1, "prior": "none", "detector": "none", **config}
    return Pipeline(Config.from_dict(settings))


def recording(seconds=1):
    return ListSource(stream(visible, 10, seconds), stream(thermal, 10, seconds))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_frames_that_the_network_fails_on_show_the_visible_picture(monkeypatch, fault):
    """Ten frames, the network fails on frames 4 to 6; those after them are as without a fault."""
    with make(monkeypatch, fault, temporal_smoothing=0) as pipeline:
        results = list(pipeline.stream(recording()))
        status = pipeline.status()
    with make(monkeypatch, fault, first=99, temporal_smoothing=0) as pipeline:
        expected = list(pipeline.stream(recording()))
    assert [fused.health for fused in results] == [()] * 4 + [("fusion_failed",)] * 3 + [()] * 3
    for number, (fused, wanted) in enumerate(zip(results, expected, strict=True)):
        failed = 4 <= number < 7
        image = fused.pair.visible.image if failed else wanted.image
        np.testing.assert_array_equal(fused.image, image)
        assert (fused.quality is None) == failed
    assert (status.fused, status.fusion_failures, status.drops) == (10, 3, {})
    assert status.last_error
    assert_accounted(status)


def test_nan_does_not_stay_in_the_smoothed_picture(monkeypatch):
    with make(monkeypatch, nan, temporal_smoothing=0.7) as pipeline:
        results = list(pipeline.stream(recording()))
    for fused in results[7:]:
        difference = fused.image.astype(int) - fused.pair.visible.image
        assert 0 < np.abs(difference).mean() < 120


class Gate:
    """Something that does not end before it is opened."""

    def __init__(self):
        self.opened, self.entered, self.calls = threading.Event(), threading.Event(), 0

    def wait(self, value=None):
        self.calls += 1
        self.entered.set()
        assert self.opened.wait(120)
        return value


@pytest.fixture
def gate():
    made = Gate()
    yield made
    made.opened.set()


def feed(pipeline, frames, until):
    """Submit frames, each pair once the one before is done, until a condition holds."""
    pause = threading.Event()
    for frame in frames:
        pipeline.submit(frame)
        while frame.modality == "thermal" and (
            (status := pipeline.status()).fused + sum(status.drops.values()) < status.pairs
        ):
            pause.wait(0.002)
        if until():
            return
    pytest.fail(f"the frames were not enough: {pipeline.status()}")


def live_frames():
    return iter(merged(stream(visible, 10, 100), stream(thermal, 10, 100)))


def test_a_network_that_hangs_is_left_out_until_it_answers(monkeypatch, gate):
    monkeypatch.setattr(pair_step, "LIVE_TIMEOUT_S", 1.0)
    results, frames = [], live_frames()
    with make(monkeypatch, gate.wait, first=2, count=1) as pipeline:
        pipeline.start(results.append)
        feed(pipeline, frames, lambda: len(results) >= 12)
        assert gate.calls == 1  # the call that does not return is not joined by others
        stuck = [fused for fused in results if "fusion_timeout" in fused.health]
        assert len(stuck) >= 8
        assert all(fused.image is not None and fused.quality is None for fused in stuck)
        assert "no result within" in pipeline.status().last_error
        gate.opened.set()
        feed(pipeline, frames, lambda: results[-1].health == ())
        status = pipeline.status()
    assert status.fusion_failures == len([f for f in results if "fusion_timeout" in f.health])


def test_a_detector_that_hangs_is_left_out_until_it_answers(monkeypatch, gate):
    monkeypatch.setattr(pair_step, "LIVE_TIMEOUT_S", 1.0)
    results, frames = [], live_frames()
    with make(monkeypatch, detector="default", detection={"every": 1}) as pipeline:
        detector = pipeline._step.detection._detector
        detect = detector.detect
        monkeypatch.setattr(detector, "detect", lambda *a, **k: gate.wait(()))
        pipeline.start(results.append)
        feed(pipeline, frames, lambda: len(results) >= 5)
        assert gate.calls == 1
        assert all(fused.health == ("detector_timeout",) for fused in results)
        assert all(fused.quality is not None for fused in results)
        assert pipeline.status().detector["failures"] == len(results)
        monkeypatch.setattr(detector, "detect", detect)
        gate.opened.set()
        feed(pipeline, frames, lambda: results[-1].health == ())


def test_a_pipeline_closes_while_network_and_detector_hang(monkeypatch, gate):
    monkeypatch.setattr(pair_step, "LIVE_TIMEOUT_S", 0.5)
    results = []
    pipeline = make(
        monkeypatch, gate.wait, first=0, count=99, detector="default", detection={"every": 1}
    )
    monkeypatch.setattr(pipeline._step.detection._detector, "detect", lambda *a, **k: gate.wait(()))
    pipeline.start(results.append)
    feed(pipeline, live_frames(), lambda: len(results) >= 2)
    start_s = time.monotonic()
    pipeline.close()
    assert time.monotonic() - start_s < 30
    assert {"fusion_timeout", "detector_timeout"} <= set(results[-1].health)
    assert_accounted(pipeline.status())


def test_a_detector_that_gives_nan_is_named(monkeypatch, tmp_path, onnx_nan):
    with make(monkeypatch, detector=onnx_nan) as pipeline:
        results = list(pipeline.stream(recording(0.3)))
        status = pipeline.status().detector
    assert [fused.health for fused in results] == [("detector_failed",)] * 3
    assert "gives NaN" in status["last_error"]


@pytest.fixture
def onnx_nan(tmp_path):
    import onnx_networks as networks

    return networks.colour_meter(tmp_path / "nan.onnx", factor=np.float32(np.nan))


@pytest.mark.parametrize("spoilt", ["tokens", "quality", "visible"])
def test_a_prior_that_gives_nan_is_not_used(monkeypatch, spoilt):
    class NanProvider:
        name, dim = "nan", 4

        def assess(self, visible, thermal):
            values = {
                "visible": {"haze": 0.1},
                "thermal": {},
                "tokens": np.ones((1, 4), np.float32),
                "quality": 0.5,
            }
            nan = {"visible": {"haze": np.nan}, "quality": np.nan}
            return Assessment(**(values | {spoilt: nan.get(spoilt, values["tokens"] * np.nan)}))

    monkeypatch.setattr(builders, "open_provider", lambda *_, **__: NanProvider())
    with make(monkeypatch, prior="embedded") as pipeline:
        results = list(pipeline.stream(recording(0.3)))
        assert "not finite" in pipeline.status().prior["problem"]
    assert all(fused.prior is None and "prior_failed" in fused.health for fused in results)


def run(tmp_path, *options):
    for seed, name in enumerate(("vi", "ir")):
        write_video(tmp_path / f"{name}.mkv", seed, count=4)
    inputs = ["--visible", f"{tmp_path}/vi.mkv", "--thermal", f"{tmp_path}/ir.mkv"]
    command = ["run", *inputs, "--device", "cpu", *WITHOUT, "--out", f"{tmp_path}/a.jsonl"]
    return main([*command, *options])


def test_a_run_whose_network_fails_on_every_frame_fails(monkeypatch, tmp_path, capsys):
    network = FaultyFuser(nan, 0, 999).eval()
    monkeypatch.setattr(builders, "load_model", lambda *_: network)
    assert run(tmp_path) == 1
    printed = capsys.readouterr()
    summary = json.loads((tmp_path / "run.json").read_text())
    count = summary["fusion_failures"]
    assert summary["fused"] == count == 4
    assert f"fusion: the network failed on all of {count} frames" in printed.err
    assert f"failed on {count} frames" in printed.out
    assert "not finite" in summary["error"]


def test_a_run_whose_network_fails_on_some_frames_says_so(monkeypatch, tmp_path, capsys):
    network = FaultyFuser(nan, 1, 2).eval()
    monkeypatch.setattr(builders, "load_model", lambda *_: network)
    assert run(tmp_path) == 0
    assert "failed on 2 frames" in capsys.readouterr().out
    assert json.loads((tmp_path / "run.json").read_text())["fusion_failures"] == 2
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert sum("fusion_failed" in json.loads(line)["health"] for line in lines) == 2


def test_a_source_that_raises_anything_ends_a_run_with_one_line(monkeypatch, tmp_path, capsys):
    class Broken(ListSource):
        def frames(self):
            yield from super().frames()
            raise ZeroDivisionError("driver")

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.close()

    source = Broken(stream(visible, 10, 0.3), stream(thermal, 10, 0.3))
    monkeypatch.setattr("fusion_core.cli.session.open_source", lambda *_, **__: source)
    assert run(tmp_path) == 1
    error = capsys.readouterr().err
    assert "ZeroDivisionError: driver" in error
    assert "Traceback" not in error
    assert json.loads((tmp_path / "run.json").read_text())["fused"] == 3


def test_a_reader_that_has_enough_ends_the_command_quietly():
    command = f"{sys.executable} -m fusion_core.cli.main models | head -c 1"
    done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True)
    assert done.stderr == ""
