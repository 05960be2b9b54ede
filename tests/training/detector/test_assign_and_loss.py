import math

import pytest
import torch

from fusion_lab.training.detector.assign import Objects, assign
from fusion_lab.training.detector.loss import BOX_WEIGHT, detection_loss, pair_loss, trust_loss
from fusion_lab.training.detector.network import Predictions

NOTHING = torch.zeros(0, 4)


def grid(edge, stride):
    y, x = torch.meshgrid(torch.arange(edge), torch.arange(edge), indexing="ij")
    middle = (torch.stack([x, y], 2).reshape(-1, 2).float() + 0.5) * stride
    return torch.cat([middle, torch.full((edge * edge, 1), float(stride))], 1)


def objects(boxes, classes, ignore=NOTHING):
    return Objects(torch.tensor(boxes).reshape(-1, 4), torch.tensor(classes).long(), ignore)


def around(points, size):
    """Boxes of one size, centred on the points."""
    return torch.cat([points[:, :2], torch.full((len(points), 2), float(size))], 1)


def test_each_object_gets_its_best_points_and_each_point_one_object():
    generator = torch.Generator().manual_seed(3)
    points = torch.cat([grid(16, 8), grid(8, 16)])
    boxes = around(points, 30) + torch.randn(len(points), 4, generator=generator)
    logits = torch.randn(len(points), 3, generator=generator)
    truth = objects([[40.0, 40.0, 30, 30], [60.0, 40.0, 30, 30], [100.0, 90.0, 6, 10]], [0, 0, 2])
    targets = assign(logits, boxes, points, truth)
    assert set(targets.owner.tolist()) == {0, 1, 2}
    assert len(targets.positive.unique()) == len(targets.positive)
    counts = torch.bincount(targets.owner)
    assert counts.max() <= 10
    # the scaled target of an object's best point is the object's best overlap, so at most 1
    assert 0 < targets.scores.max() <= 1
    # an object's points are taught its class only
    for point, owner in zip(targets.positive, targets.owner, strict=True):
        row = targets.scores[point].clone()
        row[truth.classes[owner]] = 0
        assert not row.any()


def test_the_surer_of_two_equally_fitting_points_gets_the_higher_target():
    points = torch.tensor([[16.0, 16.0, 8.0], [24.0, 16.0, 8.0]])
    boxes = torch.tensor([[20.0, 16.0, 20, 20], [20.0, 16.0, 20, 20]])
    logits = torch.tensor([[2.0], [-1.0]])
    targets = assign(logits, boxes, points, objects([[20.0, 16.0, 20, 20]], [0]))
    assert targets.scores[0, 0] == pytest.approx(1.0, abs=1e-5)
    # t = p^0.5 iou^4 with iou 1, scaled by the best: sqrt(p1 / p0)
    expected = math.sqrt(torch.tensor(-1.0).sigmoid() / torch.tensor(2.0).sigmoid())
    assert targets.scores[1, 0] == pytest.approx(expected, abs=1e-4)


def test_an_object_smaller_than_the_grid_still_gets_a_point():
    points = grid(8, 16)
    truth = objects([[31.9, 31.9, 2.0, 3.0]], [1])
    targets = assign(torch.zeros(len(points), 3), around(points, 16), points, truth)
    assert len(targets.positive) > 0


def test_points_in_ignored_regions_cost_nothing_unless_they_answer_for_an_object():
    points = grid(8, 8)
    ignore = torch.tensor([[16.0, 16.0, 32.0, 32.0]])
    truth = objects([[12.0, 12.0, 10.0, 10.0]], [0], ignore)
    targets = assign(torch.zeros(64, 3), around(points, 8), points, truth)
    inside = (points[:, :2] < 32).all(1)
    assert targets.weights[~inside].eq(1).all()
    free = inside.clone()
    free[targets.positive] = False
    assert free.any()
    assert targets.weights[free].eq(0).all()
    assert targets.weights[targets.positive].eq(1).all()


