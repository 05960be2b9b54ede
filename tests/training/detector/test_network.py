import torch

from fusion_core.training.detector.network import STRIDES, PairNano, Predictions


def test_shapes_ranges_and_size():
    model = PairNano().eval()
    with torch.no_grad():
        output = model(torch.rand(2, 4, 96, 128))
    points = sum((96 // stride) * (128 // stride) for stride in STRIDES)
    assert output.shape == (2, 7, points)
    assert output[:, 2:4].gt(0).all()
    assert output[:, 4:].ge(0).all()
    assert output[:, 4:].le(1).all()
    assert sum(parameter.numel() for parameter in model.parameters()) < 4e6


def test_convention_zero_values_are_a_box_of_one_stride_in_the_middle_of_its_cell():
    """x runs along the width: the second of four cells of 8 has its middle at 12, 4."""
    model = PairNano()
    features = [torch.zeros(1, 7, 64 // stride, 128 // stride) for stride in STRIDES]
    predictions = model.predict(features)
    assert isinstance(predictions, Predictions)
    assert predictions.boxes[0, 1].tolist() == [12.0, 4.0, 8.0, 8.0]
    assert predictions.boxes[0, -1].tolist() == [112.0, 48.0, 32.0, 32.0]
    assert predictions.points[1].tolist() == [12.0, 4.0, 8.0]


def test_each_stem_sees_its_own_modality_only():
    model = PairNano().eval()
    pictures = torch.rand(1, 4, 64, 64)
    other = pictures.clone()
    other[:, 3] = torch.rand(1, 64, 64)
    seen = {}
    for name in ("visible", "thermal"):
        getattr(model, name).register_forward_hook(
            lambda _m, _i, out, name=name: seen.setdefault(name, []).append(out)
        )
    with torch.no_grad():
        model(pictures)
        model(other)
    assert torch.equal(*seen["visible"])
    assert not torch.equal(*seen["thermal"])
