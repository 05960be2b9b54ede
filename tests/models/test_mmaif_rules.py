"""The rules that MMAIF begins with: what they take away, and how far they are opened."""

import numpy as np
import pytest
import torch
from scipy.fft import dctn
from tiny_mmaif import network, pictures
from torch.nn import functional as F

from fusion_core.models import Cues
from fusion_core.models.mmaif.config import MMAIFConfig
from fusion_core.models.mmaif.controls import PLACED, RuleControls
from fusion_core.models.mmaif.measuring import EVIDENCE, measure
from fusion_core.models.mmaif.planes import to_planes
from fusion_core.models.mmaif.rules import (
    RULES,
    power_of,
    stretched,
    toned,
    without_weather,
)
from fusion_core.models.mmaif.shrinkage import Shrinkage
from fusion_core.models.mmaif.transformer import Latent
from fusion_core.models.mmaif.weather import PRIOR, SIGNS, Weather
from fusion_core.models.mmaif.windows import guided_line
from fusion_core.sentences import DEGRADATIONS, Wish


def gray(value=0.4, height=64, width=96):
    planes = torch.full((1, 3, height, width), 0.5)
    planes[:, 0] = value
    return planes


def step():
    planes = gray(0.3)
    planes[:, 0, :, 48:] = 0.7
    return planes


def flat(value):
    return torch.full((1, 1, 2, 3), value)


def test_the_basis_is_the_cosine_transform():
    block = np.random.default_rng(0).random((8, 8))
    made = Shrinkage().basis.double().numpy() @ block.ravel()
    np.testing.assert_allclose(made.reshape(8, 8), dctn(block, norm="ortho"), atol=1e-6)


def test_shrinkage_takes_noise_and_keeps_edges():
    torch.manual_seed(0)
    clean = step()[:, :1]
    noisy = clean + 0.05 * torch.randn_like(clean)
    shrink = Shrinkage()
    with torch.no_grad():
        made = shrink(noisy, flat(0.05), flat(0.0))
        torch.testing.assert_close(shrink(noisy, flat(0.0), flat(0.0)), noisy)
    assert (made - clean).square().mean() < 0.1 * (noisy - clean).square().mean()
    assert (made[..., 52] - made[..., 43]).mean() > 0.37


def test_noise_is_measured():
    torch.manual_seed(1)
    planes = gray(0.5, 256, 256)
    planes[:, :1] += 0.04 * torch.randn(1, 1, 256, 256)
    assert measure(planes).noise.item() == pytest.approx(0.04, rel=0.05)


def test_column_offsets_are_measured_and_a_smooth_picture_has_none():
    planes = gray() + torch.linspace(0, 0.2, 96)
    assert measure(planes).columns.abs()[..., 20:-20].max() < 1e-3
    planes[..., 40] += 0.1
    assert measure(planes).columns[0, 0, 0, 40].item() == pytest.approx(0.1, abs=0.01)


def test_the_dark_channel_says_how_much_light_passes_the_air():
    """Koschmieder's law with white air; of what has a dark channel of zero 0.95 of it is told."""
    colours = torch.zeros(1, 3, 96, 128)
    colours[:, 0, ::2] = 0.8
    colours[:, :, :24, :24] = 1.0
    veiled = 0.6 * colours + 0.4
    planes = to_planes(veiled)
    slope, offset = measure(planes).veil.chunk(2, 1)
    passed = slope * F.avg_pool2d(planes[:, :1], 4) + offset
    # The least channel is 0.4 and the air 1: 1 - 0.95 * 0.4.
    assert passed[..., 12:, 16:].mean().item() == pytest.approx(0.62, abs=0.01)


def seen_through(planes, clear):
    """What experts would see if they restored the luma to that of ``clear``."""
    few = [F.avg_pool2d(part[:, :1], 4) for part in (planes, clear)]
    line = guided_line(*few, 3, 1e-4)
    return Weather(clear[:, :1], line, torch.zeros(1, SIGNS))


