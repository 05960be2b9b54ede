import math

import pytest
import torch

from fusion_lab.training.detector.boxes import complete_iou, corners, pairwise_iou


def test_convention_boxes_are_centre_and_size_and_corners_are_edges():
    assert corners(torch.tensor([[10.0, 20.0, 4.0, 6.0]])).tolist() == [[8.0, 17.0, 12.0, 23.0]]


def test_iou_of_half_shifted_squares_is_a_third():
    """Two 2x2 squares one apart share 2 of 6 units."""
    first = torch.tensor([[0.0, 0.0, 2.0, 2.0], [5.0, 5.0, 6.0, 6.0]])
    second = torch.tensor([[1.0, 0.0, 3.0, 2.0]])
    assert pairwise_iou(first, second)[:, 0].tolist() == pytest.approx([1 / 3, 0.0], abs=1e-6)


def test_complete_iou_by_hand():
    """Squares of 2 at distance 1: IoU 1/3, hull 3x2, so 1/3 - 1/13; aspects agree.

    A square of 2 and a concentric 4x2: IoU 1/2, no distance, v = 4/pi^2 (atan 1 - atan 2)^2 and
    alpha = v / (1 - 1/2 + v) by equations 8, 9 and 11 of Zheng et al.
    """
    first = torch.tensor([[1.0, 1.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0]])
    second = torch.tensor([[2.0, 1.0, 2.0, 2.0], [0.0, 0.0, 4.0, 2.0]])
    v = 4 / math.pi**2 * (math.atan(1) - math.atan(2)) ** 2
    expected = [1 / 3 - 1 / 13, 0.5 - v * v / (0.5 + v)]
    assert complete_iou(first, second).tolist() == pytest.approx(expected, abs=1e-5)
