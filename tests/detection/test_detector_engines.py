"""The shipped detector in ONNX Runtime and in OpenVINO: the same objects, the faster one picked."""

import numpy as np
import onnx_networks as networks
import pytest

from fusion_core.detection import Detector
from fusion_core.detection import network as module
from fusion_core.registration import Registrar, RegistrationConfig
from fusion_core.thermal import ThermalConfig, ThermalProcessor
from fusion_lab.benches.latency import street_pairs

CUT, SCORE, OFF_PX = 0.3, 0.05, 2.0


@pytest.fixture(scope="module")
def aligned():
    (pair,) = street_pairs(1, "synthetic://street?seed=1&seconds=0.1&registered=1")
    thermal = ThermalProcessor(ThermalConfig()).process(pair.thermal)
    return Registrar(None, RegistrationConfig()).align(0, pair.visible, thermal)


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "fusion" / "engines"


def test_openvino_finds_the_objects_of_onnx_runtime(aligned):
    """Also with half the bits, where the processor multiplies them."""
    found = {
        kind: Detector("default", device="cpu", threads=1, engine=kind).detect(None, aligned)
        for kind in ("onnx", "openvino")
    }
    sure = [each for each in found["onnx"] if each.score > CUT + SCORE]
    assert len(sure) >= 3
    for each in sure:
        other = min(
            (other for other in found["openvino"] if other.label == each.label),
            key=lambda other: np.abs(np.subtract(other.box, each.box)).max(),
        )
        assert np.abs(np.subtract(other.box, each.box)).max() < OFF_PX
        assert other.score == pytest.approx(each.score, abs=SCORE)
    assert not [
        each for each in found["openvino"] if each.score > CUT + 2 * SCORE and not _near(each, sure)
    ]


def _near(each, others):
    return any(
        other.label == each.label and np.abs(np.subtract(other.box, each.box)).max() < OFF_PX
        for other in others
    )


def test_the_faster_one_is_measured_once_and_remembered(tmp_path, cache, monkeypatch):
    path = networks.fails_on_bright(tmp_path / "net.onnx")
    first = Detector(path, device="cpu", threads=1, engine="auto").about["provider"]
    assert first == "CPU" or first.startswith("OpenVINO")
    assert len(list(cache.iterdir())) == 1

    def again(*_):
        raise AssertionError("it is measured a second time")

    monkeypatch.setattr(module, "measure", again)
    assert Detector(path, device="cpu", threads=1, engine="auto").about["provider"] == first


def test_a_network_that_openvino_cannot_run_stays_with_onnx_runtime(tmp_path, cache, monkeypatch):
    from fusion_core.errors import WeightsError

    def refuse(*_):
        raise WeightsError("it has no such operator")

    monkeypatch.setattr(module, "open_session", refuse)
    path = networks.fails_on_bright(tmp_path / "net.onnx")
    assert Detector(path, device="cpu", threads=1, engine="auto").about["provider"] == "CPU"
    assert not list(cache.iterdir())
