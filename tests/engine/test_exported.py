"""Exported networks beside the networks that they were made from."""

import shutil

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from fusion_core.engine import open_bank
from fusion_core.engine.exported import (
    ExportedEngine,
    ExportedNetwork,
    exported_file,
    trained_bank,
)
from fusion_core.errors import NetworkError, UsageError, WeightsError
from fusion_core.inference import SessionConfig
from fusion_core.memory import MemoryConfig
from fusion_core.models import Cues, load_model
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_core.priors.exported import FILE, ExportedProvider
from fusion_core.types import AlignedPair

KINDS = ("onnx", "openvino")


def session(kind, *, half=False):
    return SessionConfig(kind, threads=1, half=half)


def pair(height, width):
    colour = cv2.resize(data.astronaut(), (width, height), interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)
    thermal = 1 - np.ascontiguousarray(gray[::-1]).astype(np.float32) / 255
    return AlignedPair(0, colour, thermal, np.ones((height, width), bool))


def torch_luma(model, given, slots):
    """Return fused luma and scene vector of the network itself, in float32."""
    gray = cv2.extractChannel(cv2.cvtColor(given.visible, cv2.COLOR_RGB2YCrCb), 0)
    with torch.inference_mode():
        made = model.forward_luma(
            torch.from_numpy(given.thermal)[None, None],
            torch.from_numpy(gray)[None, None].float() / 255,
            Cues(memory=torch.from_numpy(slots)),
        )
    return gray, made.fused[0, 0].numpy(), made.query[0].numpy()


@pytest.fixture(scope="module", params=["m2pn-edge", "m2pn", "m2pn-nano"])
def model(request):
    return load_model(request.param)


def test_the_bank_that_ships_judges_the_first_frame(model):
    """Both files hold the scores of the training pictures, as many as it takes to compare."""
    network = ExportedNetwork(exported_file(model.name), session("onnx"))
    assert network.card.scores == model.scores
    for bank in (trained_bank(network, MemoryConfig()), open_bank(model, MemoryConfig())):
        assert 0 < bank.stats().threshold < 1


@pytest.mark.parametrize("kind", KINDS)
def test_what_ships_gives_the_pictures_of_the_network(model, kind):
    """Of any size, also odd ones, and with slots that are not those it was made with."""
    network = ExportedNetwork(exported_file(model.name), session(kind))
    slots = np.random.default_rng(0).normal(size=network.card.slots.shape).astype(np.float32)
    for size in ((48, 64), (37, 51)):
        given = pair(*size)
        gray, fused, query = torch_luma(model, given, slots)
        made = network.run(given.thermal, gray, slots=slots)
        assert np.abs(made.luma - fused).max() * 255 < 1
        np.testing.assert_allclose(made.memory_query, query, rtol=1e-3, atol=1e-3)
    assert np.array_equal(network.card.slots, model.bank.numpy())


def test_half_the_bits_change_the_luma_by_little(model):
    """The mean by less than half a level, what rounding to the picture's levels may change.

    The smallest network's by less than one level, the step of the picture itself.
    """
    network = ExportedNetwork(exported_file(model.name), session("openvino", half=True))
    if network.precision != "bfloat16":
        pytest.skip("this processor does not multiply bfloat16")
    given = pair(120, 160)
    slots = network.card.slots
    gray, fused, _ = torch_luma(model, given, slots)
    off = np.abs(network.run(given.thermal, gray, slots=slots).luma - fused) * 255
    assert 0 < off.mean() < (1 if model.name == "m2pn-nano" else 0.5)
    assert off.max() < 8


@pytest.mark.parametrize("kind", KINDS)
def test_the_provider_of_priors(kind):
    given = pair(120, 160)
    exported, embedded = ExportedProvider(session(kind)), EmbeddedProvider()
    for visible, thermal in ((given.visible, given.thermal), (given.visible, None)):
        got, expected = (each.assess(visible, thermal) for each in (exported, embedded))
        assert got.visible == pytest.approx(dict(expected.visible), abs=1e-4)
        assert got.thermal == pytest.approx(dict(expected.thermal), abs=1e-4)
        assert got.quality == pytest.approx(expected.quality, abs=1e-4)
        np.testing.assert_allclose(got.tokens, expected.tokens, atol=1e-3)
    assert exported.dim == embedded.dim


