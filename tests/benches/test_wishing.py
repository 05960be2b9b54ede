"""The bench of fusing as a sentence asks: its rules, cases and scores, and ways around parts."""

import cv2
import numpy as np
import pytest
import torch

from fusion_core.models import Cues, TextCue
from fusion_core.models.mmaif import MMAIF, MMAIFConfig
from fusion_core.models.mmaif.attention import GridAttention
from fusion_core.models.mmaif.weather import PRIOR
from fusion_core.sentences import WISH_SIZE, Wish
from fusion_lab.benches.mechanisms import mmaif
from fusion_lab.benches.mechanisms.bench import measure_parts, system_of
from fusion_lab.benches.mechanisms.bypass import Sample
from fusion_lab.benches.wishing.bench import compare, score
from fusion_lab.benches.wishing.cases import WishingCase, read_cases
from fusion_lab.benches.wishing.classical import RULES, restore
from fusion_lab.benches.wishing.matrix import WishMatrix, draw_matrix
from fusion_lab.training.degradations import Degrader

TINY = MMAIFConfig(
    channels=2,
    text=WISH_SIZE,
    reduce=1,
    patch=2,
    width=16,
    depth=2,
    heads=2,
    hidden=8,
    rank=2,
    positions=4,
    refine=(8, 8, 8),
)


def scene(size=(96, 128)):
    rng = np.random.default_rng(0)
    coarse = rng.integers(20, 235, (12, 16, 3), np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_NEAREST)


def error(picture, clean):
    return float(((picture.astype(float) - clean) ** 2).mean())


@pytest.mark.parametrize("kind", ["noise", "low_light", "low_contrast", "stripes"])
def test_a_rule_brings_a_picture_closer_to_the_clean_one(kind):
    clean = scene()
    clean = clean[..., 0] if kind == "stripes" else clean
    bad = np.rint(Degrader({kind: 0.7}, 3).apply(clean / np.float32(255)).image * 255)
    bad = bad.astype(np.uint8)
    better = restore(bad, (kind,))
    assert better.shape == bad.shape
    assert error(better, clean) < 0.8 * error(bad, clean)
    assert restore(bad, ()) is bad


def test_every_degradation_has_a_rule():
    for kind in RULES:
        found = restore(scene()[..., 0] if kind == "stripes" else scene(), (kind,))
        assert found.dtype == np.uint8


def case(group, target):
    empty = np.zeros_like(target)
    return WishingCase("mff", group, (empty, empty), ((), ()), target, Wish(), 0)


def test_means_are_over_groups_and_over_all():
    clean = np.full((32, 32, 3), 100, np.uint8)
    cases = [case("haze", clean), case("haze", clean), case("compound", clean)]
    made = iter([110, 100 + 20, 100 + 5])
    found = compare("mff", {"one": lambda _: np.full_like(clean, next(made))}, cases)
    assert found.counts == {"haze": 2, "compound": 1, "mean": 3}
    decibels = [20 * np.log10(255 / step) for step in (10, 20, 5)]
    means = found.means["one"]
    assert means["haze"].psnr_db == pytest.approx(np.mean(decibels[:2]))
    assert means["mean"].psnr_db == pytest.approx(np.mean(decibels))
    assert "true target" in found.tables()[0].markdown()


def test_a_score_is_of_the_luma():
    rng = np.random.default_rng(1)
    one = rng.integers(0, 255, (40, 40, 3), np.uint8)
    assert score(one, one).ssim == pytest.approx(1)
    assert score(one, one[..., ::-1].copy()).psnr_db < 30


def test_the_matrix_is_drawn_and_told(tmp_path):
    pytest.importorskip("matplotlib")
    matrix = WishMatrix(("haze", "noise"), ("remove the haze", ""), ((0.5, -0.1), (0.2, 0.3)))
    draw_matrix(matrix, tmp_path / "matrix.png")
    assert cv2.imread(str(tmp_path / "matrix.png")).size
    text = matrix.tables()[0].markdown()
    assert "remove the haze" in text
    assert "(nothing said)" in text


@pytest.mark.data
def test_cases_are_fixed_and_their_targets_true(recordings):
    made = [list(read_cases(recordings, "mff", 40)) for _ in range(2)]
    for one, other in zip(*made, strict=True):
        assert all(map(np.array_equal, one.pictures, other.pictures))
        assert set(one.wish.remove) == set(one.kinds[0])
    groups = [one.group for one in made[0]]
    assert groups[2] == "compound"
    assert len(groups) == 3 * len({one.target.tobytes() for one in made[0]})


class Means(torch.nn.Module):
    channels, factor = 2, 8

    def encode(self, pictures):
        return torch.nn.functional.avg_pool2d(pictures, 8)[:, :2]


def network():
    torch.manual_seed(0)
    built = MMAIF("mmaif", TINY, Means()).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return built


def samples():
    made = []
    for seed in range(2):
        torch.manual_seed(seed)
        text = TextCue(torch.rand(1, 3, WISH_SIZE), torch.ones(1, 3, dtype=torch.bool))
        visible = torch.rand(1, 3, 64, 64)
        cues = Cues(text=text, tokens=torch.randn(1, 32, PRIOR))
        made.append(Sample(torch.rand(1, 1, 64, 64), visible, cues, visible[0, 0]))
    return made


def test_every_part_acts_and_is_as_before_afterwards():
    built, seen = network(), samples()
    system = system_of(built)
    before = [system.run(built, sample, sample.cues).fused for sample in seen]
    found = measure_parts(built, system, seen, seeds=1)
    assert {effect.part for effect in found} == {
        "text",
        "rules",
        "weather",
        "dark channel",
        "transformer",
        "experts",
        "value residual",
    }
    assert all(effect.change > 0 for effect in found)
    after = [system.run(built, sample, sample.cues).fused for sample in seen]
    assert all(map(torch.equal, before, after))


def test_without_the_routed_experts_the_shared_one_works_alone():
    built = network()
    experts = built.transformer.blocks[0].experts
    x = torch.randn(1, 6, 16)
    with mmaif.routed(built, torch.zeros_like):
        made, _ = experts(x)
    torch.testing.assert_close(made, experts.shared(x))


def test_own_values_are_the_layers_own():
    built = network()
    layer = next(m for m in built.modules() if isinstance(m, GridAttention) and m.mix is not None)
    x, former = torch.randn(1, 6, 16), torch.randn(1, 2, 6, 8)
    with mmaif.own_values(built):
        _, values = layer(x, (2, 3), former)
    torch.testing.assert_close(values, layer(x, (2, 3), None)[1], atol=1e-5, rtol=0)
    assert not torch.allclose(values, layer(x, (2, 3), former)[1])


def test_turned_odds_want_the_least_wanted_most():
    odds = torch.tensor([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3]])
    expected = torch.tensor([[0.6, 0.1, 0.3], [0.2, 0.5, 0.3]])
    torch.testing.assert_close(mmaif._turned(odds), expected)
