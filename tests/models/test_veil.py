"""Transmission of veils made by Koschmieder's law."""

import pytest
import torch

from fusion_core.models.blocks.veil import transmission


@pytest.fixture(scope="module")
def scene():
    """A textured luma of 96x128 pixels in [0.2, 0.8]."""
    return 0.2 + 0.6 * torch.rand(1, 1, 96, 128, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("passed", [0.4, 0.7, 1.0])
def test_an_even_veil_is_measured_whatever_its_light(scene, passed):
    for air in (0.3, 0.9):
        found = transmission(scene * passed + air * (1 - passed), scene)
        assert found.shape == scene.shape
        # The regularisation draws a variance of 0.03 towards 1 by a thirtieth.
        assert torch.allclose(found, torch.full_like(found, passed), atol=0.03)


def test_streaks_that_the_clear_picture_has_not_change_little(scene):
    """One pixel in thirty is white: it keeps none of its contrast, the others all of it."""
    rain = scene.clone()
    rain[..., ::30] = 1
    found = transmission(rain, scene)
    assert float(found.mean()) == pytest.approx(1 - 1 / 30, abs=0.03)


def test_a_flat_place_counts_as_clear_and_nothing_as_less_than_a_quarter(scene):
    flat = torch.full_like(scene, 0.5)
    assert torch.allclose(transmission(flat, flat), torch.ones_like(flat))
    assert float(transmission(flat, scene).min()) == 0.25


def test_a_veil_over_one_half_is_measured_there(scene):
    passed = torch.ones_like(scene)
    passed[..., :64] = 0.4
    found = transmission(scene * passed + 0.8 * (1 - passed), scene)
    assert float(found[..., :16].mean()) < 0.5
    assert float(found[..., -16:].mean()) > 0.9
