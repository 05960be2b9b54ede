from pathlib import Path

import numpy as np
import pytest
import torch

from fusion_core.errors import WeightsError
from fusion_lab.training.detector.export import export_onnx
from fusion_lab.training.detector.network import KINDS, PairNano
from fusion_lab.training.detector.pretrained import draw_back, load_initial, load_yolox

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")


@pytest.fixture
def published(recordings):
    return recordings / "detectors" / "yolox_nano.onnx"


def answers(path, images):
    """What the published file gives for RGB in [0, 1]: BxPx85, as ONNX Runtime computes it."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"images": (images.flip(1) * 255).numpy()})
    return output


@pytest.mark.data
def test_yolox_nano_equals_the_published_file(published):
    images = torch.rand(1, 3, 416, 416, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs = load_yolox(published).eval()(images)
    found = torch.cat([output.flatten(2) for output in outputs], 2).transpose(1, 2)
    found[..., 4:] = found[..., 4:].sigmoid()
    assert np.allclose(found.numpy(), answers(published, images), atol=1e-4)


@pytest.mark.data
def test_untrained_pair_of_equal_pictures_gives_what_yolox_gives(published):
    """Gray visible and the same thermal: the mean of equal features is what the one camera has."""
    gray = torch.rand(1, 1, 416, 416, generator=torch.Generator().manual_seed(1))
    model = PairNano().eval()
    model.adopt(load_yolox(published))
    with torch.no_grad():
        found = model(gray.expand(1, 4, 416, 416))[0].T.chunk(2)[0].numpy()
    expected = answers(published, gray.expand(1, 3, 416, 416))[0]
    for column, (_, numbers) in enumerate(KINDS):
        kinds = expected[:, [5 + number for number in numbers]].max(1)
        assert np.allclose(found[:, 4 + column], expected[:, 4] * kinds, atol=1e-4)
    # YOLOX counts centres from the corner of the cell, in cells; the grid of stride 8 is 52 wide.
    place = np.stack(np.meshgrid(np.arange(52), np.arange(52)), 2).reshape(-1, 2)
    assert np.allclose(found[: 52 * 52, :2], (expected[: 52 * 52, :2] + place) * 8, atol=1e-2)


def test_a_file_that_is_missing_torn_or_another_network_is_an_error(tmp_path):
    with pytest.raises(WeightsError, match=r"none\.onnx"):
        load_yolox(tmp_path / "none.onnx")
    (tmp_path / "torn.onnx").write_bytes(b"\x00torn")
    with pytest.raises(WeightsError, match="YOLOX"):
        load_yolox(tmp_path / "torn.onnx")
    shipped = Path(__file__).parents[3] / "fusion_core/detection/weights/pair-nano.onnx"
    with pytest.raises(WeightsError, match="convolutions"):
        load_yolox(shipped)


@pytest.mark.data
def test_initial_weights_of_yolox_are_all_but_what_weighs_the_cameras(published):
    names = set(load_initial(published))
    rest = set(PairNano().state_dict()) - names
    assert rest, "what weighs the cameras stays as it is"
    assert {name.split(".")[0] for name in rest} == {"mix", "trust"}


def test_initial_weights_of_an_earlier_detector_are_those_of_its_file(tmp_path):
    """What the network gained since, the file does not know."""
    trained, file = PairNano(), tmp_path / "pair-nano.onnx"
    with torch.no_grad():  # the exporter writes equal tensors once
        for weight in trained.parameters():
            weight.add_(0.01 * torch.randn_like(weight))
    export_onnx(trained, (64, 64), file, {})
    found = load_initial(file)
    assert set(found) == set(trained.state_dict())
    for name, weight in trained.state_dict().items():
        assert torch.equal(found[name], weight), name


def test_weights_are_drawn_back_to_where_they_came_from_and_others_stay():
    trained, start = PairNano(), PairNano()
    initial = {n: w for n, w in start.state_dict().items() if not n.startswith("mix.")}
    before = {name: weight.clone() for name, weight in trained.state_dict().items()}
    draw_back(trained, initial, 0.25)
    for name, weight in trained.state_dict().items():
        share = 0.25 if name in initial else 0
        expected = (1 - share) * before[name] + share * start.state_dict()[name]
        assert torch.allclose(weight, expected, atol=1e-6), name
