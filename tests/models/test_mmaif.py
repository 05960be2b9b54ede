"""MMAIF: what the specification's tests ask, on a tiny network."""

import pytest
import torch
from tiny_mmaif import CONFIG, network, pictures
from torch.nn import functional as F

from fusion_core.models import Cues, TextCue
from fusion_core.models.mmaif import MMAIFOptions
from fusion_core.models.mmaif.attention import GridAttention, rotate, rotation
from fusion_core.models.mmaif.emphasis import hot_mask, shown_brightly
from fusion_core.models.mmaif.experts import GatedExperts
from fusion_core.models.mmaif.looks import GATES, Look, styled
from fusion_core.models.mmaif.measuring import measure
from fusion_core.models.mmaif.planes import to_planes, to_rgb
from fusion_core.models.mmaif.transformer import LatentTransformer
from fusion_core.models.mmaif.windows import opened
from fusion_core.sentences import WISH_SIZE


def said(built, text, task="vif", **cues):
    return Cues(task=task, text=built.encode_text(text), **cues)


def test_attention_logits_depend_on_the_way_between_places_alone():
    """Rotated by their places, q and k one step apart have one product wherever they lie."""
    torch.manual_seed(0)
    q, k = torch.randn(2, 16)
    turn = rotation(5, 6, 16)
    grid_q, grid_k = (rotate(x.expand(30, 16), turn).reshape(5, 6, 16) for x in (q, k))
    for down, right in ((0, 1), (1, 0), (2, 3)):
        products = (grid_q[: 5 - down, : 6 - right] * grid_k[down:, right:]).sum(-1)
        torch.testing.assert_close(products, products[:1, :1].expand_as(products))
    assert not torch.allclose((grid_q[0, 0] * grid_k[0, 1]).sum(), (q * k).sum(), atol=1e-3)


def test_half_of_a_head_turns_with_rows_and_half_with_columns():
    cosine, _ = rotation(3, 4, 8)
    cosine = cosine.reshape(3, 4, 4)
    assert torch.equal(cosine[1, 0, :2], cosine[1, 3, :2])
    assert torch.equal(cosine[0, 2, 2:], cosine[2, 2, 2:])
    assert cosine[1, 0, 0] == pytest.approx(torch.cos(torch.tensor(1.0)).item())


def test_value_residual_is_half_of_the_former_values_at_first():
    torch.manual_seed(0)
    layer = GridAttention(16, 2, rope=True, residual=True)
    x, former = torch.randn(1, 12, 16), torch.randn(1, 2, 12, 8)
    _, own = layer(x, (3, 4), None)
    _, mixed = layer(x, (3, 4), former)
    torch.testing.assert_close(mixed, (own + former) / 2)


@pytest.mark.parametrize("number", [2, 3])
def test_untrained_the_latent_is_the_mean_of_the_latents(number):
    built = network()
    latents = [built.encode(picture) for picture in pictures(number)]
    evidence = [measure(picture).evidence for picture in pictures(number)]
    asked = built.asked(said(built, "no haze", "mef"), 1)
    made = built.transformer(latents, evidence, asked).made
    torch.testing.assert_close(made, torch.stack(latents).mean(0))


def test_untrained_equal_pictures_come_out_as_they_are_where_nothing_is_to_go():
    built = network()
    (picture,) = pictures(1)
    nothing = TextCue(torch.zeros(1, 1, WISH_SIZE), torch.ones(1, 1, dtype=torch.bool))
    for task in ("mef", "mff"):
        fused = built(picture, picture, Cues(task=task, text=nothing)).image
        torch.testing.assert_close(fused, picture, atol=1e-2, rtol=0)


def test_one_routed_expert_is_a_dense_gated_unit():
    torch.manual_seed(0)
    experts = GatedExperts(8, 4, 1, 1)
    x = torch.randn(2, 5, 8)
    made, chosen = experts(x)
    torch.testing.assert_close(made, experts.shared(x) + experts.experts[0](x))
    assert chosen.balance.item() == pytest.approx(1)