def test_loss_of_an_empty_picture_by_hand():
    """Nothing to find: -ln(1 - p) summed over 4 points and 2 classes, unit at least 1."""
    points = grid(2, 8)
    logit = math.log(0.1 / 0.9)
    predictions = Predictions(
        torch.full((1, 4, 2), logit), around(points, 8)[None], points, torch.zeros(1, 4)
    )
    terms = detection_loss(predictions, [objects([], [])])
    assert terms["score"].item() == pytest.approx(-8 * math.log(0.9), rel=1e-5)
    assert terms["total"].item() == pytest.approx(terms["score"].item())
    hidden = Objects(NOTHING, torch.zeros(0).long(), torch.tensor([[4.0, 8.0, 8.0, 16.0]]))
    half = detection_loss(predictions, [hidden])
    assert half["score"].item() == pytest.approx(-4 * math.log(0.9), rel=1e-5)


def test_loss_of_one_perfect_point_by_hand():
    """Target 1 at probability 0.8: -ln 0.8 over an amount of 1, and a box that costs nothing."""
    points = torch.tensor([[4.0, 4.0, 8.0]])
    truth = objects([[4.0, 4.0, 10.0, 10.0]], [0])
    logits = torch.tensor([[[math.log(0.8 / 0.2)]]])
    terms = detection_loss(
        Predictions(logits, truth.boxes[None], points, torch.zeros(1, 1)), [truth]
    )
    assert terms["score"].item() == pytest.approx(-math.log(0.8), abs=1e-4)
    assert terms["box"].item() == pytest.approx(0, abs=1e-5)


def test_a_shifted_box_costs_its_complete_iou():
    """Square of 10 shifted by 2: IoU 8/12, hull 12x10, CIoU = 2/3 - 4/244."""
    points = torch.tensor([[4.0, 4.0, 8.0]])
    boxes = torch.tensor([[[6.0, 4.0, 10.0, 10.0]]])
    truth = objects([[4.0, 4.0, 10.0, 10.0]], [0])
    terms = detection_loss(
        Predictions(torch.zeros(1, 1, 1), boxes, points, torch.zeros(1, 1)), [truth]
    )
    # its target is its IoU, 2/3, and the amount is clamped to 1
    cost = (1 - (2 / 3 - 4 / 244)) * 2 / 3
    assert terms["box"].item() == pytest.approx(cost, abs=1e-5)
    assert terms["total"].item() == pytest.approx(terms["score"].item() + BOX_WEIGHT * cost, 1e-5)


def test_views_are_judged_apart_and_thermal_counts_half():
    """Both cameras see nothing at 0.1 and 3 classes; thermal alone is judged for people only."""
    points, logit = grid(2, 8), math.log(0.1 / 0.9)
    logits = torch.stack([torch.full((4, 3), logit), torch.tensor([[logit, 9.0, 9.0]] * 4)])
    boxes, believed = around(points, 8)[None].repeat(2, 1, 1), torch.full((2, 4), 20.0)
    predictions = Predictions(logits, boxes, points, believed)
    terms = pair_loss(predictions, [objects([], [])], [objects([], [])])
    assert terms["both"].item() == pytest.approx(-12 * math.log(0.9), rel=1e-5)
    assert terms["thermal"].item() == pytest.approx(-4 * math.log(0.9), rel=1e-5)
    assert terms["trust"].item() == pytest.approx(-4 * math.log(0.9), rel=1e-5)
    assert terms["total"].item() == pytest.approx(-15 * math.log(0.9), rel=1e-5)


def test_trust_falls_where_thermal_alone_sees_people_that_are_none_and_nothing_else_learns():
    """Thermal gives two points 0.9; the first is a person, the second one is nobody."""
    points = grid(2, 8)[:2]
    truth = objects([[4.0, 4.0, 8.0, 8.0]], [0])
    logits = torch.full((1, 2, 1), math.log(9.0), requires_grad=True)
    trust = torch.zeros(1, 2, requires_grad=True)
    boxes = torch.tensor([[[4.0, 4.0, 8.0, 8.0], [60.0, 60.0, 8.0, 8.0]]])
    trust_loss(Predictions(logits, boxes, points, trust), [truth], [truth]).backward()
    assert logits.grad is None
    assert trust.grad[0, 0] < 0 < trust.grad[0, 1], "descent raises the first, lowers the second"
