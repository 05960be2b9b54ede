import pytest
import torch

from fusion_lab.training.detector.network import STRIDES, PairNano, Predictions


def test_shapes_ranges_and_size():
    model = PairNano().eval()
    with torch.no_grad():
        output = model(torch.rand(2, 4, 96, 128))
    points = sum((96 // stride) * (128 // stride) for stride in STRIDES)
    assert output.shape == (2, 7, 2 * points)
    assert output[:, 2:4].gt(0).all()
    assert output[:, 4:].ge(0).all()
    assert output[:, 4:].le(1).all()
    assert output[:, 5:, points:].eq(0).all(), "thermal alone tells people only"
    assert sum(parameter.numel() for parameter in model.parameters()) < 4e6


def test_convention_zero_values_are_a_box_of_one_stride_in_the_middle_of_its_cell():
    """x runs along the width: the second of four cells of 8 has its middle at 12, 4."""
    model = PairNano()
    features = [torch.zeros(1, 12, 64 // stride, 128 // stride) for stride in STRIDES]
    predictions = model.predict(features)
    assert isinstance(predictions, Predictions)
    assert predictions.boxes[0, 1].tolist() == [12.0, 4.0, 8.0, 8.0]
    assert predictions.boxes[0, -1].tolist() == [112.0, 48.0, 32.0, 32.0]
    assert predictions.points[1].tolist() == [12.0, 4.0, 8.0]


def test_score_is_the_object_times_its_most_probable_kind():
    """Logits 1 of an object, 2 of a bus, 0 of car and truck: 0.7311 * 0.8808 by a calculator."""
    feature = torch.zeros(1, 12, 1, 1)
    feature[0, 4:-1] = torch.tensor([1.0, -3, 0, 2, 0, -1, -2])[:, None, None]
    logits = PairNano().predict([feature, feature, feature]).logits
    assert logits[0, 0].sigmoid().tolist() == pytest.approx(
        [0.7311 * 0.0474, 0.7311 * 0.8808, 0.7311 * 0.2689], abs=1e-4
    )


def test_scores_that_are_almost_certain_stay_finite():
    feature = torch.full((1, 12, 1, 1), 200.0)
    assert PairNano().predict([feature] * 3).logits.isfinite().all()
    assert PairNano().predict([-feature] * 3).logits.isfinite().all()


def test_each_backbone_sees_its_own_modality_only_and_untrained_both_count_the_same():
    model = PairNano().eval()
    pictures = torch.rand(1, 4, 64, 64)
    with torch.no_grad():
        visible, thermal = model.visible(pictures[:, :3]), model.thermal(pictures[:, 3:])
        for mix, a, b in zip(model.mix, visible, thermal, strict=True):
            assert torch.allclose(mix(a, b), (a + b) / 2, atol=1e-5)


def test_people_in_thermal_alone_do_not_depend_on_the_visible_picture():
    """Only how far they are believed does, which an untrained network does everywhere alike."""
    model, pictures = PairNano().eval(), torch.rand(2, 4, 64, 96)
    pictures[1, 3] = pictures[0, 3]
    with torch.no_grad():
        first, second = model(pictures)
    mixed, alone = (first - second).abs().chunk(2, 1)
    assert mixed.max() > 1e-4
    assert alone.max() < 1e-5


def test_scores_of_thermal_alone_are_weighed_by_the_trust():
    """Logits 1 of an object, 2 of a person, 0 of trust: 0.7311 * 0.8808 * 0.5 by a calculator."""
    feature = torch.zeros(2, 12, 1, 1)
    feature[:, 4:6] = torch.tensor([1.0, 2.0])[:, None, None]
    mixed, alone = PairNano().predict([feature] * 3).views()
    assert mixed.logits[0, 0, 0].sigmoid().item() == pytest.approx(0.7311 * 0.8808, abs=1e-4)
    weighed = alone.weighed().logits[0, 0].sigmoid()
    assert weighed.tolist() == pytest.approx([0.7311 * 0.8808 / 2], abs=1e-4)