def shares(veil, drops, falling=1.0):
    amounts = (torch.full((1, 1, 64, 96), amount) for amount in (veil, drops))
    return (*amounts, torch.full((1, 1, 1, 1), falling))


def veiled_and_clear():
    """Koschmieder: I = J t + A (1 - t), for a luma and its colours; A is grey."""
    rng = np.random.default_rng(0)
    clear = gray()
    clear[0] = (
        torch.from_numpy(0.2 + 0.6 * rng.random((3, 8, 12)).astype(np.float32))
        .repeat(1, 1, 1)
        .repeat_interleave(8, 1)
        .repeat_interleave(8, 2)
    )
    veiled = 0.5 * clear
    veiled[:, :1] += 0.5 * 0.9
    veiled[:, 1:] += 0.5 * 0.5
    return veiled, clear


def test_a_veil_goes_with_its_colours():
    veiled, clear = veiled_and_clear()
    made = without_weather(veiled, seen_through(veiled, clear), *shares(1.0, 0.0))
    for plane in range(3):
        before, after = ((x - clear)[0, plane].abs().mean() for x in (veiled, made))
        assert after < 0.2 * before


def test_veil_and_drops_are_two_parts_of_what_the_experts_change():
    clear = veiled_and_clear()[1]
    wet = clear.clone()
    wet[:, 0, 20:40, 20] = 1.0
    weather = seen_through(wet, clear)
    none, veil, drops, both = (
        without_weather(wet, weather, *shares(*amounts))[:, :1]
        for amounts in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
    )
    torch.testing.assert_close(none, wet[:, :1])
    torch.testing.assert_close(both, clear[:, :1])
    torch.testing.assert_close(veil + drops, wet[:, :1] + clear[:, :1])
    streak = (wet - clear)[:, :1] > 0.2
    assert (drops - clear[:, :1])[streak].mean() < 0.5 * (wet - clear)[:, :1][streak].mean()


def test_a_veil_without_rain_takes_no_noise_along():
    torch.manual_seed(2)
    clear = gray()
    noisy = clear.clone()
    noisy[:, :1] += 0.1 * torch.randn(1, 1, 64, 96)
    weather = seen_through(noisy, clear)
    of_rain, of_haze = (
        without_weather(noisy, weather, *shares(1.0, 0.0, falling))[:, :1] for falling in (1.0, 0.0)
    )
    assert (of_rain - clear[:, :1]).std() < 0.03
    torch.testing.assert_close(of_haze, noisy[:, :1], atol=0.02, rtol=0)


@pytest.mark.parametrize(("mean", "which"), [(0.1, "dark"), (0.8, "bright")])
def test_a_gamma_brings_the_mean_to_the_middle(mean, which):
    planes = gray(mean)
    amounts = {"dark": torch.zeros(1, 1, 1, 1), "bright": torch.zeros(1, 1, 1, 1)}
    amounts[which] += 1
    made = toned(planes, power_of(measure(planes), **amounts).exp())
    assert made[:, 0].mean().item() == pytest.approx(0.45, abs=0.03)
    nothing = power_of(measure(planes), torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1))
    torch.testing.assert_close(toned(planes, nothing.exp()), planes)


def test_a_flat_picture_is_stretched_between_its_percentiles():
    planes = gray()
    planes[0, 0] = torch.linspace(0.4, 0.6, 64 * 96).reshape(64, 96)
    one = torch.ones(1, 1, 1, 1)
    made = stretched(planes, measure(planes), one, one)[0, 0]
    assert made.min() < 0.01
    assert made.max() > 0.99
    assert torch.equal(stretched(planes, measure(planes), one, 0 * one), planes)