@pytest.mark.parametrize("chosen", [1, 2])
def test_tokens_get_the_experts_of_the_largest_odds(chosen):
    torch.manual_seed(0)
    experts = GatedExperts(8, 4, 4, chosen)
    x = torch.randn(1, 30, 8)
    made, who = experts(x)
    odds = experts.router(x[0]).softmax(-1)
    for row in range(30):
        best = odds[row].topk(chosen)
        weights = best.values / best.values.sum() if chosen > 1 else best.values
        routed = sum(
            w * experts.experts[e](x[0, row])
            for w, e in zip(weights, best.indices.tolist(), strict=True)
        )
        torch.testing.assert_close(made[0, row], experts.shared(x[0, row]) + routed)
    assert float(who.shares.sum()) == pytest.approx(1)


def test_balance_is_least_where_all_experts_get_the_same():
    even, one = GatedExperts(4, 4, 4, 1), GatedExperts(4, 4, 4, 1)
    with torch.no_grad():
        even.router.weight.copy_(10 * torch.eye(4))
        one.router.weight.copy_(
            10 * torch.eye(4)[[0]].expand(4, 4) * torch.tensor([[1.0], [0], [0], [0]])
        )
    tokens = torch.eye(4)[None]
    assert even(tokens)[1].balance.item() == pytest.approx(1, abs=1e-3)
    assert one(torch.eye(4)[:1].expand(4, 4)[None])[1].balance.item() > 3.9


@pytest.mark.parametrize("task", ["vif", "mef", "mff"])
def test_another_text_gives_another_picture(task):
    built = network(taught=True)
    first, second = pictures()
    one, other, none = (
        built(first, second, cues).image
        for cues in (
            said(built, "remove the haze", task),
            said(built, "zoo", task),
            Cues(task=task),
        )
    )
    assert not torch.allclose(one, other, atol=1e-3)
    assert not torch.allclose(one, none, atol=1e-3)


def test_another_task_gives_another_picture():
    built = network(taught=True)
    first, second = pictures()
    made = [built(first, second, said(built, "zoo", task)).image for task in ("mef", "mff")]
    assert not torch.allclose(*made, atol=1e-3)


def test_more_pictures_are_one_set_whatever_their_order():
    built = network(taught=True)
    a, b, c = pictures(3)
    cues = said(built, "zoo", "mff")
    one, other = (built.fuse_many(order, cues).image for order in ((a, b, c), (a, c, b)))
    torch.testing.assert_close(one, other, atol=1e-4, rtol=0)
    assert not torch.allclose(one, built.fuse_many((a, b), cues).image, atol=1e-3)


@pytest.mark.parametrize("size", [(33, 47), (64, 32), (40, 100)])
def test_any_size_comes_back(size):
    first, second = pictures(height=size[0], width=size[1])
    built = network(taught=True)
    assert built(first, second, Cues(task="mef")).image.shape[-2:] == size


def test_a_flow_is_as_its_seed_and_an_unlike_seed_is_another():
    built = network(taught=True, objective="flow")
    built.configure(MMAIFOptions(flow_steps=2, guidance=1.5))
    first, second = pictures()

    def made(seed):
        generator = torch.Generator().manual_seed(seed)
        return built(first, second, said(built, "zoo", generator=generator)).image

    assert torch.equal(made(1), made(1))
    assert not torch.equal(made(1), made(2))


def test_a_still_scene_stays_still_under_one_generator():
    built = network(taught=True, objective="flow")
    built.configure(MMAIFOptions(flow_steps=2))
    cues = said(built, "zoo", generator=torch.Generator().manual_seed(5))
    first, second = pictures()
    assert torch.equal(built(first, second, cues).image, built(first, second, cues).image)


def test_a_flow_of_the_true_velocity_ends_at_the_latent():
    """Along a straight way from noise to z the velocity is e - z everywhere."""
    built = network(objective="flow")
    built.configure(MMAIFOptions(flow_steps=4))
    wanted = torch.full((1, 4, 8, 12), 0.25)
    transformer = LatentTransformer(CONFIG)

    class Straight(torch.nn.Module):
        def forward(self, latents, evidence, asked, noisy, time):
            found = transformer(latents, evidence, asked)
            return found._replace(made=(noisy - wanted) / time[:, None, None, None])

    built.transformer = Straight()
    built.transformer.condition = transformer.condition
    latent = built.follow(pictures(height=64, width=96), said(built, "zoo")).latent
    torch.testing.assert_close(latent.made, wanted)


