"""A picture made of a network's maps, in NumPy and in PyTorch."""

import numpy as np
import pytest
import torch

from fusion_core.engine.exported import maps as module
from fusion_core.models.blocks import apply_maps

HALF_PIXEL = (0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1)
"""Two values 0 and 1 at the centres of cells of four pixels, read at the pixels' centres."""


def in_torch(maps, thermal, visible):
    given = (
        torch.from_numpy(maps)[None],
        *(torch.from_numpy(x)[None, None] for x in (thermal, visible)),
    )
    return apply_maps(*given)[0, 0].numpy()


@pytest.mark.parametrize("apply", [module.apply_maps, in_torch])
@pytest.mark.parametrize("part", range(4))
def test_each_map_weighs_what_it_is_named_for(apply, part):
    """Along a row each map rises from 0 to 1 in turn; visible is .2 or .6, thermal .5."""
    maps = np.zeros((4, 1, 2), np.float32)
    maps[part, 0, 1] = 1
    thermal = np.full((4, 8), 0.5, np.float32)
    visible = np.full((4, 8), 0.2, np.float32)
    visible[1::2] = 0.6
    weighed = (visible, thermal, np.maximum(thermal, visible), np.ones_like(thermal))[part]
    made = apply(maps, thermal, visible)
    np.testing.assert_allclose(made, weighed * np.float32(HALF_PIXEL), atol=1e-6)


@pytest.mark.parametrize("edge", [2, 4])
def test_both_make_the_same_picture_within_its_bounds(edge):
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(4, 24, 32)).astype(np.float32)
    thermal, visible = rng.random((2, 24 * edge, 32 * edge), np.float32)
    made, expected = module.apply_maps(maps, thermal, visible), in_torch(maps, thermal, visible)
    np.testing.assert_allclose(made, expected, atol=1e-5)
    assert (made.min(), made.max()) == (0, 1)
