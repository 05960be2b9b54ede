"""What every network is given, whatever its caller has."""

import math

import pytest
import torch
from small_networks import Plain, Weighted

from fusion_core.errors import UsageError
from fusion_core.models import Cues, Features, PromptEdit, TextCue, load_model

FIRST, SECOND = torch.rand(2, 1, 3, 8, 12, generator=torch.Generator().manual_seed(0))
MASK = torch.ones(1, 1, 8, 12)
TOKENS = torch.full((1, 5, 3), 0.1)
TEXT = TextCue(torch.full((1, 2, 4), 0.1), torch.tensor([[True, False]]))
EVERYTHING = Cues(
    chroma=torch.zeros(1, 2, 8, 12),
    tokens=TOKENS,
    mask=MASK,
    text=TEXT,
    edit=PromptEdit(2.0),
    memory=torch.ones(2, 3),
)


def test_a_network_gets_what_it_uses_and_nothing_else():
    network = Weighted(Features(uses_mask=True))
    network(FIRST, SECOND, EVERYTHING)
    (seen,) = network.seen
    assert seen.mask is MASK
    assert (seen.chroma, seen.tokens, seen.text, seen.edit) == (None,) * 4
    assert seen.memory is network.bank


def test_memory_that_is_not_given_is_the_trained_one():
    network = Weighted()
    network(FIRST, SECOND)
    network(FIRST, SECOND, EVERYTHING)
    assert network.seen[0].memory is network.bank
    assert network.seen[1].memory is EVERYTHING.memory


@pytest.mark.parametrize(
    "cues",
    [
        Cues(tokens=TOKENS),
        Cues(mask=MASK),
        Cues(text=TEXT),
        Cues(mask=MASK, edit=PromptEdit(0.0, 0.25)),
        Cues(memory=torch.full((1, 3), 0.2)),
        Cues(generator=torch.Generator().manual_seed(0)),
    ],
    ids=["prior", "mask", "text", "edit", "memory", "generator"],
)
def test_every_cue_reaches_the_picture(cues):
    network = Weighted()
    assert not torch.equal(network(FIRST, SECOND, cues).image, network(FIRST, SECOND).image)


def test_convention_prompt_edit_by_hand():
    """0.5 + 2 (0.75 - 0.5) - 0.25 = 0.75 of the second picture (TC-MoA, equation 8)."""
    image = Weighted()(FIRST, SECOND, Cues(mask=MASK, edit=PromptEdit(2.0, 0.25))).image
    torch.testing.assert_close(image, torch.lerp(FIRST, SECOND, 0.75))


def test_equal_generators_give_equal_pictures():
    network = Weighted()
    one, other = (
        network(FIRST, SECOND, Cues(generator=torch.Generator().manual_seed(seed))).image
        for seed in (3, 3)
    )
    assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("need", "cue"), [("prior", "tokens"), ("mask", "mask"), ("text", "text"), ("edit", "edit")]
)
def test_a_cue_that_is_needed_and_missing_is_named(need, cue):
    every = Weighted.features
    features = Features(
        uses_prior=True, uses_text=True, uses_mask=True, uses_edit=True, needs=frozenset({need})
    )
    network = Weighted(features)
    with pytest.raises(UsageError, match=f"weighted: needs a cue '{need}'"):
        network(FIRST, SECOND)
    network(FIRST, SECOND, Cues(**{cue: getattr(EVERYTHING, cue)}))
    assert not every.needs


@pytest.mark.parametrize(
    ("cues", "words"),
    [
        (Cues(tokens=torch.zeros(1, 5, 4)), "prior tokens of width 4, made for 3"),
        (Cues(tokens=torch.zeros(2, 5, 3)), r"prior tokens \(2, 5, 3\): expected \(1, tokens"),
        (Cues(mask=torch.zeros(1, 1, 8, 11)), r"mask \(1, 1, 8, 11\): expected \(1, 1, 8, 12\)"),
        (Cues(mask=2 * MASK), r"mask from 2 to 2: expected values in \[0, 1\]"),
        (Cues(mask=math.nan * MASK), "mask from nan to nan"),
        (Cues(text=TextCue(torch.zeros(1, 4), TEXT.mask)), r"text tokens \(1, 4\)"),
        (Cues(text=TextCue(TEXT.tokens, torch.ones(1, 3))), r"text mask \(1, 3\) for tokens"),
        (Cues(edit=PromptEdit(task_mix={"mef": 0.5, "sr": 0.5})), "mixes task 'sr'"),
        (Cues(memory=torch.zeros(4, 2)), r"memory slots \(4, 2\): expected \(slots, 3\)"),
        (Cues(task="sr"), r"task 'sr' is none of its tasks \(vif, mef, mff\)"),
    ],
)
def test_cues_of_the_wrong_shape_range_or_task_are_refused(cues, words):
    with pytest.raises(UsageError, match=words):
        Weighted()(FIRST, SECOND, cues)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"alpha": -0.1}, "alpha = -0.1: expected 0 to 10"),
        ({"alpha": math.nan}, "alpha = nan"),
        ({"beta": 1.5}, "beta = 1.5: expected -1 to 1"),
        ({"task_mix": {"mef": 0.5}}, "sums up to 0.5: expected 1"),
        ({"task_mix": {"mef": 1.5, "vif": -0.5}}, r"task_mix\['mef'\] = 1.5"),
    ],
)
def test_prompt_edits_out_of_range_are_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        PromptEdit(**arguments)


@pytest.mark.parametrize(
    "pictures",
    [
        (FIRST, SECOND[..., :-1]),
        (FIRST[:, :1], SECOND[:, :1]),
        (FIRST[0], SECOND[0]),
        (FIRST, SECOND[:, :1]),
    ],
)
def test_pictures_of_unequal_or_wrong_shape_are_refused(pictures):
    with pytest.raises(UsageError, match=r"expected equal shapes \(batch, 3, height, width\)"):
        Plain()(*pictures)


def test_a_network_without_text_refuses_one():
    with pytest.raises(UsageError, match="plain: takes no text"):
        Plain().encode_text("dark")


@pytest.mark.parametrize("name", ["m2pn-edge", "mdaif", "ctrlfuse"])
def test_networks_of_luma_take_and_give_colour(name):
    """The colour picture's luma is the fused luma."""
    model = load_model(name)
    assert model.features.gives == "luma"
    first, second = torch.rand(2, 1, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        output = model(first, second)
        image = output.image
    assert image.shape == first.shape
    assert 0 <= image.min() <= image.max() <= 1
    luma = (image * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    # 1.403 and its like are BT.601 to three digits, so chroma adds up to 1e-3 of luma.
    torch.testing.assert_close(luma, output.luma.fused, atol=2e-3, rtol=0)
    assert output.image is image


def test_a_network_of_luma_fuses_what_its_luma_path_fuses():
    model = load_model("mdaif")
    first, second = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        output = model(first, second)
        from fusion_core.models.colour import split_planes

        luma, chroma = split_planes(first)
        expected = model.luma_path.forward_luma(second[:, :1], luma, Cues(chroma))
    assert torch.equal(output.luma.fused, expected.fused)
    assert torch.equal(output.luma.chroma, expected.chroma)
