"""Kinds of engine in a pipeline: chosen, shared, refused, and without torch."""

import json
import subprocess
import sys

import numpy as np
import pytest

from fusion_core.config import Config
from fusion_core.engine.exported import ExportedEngine, ExportedNetwork, exported_file
from fusion_core.errors import FusionError, MissingExtraError
from fusion_core.inference import SessionConfig
from fusion_core.inference.choice import Choice
from fusion_core.pipeline import Pipeline, local_engine
from fusion_core.pipeline.builders import open_local_engine
from fusion_core.source import open_source
from fusion_core.types import AlignedPair

SCENE = "synthetic://street?seed=1&seconds=0.1&registered=1"


@pytest.fixture
def all_kinds(monkeypatch, tmp_path):
    monkeypatch.setattr(local_engine, "KINDS", ("openvino", "onnx", "torch"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def config(kind="auto", **more):
    values = {"device": "cpu", "threads": 1, "detector": "none", "engine": {"kind": kind}}
    return Config.from_dict({**values, **more})


def fused(settings):
    with Pipeline(settings) as pipeline, open_source(SCENE) as source:
        return [result.image for result in pipeline.stream(source)], pipeline.status()


def test_all_kinds_give_the_same_pictures():
    """To half precision; those of one kind are the same to the bit."""
    expected, status = fused(config("torch"))
    assert status.engine["kind"].startswith("torch")
    for kind in ("onnx", "openvino"):
        images, status = fused(config(kind))
        assert status.engine["kind"].startswith(kind)
        off = np.abs(np.stack(images).astype(int) - np.stack(expected))
        assert off.mean() < 0.5
        assert all(map(np.array_equal, images, fused(config(kind))[0]))


def test_auto_says_what_it_picked_and_picks_it_again(all_kinds, monkeypatch):
    with Pipeline(config()) as pipeline:
        first = pipeline.status().engine
    assert first["kind"].split()[0] in local_engine.KINDS
    assert "openvino" in first["choice"]
    monkeypatch.setattr(local_engine, "measure", lambda *_: pytest.fail("measured again"))
    with Pipeline(config()) as pipeline:
        assert pipeline.status().engine == first


@pytest.mark.parametrize("kind", ["onnx", "torch"])
def test_what_was_measured_with_is_no_frame_of_the_stream(all_kinds, monkeypatch, kind):
    """Its gain of glare is 0, that of the first frame 1, a thirtieth of a second later."""

    def measure(_key, runs, _refused):
        runs[kind]()
        return Choice(kind, dict.fromkeys(runs, 1.0), {})

    monkeypatch.setattr(local_engine, "measure", measure)
    ramp = np.linspace(0, 1.05, 480 * 640, dtype=np.float32).clip(0, 1).reshape(480, 640)
    visible = np.repeat((ramp * 255).astype(np.uint8)[..., None], 3, axis=2)
    pair = AlignedPair(33_000_000, visible, ramp[::-1].copy(), np.ones((480, 640), bool))
    first, later = (open_local_engine(config(each)).fuse(pair).image for each in ("auto", kind))
    assert np.array_equal(first, later)


@pytest.mark.parametrize("faster", ["openvino", "openvino float32"])
def test_auto_measures_openvino_with_half_the_bits_and_with_all(all_kinds, monkeypatch, faster):
    def measure(_key, runs, refused):
        assert {"openvino", "openvino float32", "onnx"} < runs.keys() | refused.keys()
        return Choice(faster if faster in runs else "openvino", dict.fromkeys(runs, 1.0), refused)

    monkeypatch.setattr(local_engine, "measure", measure)
    with Pipeline(config()) as pipeline:
        kind = pipeline.status().engine["kind"]
    halves = ExportedNetwork(exported_file("m2pn-edge"), SessionConfig("openvino", half=True))
    assert kind == f"openvino {halves.precision if faster == 'openvino' else 'float32'}"


def test_auto_takes_torch_where_nothing_was_exported(all_kinds):
    with Pipeline(config(model="ctrlfuse")) as pipeline:
        assert pipeline.status().engine["kind"].startswith("torch")


@pytest.mark.parametrize("kind", ["torch", "onnx"])
def test_pipelines_of_one_process_share_the_weights_and_nothing_else(kind):
    """Also the detector's; each keeps its own memory bank."""
    settings = config(kind, detector="default", memory={"mode": "online"})
    with Pipeline(settings) as one, Pipeline(settings) as other:
        engines = one._engine, other._engine
        if kind == "torch":
            weights = [
                [part.data_ptr() for part in engine.network.parameters()] for engine in engines
            ]
            assert weights[0] == weights[1]
            assert engines[0].network is not engines[1].network
        else:
            assert engines[0]._network._session is engines[1]._network._session
        sessions = [each._step.detection._detector._network._session for each in (one, other)]
        assert sessions[0] is sessions[1]
        bank = one._engine.bank
        bank.update(np.ones((200, bank.shape[1])), np.zeros(200))  # scores to compare with
        with open_source(SCENE) as source:
            list(one.stream(source))
        assert bank.stats().accepted > 0
        assert other._engine.bank.stats().queries == 0
        assert not np.array_equal(one._engine.bank.slots, other._engine.bank.slots)


def test_options_of_networks_that_share_weights_are_their_own():
    settings = [config("torch", model="ctrlfuse", options={"gain": gain}) for gain in (0.5, 2.0)]
    with Pipeline(settings[0]) as one, Pipeline(settings[1]) as other:
        assert one._engine.network.options.gain == 0.5
        assert other._engine.network.options.gain == 2.0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (config("openvino", model="ctrlfuse"), "no exported network"),
        (config("onnx", options={"gain": 1.0}), "options.gain: unknown"),
        (config("openvino", device="cuda"), "runs on the CPU"),
        (config("onnx", model="auto", prior="none"), "prior 'none'"),
        (config("onnx", model="auto"), "'mdaif': no exported network"),
    ],
)
def test_what_a_kind_cannot_do_is_refused_in_one_line(settings, said):
    with pytest.raises(FusionError, match=said) as caught:
        Pipeline(settings)
    assert "\n" not in str(caught.value)


