"""ONNX files of fusion networks, run by ONNX Runtime beside PyTorch."""

import numpy as np
import onnxruntime
import pytest
import torch
from small_networks import Weighted
from tiny_tcmoa import network

from fusion_core.cli.main import main
from fusion_core.engine.exported.maps import apply_maps
from fusion_core.errors import UsageError
from fusion_core.models import Cues, Features, create_model
from fusion_core.models.m2pn import M2PN, M2PNConfig
from fusion_core.models.mdaif import MdaIF, MdaIFConfig
from fusion_core.models.tcmoa.adapters import TaskAdapters
from fusion_lab.export import export_network

HEIGHT, WIDTH = 64, 96
TOLERANCE = 1e-4  # float32 sums in another order; a gray level is 4e-3


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(5)


def run(path, **inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    given = {name: tensor.numpy() for name, tensor in inputs.items()}
    return dict(zip(outputs, session.run(None, given), strict=True)), session


def pictures(rng):
    return [torch.rand(1, 1, HEIGHT, WIDTH, generator=rng) for _ in range(2)]


def test_a_network_with_memory(tmp_path, rng):
    torch.manual_seed(0)
    config = M2PNConfig(growth=4, layers=2, width=8, tail=(8,), dim=16, heads=2, slots=5, down=2)
    model = M2PN("m2pn", config).eval()
    path = tmp_path / "net.onnx"
    made = export_network(model, path, (HEIGHT, WIDTH))
    thermal, visible = pictures(rng)
    slots = torch.randn(5, 16, generator=rng)  # not the bank it was written with
    got, session = run(path, thermal=thermal, visible=visible, slots=slots)
    with torch.inference_mode():
        expected = model.forward_luma(thermal, visible, Cues(memory=slots))
    np.testing.assert_allclose(got["fused"], expected.fused, atol=TOLERANCE)
    np.testing.assert_allclose(got["query"], expected.query, atol=TOLERANCE)
    assert made.inputs == {
        "thermal": (1, 1, HEIGHT, WIDTH),
        "visible": (1, 1, HEIGHT, WIDTH),
        "slots": (5, 16),
    }
    assert session.get_modelmeta().custom_metadata_map["model"] == "m2pn"


def test_a_network_that_restores(tmp_path, rng):
    torch.manual_seed(0)
    config = MdaIFConfig(
        widths=(8, 8, 16, 16),
        depths=(1, 1, 1, 1),
        heads=(1, 1, 2, 2),
        dim=16,
        prior=12,
        queries=2,
        experts=2,
        chosen=1,
        decoder=(16, 16, 8, 8),
        stem=4,
        blocks=1,
        medians=(1, 3),
    )
    model = MdaIF("mdaif", config).eval()
    for part in (model.head, *model.experts.experts):
        torch.nn.init.normal_(part.head.weight, std=0.1)
    path = tmp_path / "net.onnx"
    export_network(model, path, (HEIGHT, WIDTH))
    thermal, visible = pictures(rng)
    chroma = torch.rand(1, 2, HEIGHT, WIDTH, generator=rng)
    tokens = torch.randn(1, 32, 12, generator=rng)
    got, _ = run(path, thermal=thermal, visible=visible, chroma=chroma, tokens=tokens)
    with torch.inference_mode():
        expected = model.forward_luma(thermal, visible, Cues(chroma, tokens))
    np.testing.assert_allclose(got["fused"], expected.fused, atol=TOLERANCE)
    np.testing.assert_allclose(got["fused_chroma"], expected.chroma, atol=TOLERANCE)


def test_a_network_that_gives_colour(tmp_path, rng):
    network = Weighted(Features(uses_prior=True, prior_width=3, uses_memory=True), "colour").eval()
    path = tmp_path / "net.onnx"
    made = export_network(network, path, (HEIGHT, WIDTH))
    assert made.inputs["first"] == made.outputs["image"] == (1, 3, HEIGHT, WIDTH)
    first, second = (torch.rand(1, 3, HEIGHT, WIDTH, generator=rng) for _ in range(2))
    slots, tokens = torch.rand(4, 3, generator=rng), torch.rand(1, 32, 3, generator=rng)
    got, _ = run(path, first=first, second=second, slots=slots, tokens=tokens)
    expected = network(first, second, Cues(tokens=tokens, memory=slots))
    np.testing.assert_allclose(got["image"], expected.image, atol=TOLERANCE)
    np.testing.assert_allclose(got["query"], expected.memory_query, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (create_model("ctrlfuse", seed=0), "'ctrlfuse' takes a mask"),
        (Weighted(Features(uses_text=True)), "'weighted' takes a text"),
    ],
)
def test_networks_that_a_fixed_graph_cannot_hold_are_refused(tmp_path, network, reason):
    with pytest.raises(UsageError, match=rf"{reason}.*export.*m2pn-edge"):
        export_network(network, tmp_path / "net.onnx", (HEIGHT, WIDTH))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--size", "640"], "640x480"),
        (["--size", "9000x480"], "8192"),
        (["--size", "640x16"], "32"),
    ],
)
def test_a_wrong_size(tmp_path, capsys, arguments, said):
    out = ["--out", str(tmp_path / "net.onnx")]
    assert main(["export", "--model", "m2pn-edge", *out, *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_missing_folder(tmp_path, capsys):
    assert main(["export", "--model", "m2pn-edge", "--out", str(tmp_path / "no/net.onnx")]) == 2
    assert "make it first" in capsys.readouterr().err


def test_the_command(tmp_path, capsys):
    path = tmp_path / "edge.onnx"
    assert main(["export", "--model", "m2pn-edge", "--out", str(path), "--size", "96x64"]) == 0
    assert "out fused                   1x1x64x96" in capsys.readouterr().out
    assert path.is_file()


def test_a_file_for_any_size_has_the_maps_of_the_picture(tmp_path, rng):
    """The pipeline makes the picture of them; a file for one size, which others run, has it."""
    model = create_model("m2pn-nano", 0).eval()
    torch.nn.init.normal_(model.head.conv.weight, std=0.1)  # at first all maps are the same
    thermal, visible = pictures(rng)
    made = export_network(model, tmp_path / "any.onnx")
    assert set(made.outputs) == {"maps", "query"}
    assert made.difference < 255 * TOLERANCE
    got, _ = run(tmp_path / "any.onnx", thermal=thermal, visible=visible, slots=model.bank)
    assert got["maps"].shape == (1, 4, HEIGHT / 4, WIDTH / 4)
    assert got["maps"].std((2, 3)).min() > 1e-3
    export_network(model, tmp_path / "one.onnx", (HEIGHT, WIDTH))
    whole, _ = run(tmp_path / "one.onnx", thermal=thermal, visible=visible, slots=model.bank)
    picture = apply_maps(got["maps"][0], thermal[0, 0].numpy(), visible[0, 0].numpy())
    np.testing.assert_allclose(picture, whole["fused"][0, 0], atol=TOLERANCE)


def test_one_task_of_a_network_of_several(tmp_path, rng):
    """The order of the pictures is decided in the file: the brighter one goes first."""
    model = network(tmp_path)
    for adapters in (part for part in model.modules() if isinstance(part, TaskAdapters)):
        torch.nn.init.normal_(adapters.choose)  # untrained, all are equally good: a tie
    path = tmp_path / "net.onnx"
    export_network(model, path, (32, 48), "mff")
    first, second = (torch.rand(1, 3, 32, 48, generator=rng) for _ in range(2))
    for pair in ((first, second / 2), (first / 2, second)):
        got, session = run(path, first=pair[0], second=pair[1])
        with torch.inference_mode():
            expected = model(*pair, Cues(task="mff")).image
        np.testing.assert_allclose(got["image"], expected, atol=TOLERANCE)
        again = network(tmp_path)  # nothing of the trace reaches the next network
        assert torch.isfinite(again(*pair, Cues(task="mff")).image).all()
    assert session.get_modelmeta().custom_metadata_map["task"] == "mff"
    with pytest.raises(UsageError, match="not 'mef'"):
        export_network(create_model("m2pn-edge", 0), path, (HEIGHT, WIDTH), "mef")
