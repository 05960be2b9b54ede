"""The frozen autoencoder of TC-MoA: positions, windows, and transformers' own as a reference."""

import math

import pytest
import torch
from tiny_tcmoa import MAE, autoencoder

from fusion_core.errors import WeightsError
from fusion_core.models.tcmoa.backbone import MaskedAutoencoder
from fusion_core.models.tcmoa.embedded import SHIPPED, from_transformers, load_mae
from fusion_core.models.tcmoa.positions import sine_grid
from fusion_core.models.tcmoa.windows import Windows


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


def test_the_embedded_one_fits_its_limits():
    network = load_mae(SHIPPED)
    assert sum(parameter.numel() for parameter in network.parameters()) <= 6_000_000
    assert SHIPPED.stat().st_size <= 12_000_000


def test_it_paints_hidden_patches_better_than_their_mean(rng):
    """Gray ramps: what a patch shows follows from its neighbours."""
    network = load_mae(SHIPPED).eval()
    coarse = torch.rand(4, 1, 2, 2, generator=rng).expand(-1, 3, -1, -1)
    pictures = torch.nn.functional.interpolate(coarse, (128, 128), mode="bicubic").clamp(0, 1)
    kept = torch.rand(4, 64, generator=rng).argsort(1)[:, :16]
    with torch.no_grad():
        wrong = (network.reconstruct(pictures, kept) - pictures).square().mean()
    spread = (pictures - pictures.mean((2, 3), keepdim=True)).square().mean()
    assert wrong < 0.5 * spread


def test_positions_are_those_of_the_published_autoencoders():
    """Sine then cosine of the column, then of the row, at falling rates."""
    place = sine_grid(14, 14, 8).unflatten(1, (14, 14))[0, 2, 5]
    expected = [f(way / rate) for way in (5, 2) for f in (math.sin, math.cos) for rate in (1, 100)]
    torch.testing.assert_close(place, torch.tensor(expected))


def test_positions_know_rows_from_columns():
    wide = sine_grid(2, 6, 8).unflatten(1, (2, 6))
    assert torch.equal(wide[0, 0, :, 4:], wide[0, 0, :1, 4:].expand(6, -1))
    assert not torch.equal(wide[0, 0, :, 4:], wide[0, 1, :, 4:])


@pytest.mark.parametrize("grid", [(1, 1), (3, 17), (14, 14), (28, 14), (30, 40), (15, 29)])
@pytest.mark.parametrize("rolled", [False, True])
def test_windows_of_any_grid_come_back(rng, grid, rolled):
    tokens = torch.randn(2, grid[0] * grid[1], 4, generator=rng)
    windows = Windows(*grid, rolled=rolled)
    split = windows.split(tokens)
    assert split.shape[1] <= 14 * 14
    assert torch.equal(windows.join(split), tokens)


def test_windows_are_of_14_where_they_fit():
    windows = Windows(28, 42, rolled=False)
    assert windows.split(torch.zeros(1, 28 * 42, 1)).shape[:2] == (6, 196)
    assert windows.logits(None, torch.zeros(6, 196, 1)) is None


def test_across_a_rolled_border_nothing_is_seen(rng):
    """Rolled by half a window, the last window of a row joins its two ends."""
    torch.manual_seed(0)
    block = MaskedAutoencoder(MAE).blocks[0]
    windows = Windows(14, 28, rolled=True)
    tokens = torch.randn(1, 14 * 28, 64, generator=rng)
    changed = tokens.clone().unflatten(1, (14, 28))
    changed[:, :, :7] += 1
    with torch.no_grad():
        before = block(tokens, windows).unflatten(1, (14, 28))
        after = block(changed.flatten(1, 2), windows).unflatten(1, (14, 28))
    torch.testing.assert_close(before[:, :, 7:], after[:, :, 7:])


def test_empty_places_are_not_seen(rng):
    """A grid that its windows overlap, against attention of the tokens alone."""
    torch.manual_seed(0)
    block = MaskedAutoencoder(MAE).blocks[0]
    tokens = torch.randn(1, 15, 64, generator=rng)
    with torch.no_grad():
        windowed = block(tokens, Windows(1, 15, rolled=False))
        parts = [block(part) for part in (tokens[:, :8], tokens[:, 8:])]
    torch.testing.assert_close(windowed, torch.cat(parts, 1))


def test_relative_bias_follows_the_way_between_two_places():
    table = torch.arange(27 * 27.0)[:, None]
    logits = Windows(2, 3, rolled=False).logits(table, torch.zeros(1, 6, 1))[0, 0]
    middle = 13 * 27 + 13
    assert logits[0, 0] == middle
    assert logits[0, 5] == middle - 27 - 2  # one row down, two columns to the right
    assert logits[5, 0] == middle + 27 + 2


def test_a_real_one_gives_what_transformers_gives(rng):
    """Block by block, and from tokens back to a picture."""
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    torch.manual_seed(0)
    config = ViTMAEConfig(
        hidden_size=32,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=64,
        patch_size=16,
        decoder_hidden_size=24,
        decoder_intermediate_size=96,
        decoder_num_hidden_layers=1,
        decoder_num_attention_heads=4,
    )
    real = ViTMAEForPreTraining(config).eval()
    ours = from_transformers(real).eval()
    edge = real.config.image_size
    picture = torch.rand(1, 3, edge, edge, generator=rng)
    tokens = ours.embed((picture - ours.mean) / ours.deviation).flatten(2).transpose(1, 2)
    with torch.no_grad():
        expected = ours_expected = tokens
        layers = real.vit.layers if hasattr(real.vit, "layers") else real.vit.encoder.layer
        for theirs, block in zip(layers, ours.blocks, strict=True):
            expected = theirs(expected)
            expected = expected[0] if isinstance(expected, tuple) else expected
            ours_expected = block(ours_expected)
    torch.testing.assert_close(ours_expected, expected, atol=1e-5, rtol=1e-4)
    patches = real.patchify(picture)
    layout = torch.arange(patches.numel(), dtype=torch.float32).reshape(patches.shape)
    ours.pred = torch.nn.Identity()
    ours.decoder_norm = torch.nn.Identity()
    painted = (ours.picture(layout, edge // 16, edge // 16) - ours.mean) / ours.deviation
    torch.testing.assert_close(painted, real.unpatchify(layout), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_torn_file_is_refused(tmp_path, share):
    path = autoencoder(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(WeightsError, match="mae-small"):
        load_mae(path)