def test_without_torch_a_model_that_needs_it_says_so(all_kinds, monkeypatch):
    there = local_engine.is_installed
    monkeypatch.setattr(local_engine, "is_installed", lambda kind: kind != "torch" and there(kind))
    for settings in (config("torch"), config(model="ctrlfuse"), config(model="auto")):
        with pytest.raises(MissingExtraError, match=r"needs torch.*\[torch\]"):
            local_engine.open_local(settings, lambda _: pytest.fail("torch was asked for"))
    engine = local_engine.open_local(config(), lambda _: pytest.fail("torch was asked for"))
    assert isinstance(engine, ExportedEngine)


RUN = """
import sys


class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError("torch is not to be imported here")


sys.meta_path.insert(0, NoTorch())
from fusion_core.cli.main import main

sys.exit(main(sys.argv[1:]))
"""


CALL = (
    RUN.partition("from fusion_core")[0]
    + """
import numpy as np
import fusion_core as fc
from fusion_core.config import Config
from fusion_core.pipeline.live_settings import live_settings

rng = np.random.default_rng(0)
thermal, visible = rng.random((48, 64), np.float32), rng.integers(0, 256, (48, 64, 3), np.uint8)
np.save(sys.argv[1], fc.fuse(thermal, visible))
print({each.name: each.choices for each in live_settings(Config())}["model"])
fc.fuse(thermal, visible, model="ctrlfuse")
"""
)


def without_torch(arguments, program=RUN):
    """Run the command, or a program, in a process that cannot import torch."""
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.parametrize("kind", ["onnx", "auto"])
def test_the_main_job_runs_in_a_python_without_torch(tmp_path, monkeypatch, kind):
    """Model, prior, detector, registration and memory, as the defaults are."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    outputs = ["--out", str(tmp_path / "out.mp4"), "--out", str(tmp_path / "out.jsonl")]
    arguments = ["run", "--bag", SCENE, "--engine", kind, *outputs]
    arguments += ["--memory", str(tmp_path / "bank")]
    done = without_torch(arguments)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "run.json").read_text())
    assert summary["fused"] == 3
    assert summary["fusion_failures"] == 0
    assert summary["engine"]["kind"].split()[0] in (
        {kind} if kind != "auto" else {"onnx", "openvino"}
    )
    assert summary["priors"]["failures"] == 0
    assert summary["detection"]["failures"] == 0
    assert (tmp_path / "bank").is_file()


def test_a_model_without_export_in_a_python_without_torch(tmp_path):
    arguments = ["run", "--bag", SCENE, "--model", "mdaif", "--out", str(tmp_path / "out.jsonl")]
    done = without_torch(arguments)
    assert done.returncode == 1
    assert "model 'mdaif' in this process needs torch" in done.stderr
    assert "pip install -e '.[torch]'" in done.stderr


def test_calls_of_the_library_in_a_python_without_torch(tmp_path):
    import fusion_core as fc

    path = tmp_path / "fused.npy"
    done = without_torch([str(path)], CALL)
    rng = np.random.default_rng(0)
    thermal, visible = rng.random((48, 64), np.float32), rng.integers(0, 256, (48, 64, 3), np.uint8)
    off = np.abs(np.load(path).astype(int) - fc.fuse(thermal, visible))
    assert off.mean() < 0.5
    assert "m2pn-edge" in done.stdout
    assert "ctrlfuse" not in done.stdout
    assert done.stderr.strip().endswith("pip install -e '.[torch]'")