def test_the_memory_bank_learns_as_beside_torch():
    network = ExportedNetwork(exported_file("m2pn-edge"), session("onnx"))
    bank = trained_bank(network, MemoryConfig(mode="online"))
    engine = ExportedEngine(network, bank)
    assert bank.origin == ExportedEngine(network, trained_bank(network, MemoryConfig())).bank.origin
    engine.warm_up(48, 64)
    assert bank.stats().queries == 0
    bank.update(np.ones((1000, bank.shape[1])), np.zeros(1000))  # whatever comes now is better
    result = engine.fuse(pair(48, 64))
    assert bank.stats().updates[result.memory_slot] == 1
    assert not np.array_equal(bank.slots, network.card.slots)


@pytest.mark.parametrize("kind", KINDS)
def test_sessions_of_one_file_are_shared_while_one_is_used(kind):
    one, other = (ExportedNetwork(exported_file("m2pn-edge"), session(kind)) for _ in range(2))
    assert one._session is other._session


def copies(tmp_path):
    """Return a copy of an exported network beside its weights."""
    source = exported_file("m2pn-edge")
    shutil.copy(source, tmp_path)
    shutil.copy(source.with_suffix(".safetensors"), tmp_path)
    return tmp_path / source.name


def test_a_file_of_other_weights_is_refused(tmp_path):
    from safetensors.numpy import load_file, save_file

    path = copies(tmp_path)
    weights = path.with_suffix(".safetensors")
    tensors = load_file(weights)
    tensors["bank"] = tensors["bank"] + 1
    save_file(tensors, weights)
    with pytest.raises(WeightsError, match=r"made from other weights than m2pn-edge\.safetensors"):
        ExportedNetwork(path, session("onnx"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_no_network_of_ours_is_refused(tmp_path, kind):
    foreign = tmp_path / "foreign.onnx"
    shutil.copy(FILE, foreign)
    with pytest.raises(WeightsError, match="format 'fusion-prior-network', expected"):
        ExportedNetwork(foreign, session(kind))
    foreign.write_bytes(foreign.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="cannot load it") as caught:
        ExportedNetwork(foreign, session(kind))
    assert "\n" not in str(caught.value)


def test_a_file_for_one_size_is_refused():
    from fusion_core.models.exported import ExportedCard

    card = ExportedNetwork(exported_file("m2pn-edge"), session("onnx")).card.to_metadata()
    with pytest.raises(WeightsError, match="pictures of 640x480 only; export it without --size"):
        ExportedCard.from_metadata({**card, "size": "640x480"}, "net.onnx")
    with pytest.raises(WeightsError, match="metadata are torn"):
        ExportedCard.from_metadata({**card, "size": "any", "slots": "?"}, "net.onnx")
    with pytest.raises(WeightsError, match="metadata are torn"):
        ExportedCard.from_metadata({**card, "size": "any", "scores": "[true?]"}, "net.onnx")


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [("nonesuch", UsageError, "unknown"), ("ctrlfuse", WeightsError, "fusion export --model")],
)
def test_a_model_that_was_not_exported(name, error, said):
    with pytest.raises(error, match=said):
        exported_file(name)


@pytest.mark.parametrize("kind", KINDS)
def test_an_input_that_does_not_fit_is_an_error_of_the_network(kind):
    network = ExportedNetwork(exported_file("m2pn-edge"), session(kind))
    given = pair(48, 64)
    with pytest.raises(NetworkError, match="cannot be executed"):
        network.run(given.thermal, np.zeros((40, 40), np.uint8))


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_is_not_there_is_refused_in_one_line(provider):
    import onnxruntime

    names = {"cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
    if names[provider] in onnxruntime.get_available_providers():
        pytest.skip("this machine has it")
    config = SessionConfig("onnx", provider=provider)
    with pytest.raises(UsageError, match="install onnxruntime-gpu in place of") as caught:
        ExportedNetwork(exported_file("m2pn-edge"), config)
    assert "\n" not in str(caught.value)