def test_luma_and_chroma_come_back_as_the_colours_they_are():
    (picture,) = pictures(1)
    torch.testing.assert_close(to_rgb(to_planes(picture)), picture, atol=2e-3, rtol=0)
    red = torch.tensor([1.0, 0, 0])[None, :, None, None]
    # BT.601: 0.299 R; Cb = 0.5 - 0.168736 R; Cr = 0.5 + 0.5 R
    expected = torch.tensor([0.299, 0.5 - 0.168736, 1.0])[None, :, None, None]
    torch.testing.assert_close(to_planes(red), expected, atol=1e-5, rtol=0)


def test_what_is_marked_gets_at_least_as_bright_as_thermal_shows_it():
    luma, thermal = torch.full((1, 1, 4, 4), 0.5), torch.full((1, 1, 4, 4), 0.9)
    amount = torch.zeros(1, 1, 4, 4)
    amount[..., :2] = 1
    shown = shown_brightly(luma, thermal, amount)
    assert torch.equal(shown[..., 2:], luma[..., 2:])
    torch.testing.assert_close(shown[..., :2], torch.full((1, 1, 4, 2), 0.3 + 0.7 * 0.9))
    assert torch.equal(shown_brightly(thermal, luma * 0, amount + 1), thermal)


@pytest.mark.parametrize("style", ["bright", "dark", "contrast", "colour", "sharp"])
def test_a_style_does_what_it_says(style):
    planes = to_planes(pictures(1)[0])
    gates = {name: torch.zeros(1, 1, 1, 1) for name in GATES}
    made = {
        share: styled(planes, Look(**{**gates, style: torch.full((1, 1, 1, 1), share)}))
        for share in (0.0, 0.5, 1.0)
    }
    measure = {
        "bright": lambda x: x[:, 0].mean(),
        "dark": lambda x: -x[:, 0].mean(),
        "contrast": lambda x: x[:, 0].std(),
        "colour": lambda x: x[:, 1:].std(),
        "sharp": lambda x: x[:, 0].diff(dim=-1).abs().mean(),
    }[style]
    none, some, much = (measure(made[share]) for share in (0.0, 0.5, 1.0))
    assert none < some < much
    torch.testing.assert_close(made[0.0], planes, atol=1e-4, rtol=0)


def test_an_opening_takes_away_what_is_bright_and_narrow():
    streak = torch.full((1, 1, 32, 32), 0.3)
    streak[..., 10] = 0.9
    streak[..., 20:] = 0.8
    expected = torch.full((1, 1, 32, 32), 0.3)
    expected[..., 20:] = 0.8
    torch.testing.assert_close(opened(streak, 2), expected)


def test_hot_is_what_stands_out_of_the_thermal_picture():
    thermal = torch.full((1, 1, 20, 20), 0.3)
    thermal[..., 4:8, 4:8] = 0.9
    hot = hot_mask(thermal)
    assert float(hot[..., 4:8, 4:8].min()) == 1
    assert float(hot.sum()) == 16


def test_a_mask_shows_where_a_text_opens_the_gate_and_nowhere_else():
    built = network()
    first, second = pictures()
    mask = torch.zeros(1, 1, 48, 80)
    mask[..., 16:32, 16:32] = 1
    closed = built(first, second, said(built, "people", mask=mask)).image
    with torch.no_grad():
        built.looks.gates.bias[GATES.index("things")] = 9.0
    opened = built(first, second, said(built, "people", mask=mask)).image
    changed = (opened - closed).detach().abs().amax(1)[0]
    assert float(changed[18:30, 18:30].mean()) > 0.01
    assert float(changed[:10].max()) == 0
    without = built(first, second, Cues(mask=mask)).image
    assert torch.equal(without, built(first, second, Cues()).image)


def test_words_that_are_padding_change_nothing():
    built = network(taught=True)
    first, second = pictures()
    cue = built.encode_text("zoo lens")
    longer = type(cue)(F.pad(cue.tokens, (0, 0, 0, 3), value=0.7), F.pad(cue.mask, (0, 3)))
    one, other = (built(first, second, Cues(text=text)).image for text in (cue, longer))
    torch.testing.assert_close(one, other, atol=2e-3, rtol=0)


def test_what_a_text_names_is_told():
    built = network()
    assert built.named("show people brightly") == {"people"}
    assert built.named("remove the haze") == frozenset()
