"""Thick smoke goes where more than a plain wish asks for it."""

import pytest
import torch

from fusion_core.models.mmaif.smoke import beyond, without_thick_smoke


def scene():
    """A clear half of a checkerboard, and a half of even gray that thermal sees through."""
    planes = torch.full((1, 3, 64, 512), 0.6)
    planes[:, 0, ::2, :256], planes[:, 0, 1::2, :256] = 0.2, 0.4
    thermal = torch.rand(1, 1, 64, 512, generator=torch.Generator().manual_seed(0))
    passed = torch.ones(1, 1, 16, 128)
    passed[..., 64:] = 0.0
    return planes, thermal, passed


def test_thermal_takes_the_place_of_thick_smoke_in_the_tones_of_the_clear_view():
    planes, thermal, passed = scene()
    made = without_thick_smoke(planes, thermal, passed, torch.ones(1, 1, 1, 1))
    torch.testing.assert_close(made[..., :232], planes[..., :232], atol=1e-2, rtol=0)
    hidden = made[..., 280:]
    # The clear half has mean 0.3 and deviation 0.1.
    assert hidden[:, 0].mean().item() == pytest.approx(0.3, abs=0.03)
    assert hidden[:, 0].std().item() == pytest.approx(0.1, rel=0.2)
    assert (hidden[:, 1:] - 0.5).abs().max() < 0.01
    seen = torch.stack((hidden[0, 0].flatten(), thermal[0, 0, :, 280:].flatten()))
    assert torch.corrcoef(seen)[0, 1] > 0.99


def test_a_plain_wish_leaves_it():
    assert beyond(torch.tensor([0.0, 0.35, 0.7, 0.85, 1.0])).flatten().tolist() == pytest.approx(
        [0, 0, 0, 0.5, 1], abs=1e-6
    )
    planes, thermal, passed = scene()
    assert torch.equal(
        without_thick_smoke(planes, thermal, passed, torch.zeros(1, 1, 1, 1)), planes
    )