def opened_by(wish, task="vif"):
    config = MMAIFConfig()
    controls = RuleControls(config)
    removed = torch.from_numpy(wish.vector()[: len(DEGRADATIONS)]).expand(2, 1, -1)
    latent = Latent(torch.zeros(1, 32, 2, 2), torch.zeros(1, config.width, 2, 2), [])
    found = controls(latent, removed, task)
    assert found.placed.shape == (2, 1, len(PLACED) + 1, 2, 2)
    gates = found.whole[:, 0, : len(RULES), 0, 0].sigmoid()
    return [dict(zip(RULES, row.tolist(), strict=True)) for row in gates]


def test_a_wish_opens_its_rule_in_the_picture_that_it_is_for():
    visible, thermal = opened_by(Wish({"rain": 0.7}))
    assert visible.pop("drops") > 0.9
    assert visible.pop("veil") > 0.9
    assert max(*visible.values(), *thermal.values()) < 0.05
    visible, thermal = opened_by(Wish({"stripes": 1.0, "noise": 0.35}))
    assert thermal["stripes"] > 0.9
    assert visible["noise"] == pytest.approx(0.5, abs=0.1)


def test_what_the_tokens_say_comes_on_top():
    built = network()
    first, second = pictures()
    plain = built(first, second, Cues(task="mef")).image
    with torch.no_grad():
        built.controls.head.bias[list(RULES).index("noise")] = 12.0
    assert not torch.allclose(built(first, second, Cues(task="mef")).image, plain, atol=1e-2)


@pytest.mark.parametrize(("task", "kept"), [("vif", True), ("mef", False), ("mff", False)])
def test_tokens_keep_off_the_tones_of_pairs(task, kept):
    torch.manual_seed(0)
    config = MMAIFConfig()
    controls = RuleControls(config)
    torch.nn.init.normal_(controls.head.weight)
    nothing = torch.zeros(2, 1, len(DEGRADATIONS))
    silent, loud = (
        controls(Latent(torch.zeros(1, 32, 2, 2), hidden, []), nothing, task)
        for hidden in (torch.zeros(1, config.width, 2, 2), torch.randn(1, config.width, 2, 2))
    )
    same = (silent.whole == loud.whole).flatten(0, 1).all(0).flatten().tolist()
    toned = [rule in {"dark", "bright", "flat"} for rule in RULES] + [True]
    assert same == ([*toned] if kept else [False] * len(toned))
    assert not torch.equal(silent.placed, loud.placed)


def test_measures_of_a_crop_are_those_of_the_picture_there():
    planes = to_planes(pictures(1, 2, 64, 96)[0])
    whole = measure(planes)
    cut = whole.cut(slice(1, 2), 32, 64, 32)
    assert torch.equal(cut.columns, whole.columns[1:, ..., 64:96])
    assert torch.equal(cut.veil, whole.veil[1:, :, 8:16, 16:24])
    assert cut.evidence.shape == (1, EVIDENCE, 8, 12)


def test_what_is_seen_through_the_weather_is_cut_as_the_pictures_are():
    built = network()
    weather = built.see_through(pictures(2, 1, 64, 96), Cues())
    cut = weather.cut(32, 64, 32)
    assert torch.equal(cut.clear, weather.clear[..., 32:64, 64:96])
    assert torch.equal(cut.line, weather.line[..., 8:16, 16:24])


def test_exposures_are_all_seen_through_and_a_thermal_picture_is_not():
    built = network()
    for task, count in (("vif", 2), ("mef", 6)):
        weather = built.see_through(pictures(3, 2, 32, 64), Cues(task=task))
        assert weather.clear.shape == (count, 1, 32, 64)


def test_a_prior_changes_what_is_seen_through_the_weather():
    built = network()
    pair = pictures(2, 1, 32, 64)
    none = built.see_through(pair, Cues()).clear
    told = built.see_through(pair, Cues(tokens=torch.ones(1, 32, PRIOR))).clear
    assert (none - told).abs().max() > 1e-3
