"""TC-MoA: layers, decisions, prompt editing, and the published layout; on tiny networks."""

import dataclasses
import math

import pytest
import torch
from tiny_tcmoa import CONFIG, network

from fusion_core.errors import UsageError, WeightsError
from fusion_core.models import Cues, PromptEdit, create_model
from fusion_core.models.tcmoa import PAPER_BASE, TCMoA, TCMoAOptions
from fusion_core.models.tcmoa.adapters import TaskAdapters
from fusion_core.models.tcmoa.config import TASKS, layer_after
from fusion_core.models.tcmoa.decision import edited_shares, settled, shares
from fusion_core.models.tcmoa.prompt_layer import Edit, PromptLayer, edited
from fusion_core.models.tcmoa.published import load_published
from fusion_core.models.tcmoa.pyramids import (
    box,
    collapse,
    gaussian,
    guided,
    halve,
    halvings,
    laplacian,
)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(3)


@pytest.fixture
def net(tmp_path):
    return network(tmp_path)


def pictures(rng, number=2, height=40, width=56):
    return [torch.rand(1, 3, height, width, generator=rng) for _ in range(number)]


def fuse(net, images, task="mef", edit=None):
    with torch.inference_mode():
        return net.fuse_many(images, Cues(task=task, edit=edit)).image


def test_layers_follow_the_blocks_of_the_paper():
    """ViT-L: six in the encoder's 24 blocks, two in the decoder's eight."""
    assert [block for block in range(24) if layer_after(block, 4)] == [1, 5, 9, 13, 17, 21]
    assert [block for block in range(8) if layer_after(block, 4)] == [1, 5]


def test_size_on_vit_b_is_the_published_one():
    """3.865 million in the public layout, which leaves the sources' embeddings out."""
    own = create_model("tcmoa-base", 0).parameter_count()
    embeddings = 6 * (3 * 768 + 2 * 512)
    assert own - embeddings == pytest.approx(3.865e6, rel=1e-3)


def adapters(combine="linear", **options):
    torch.manual_seed(0)
    made = TaskAdapters(6, 3, 4, 4, 2, combine=combine, **options).eval()
    torch.nn.init.normal_(made.choose)
    return made


def test_two_of_four_adapters_answer(rng):
    made = adapters()
    tokens = torch.randn(2, 5, 6, generator=rng)
    mixed = made(tokens, {"mef": 1.0})
    assert ((mixed.gates > 0).sum(-1) == 2).all()
    torch.testing.assert_close(mixed.gates.sum(-1), torch.ones(2, 5))
    token = tokens[1, 2]
    logits = token @ made.choose[TASKS.index("mef")]
    best = logits.topk(2)
    gates = best.values.softmax(0)
    expected = sum(g * made.experts[i](token) for g, i in zip(gates, best.indices, strict=True))
    torch.testing.assert_close(mixed.answer[1, 2], expected)


def test_the_public_code_adds_exponentials(rng):
    made = adapters("logsumexp")
    token = torch.randn(1, 1, 6, generator=rng)
    mixed = made(token, {"vif": 1.0})
    total = sum(
        gate * made.experts[index](token[0, 0]).exp()
        for index, gate in enumerate(mixed.gates[0, 0])
    )
    torch.testing.assert_close(mixed.answer[0, 0], total.log())


def test_tasks_route_for_themselves_and_mix(rng):
    made = adapters()
    tokens = torch.randn(1, 40, 6, generator=rng)
    one, other = (made(tokens, {task: 1.0}).gates for task in ("mef", "mff"))
    assert not torch.equal(one, other)
    mixed = made(tokens, {"mef": 0.25, "mff": 0.75}).gates
    torch.testing.assert_close(mixed, 0.25 * one + 0.75 * other)


def test_routers_are_noisy_in_training_only(rng):
    made = adapters()
    tokens = torch.randn(1, 40, 6, generator=rng)
    assert torch.equal(made(tokens, {"mef": 1.0}).gates, made(tokens, {"mef": 1.0}).gates)
    made.train()
    torch.manual_seed(0)
    assert not torch.equal(made(tokens, {"mef": 1.0}).gates, made(tokens, {"mef": 1.0}).gates)


def layer(**options):
    torch.manual_seed(0)
    return PromptLayer(16, 4, 2, "linear", **{"keep_statistics": False, **options}).eval()


def test_a_prompt_layer_by_hand(rng):
    """Equations 2 to 7, with prompts as the layer gives them."""
    made = layer()
    first, second = torch.randn(2, 1, 12, 16, generator=rng)
    out = made(first, second, (3, 4), {"mff": 1.0}, None)
    assert out.prompts.shape == (1, 12, 2)
    assert 0 < out.prompts.min() <= out.prompts.max() < 1
    weighed = out.prompts[..., :1] * first + out.prompts[..., 1:] * second
    weighed = weighed + made.sources[TASKS.index("mff")].sum(0)
    fused = made.fuse(weighed.transpose(1, 2).unflatten(2, (3, 4))).flatten(2).transpose(1, 2)
    torch.testing.assert_close(out.first, 0.5 * first + 0.5 * fused)
    torch.testing.assert_close(out.second, 0.5 * second + 0.5 * fused)


def test_clues_are_read_beside_the_tokens_once_their_projection_is_trained(rng):
    made = layer(clues=3)
    first, second = torch.randn(2, 1, 12, 16, generator=rng)
    sharp, flat = torch.ones(1, 12, 3), torch.zeros(1, 12, 3)

    def prompts(seen):
        return made(first, second, (3, 4), {"mff": 1.0}, None, seen=seen).prompts

    assert torch.equal(prompts(sharp), prompts(flat))  # untrained, the layer is the paper's
    torch.nn.init.ones_(made.look.weight[:1])
    assert not torch.equal(prompts(sharp), prompts(flat))


def test_the_sources_embeddings_are_trained_and_saved():
    names = dict(layer().named_parameters())
    assert names["sources"].shape == (3, 2, 16)


def test_streams_of_the_decoder_keep_their_statistics(rng):
    made = layer(keep_statistics=True)
    first, second = 2 * torch.randn(2, 1, 12, 16, generator=rng) + 1
    out = made(first, second, (3, 4), {"vif": 1.0}, None)
    torch.testing.assert_close(out.second.mean(), second.mean())
    torch.testing.assert_close(out.second.std(), second.std(), rtol=1e-4, atol=0)


def test_equation_8():
    prompts = torch.tensor([[[0.7, 0.4]]])
    changed = edited(prompts, Edit(2.0, torch.tensor([0.1])))
    torch.testing.assert_close(changed, torch.tensor([[[1.0, 0.2]]]))
    pair = torch.tensor([0.7, 0.3])[None, :, None, None]
    is_first = torch.tensor([[True, False]])
    torch.testing.assert_close(
        edited_shares(pair, 0.5, 0.1, is_first).flatten(), torch.tensor([0.7, 0.3])
    )
    assert edited_shares(pair, 2.0, 0.3, is_first).flatten().tolist() == [1, 0]


def test_clear_decisions_are_exact():
    """A share of .05 or less of a pixel is none."""
    logit = math.log(0.96 / 0.04)
    assert shares(torch.tensor([logit, 0.0])[None, :, None, None]).flatten().tolist() == [1, 0]
    even = shares(torch.zeros(1, 3, 1, 1)).flatten()
    torch.testing.assert_close(even, torch.full((3,), 1 / 3))


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (7, 5), (33, 64), (50, 47)])
def test_a_pyramid_of_any_size_comes_back(rng, size):
    picture = torch.rand(2, 3, *size, generator=rng)
    steps = halvings(*size, 2)
    torch.testing.assert_close(collapse(laplacian(gaussian(picture, steps))), picture)


def test_halving_keeps_a_ramp_in_place():
    """Half the columns, at the middles of pairs."""
    ramp = torch.arange(16.0).expand(1, 1, 8, 16)
    torch.testing.assert_close(halve(ramp)[0, 0, 2, 1:-1], torch.arange(0.5, 16, 2)[1:-1])


def test_the_guided_filter_keeps_the_guides_edge_only(rng):
    guide = torch.zeros(1, 1, 16, 32)
    guide[..., 16:] = 1
    noisy = guide + 0.3 * torch.randn(1, 1, 16, 32, generator=rng)
    smooth = guided(noisy, guide, 3, 1e-3)
    assert (smooth - guide).std() < 0.5 * (noisy - guide).std()
    assert smooth[..., 16:].mean() - smooth[..., :16].mean() > 0.9
    blurred = box(guide, 3)
    assert (guided(guide, guide, 3, 1e-3) - guide).abs().max() < (blurred - guide).abs().max() / 10


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (17, 16), (33, 70)])
def test_any_size(net, rng, task, size):
    images = pictures(rng, 2, *size)
    fused = fuse(net, images, task)
    assert fused.shape == images[0].shape
    assert 0 <= fused.min() <= fused.max() <= 1
    assert fused.isfinite().all()


@pytest.mark.parametrize("task", TASKS)
def test_equal_pictures_give_the_picture_back(net, rng, task):
    (picture,) = pictures(rng, 1)
    same = picture[:, :1].expand_as(picture) if task == "vif" else picture
    torch.testing.assert_close(fuse(net, [same, same], task), same, atol=1e-5, rtol=0)


@pytest.mark.parametrize("task", ["mef", "mff"])
@pytest.mark.parametrize("number", [2, 4])
def test_the_order_of_pictures_does_not_matter(net, rng, task, number):
    images = pictures(rng, number)
    fused = fuse(net, images, task)
    assert torch.equal(fuse(net, images[::-1], task), fused)
    assert torch.equal(fuse(net, images[1:] + images[:1], task), fused)


def test_thermal_gives_no_colour(net, rng):
    """The visible picture's hue stays: thermal changes luma only."""
    visible, thermal = pictures(rng)
    visible = 0.25 + visible / 2
    grey = thermal[:, :1].expand_as(thermal)
    fused = fuse(net, [visible, grey], "vif")
    offsets = [x - x.mean(1, keepdim=True) for x in (fused, visible)]
    cosine = torch.cosine_similarity(*offsets, dim=1)
    assert cosine.min() > 0.99


@pytest.mark.parametrize("task", ["mef", "mff"])
def test_pixels_come_from_the_sources(net, rng, task):
    """Two flat pictures: nothing outside their levels, no colour that neither has."""
    dark, bright = torch.rand(2, 1, 3, 1, 1, generator=rng).sort(0).values
    fused = fuse(net, [dark.expand(1, 3, 40, 40), bright.expand(1, 3, 40, 40)], task)
    share = (fused - dark) / (bright - dark)
    assert -1e-5 <= share.min() <= share.max() <= 1 + 1e-5
    assert (share.amax(1) - share.amin(1)).max() < 1e-4


@pytest.mark.parametrize("task", TASKS)
def test_beta_moves_towards_the_first_picture(net, rng, task):
    images = pictures(rng)
    if task == "vif":
        images = [image[:, :1].expand_as(image) for image in images]
    away = [
        float((fuse(net, images, task, PromptEdit(1.0, beta)) - images[0]).abs().mean())
        for beta in (-1.0, -0.3, 0.0, 0.3, 1.0)
    ]
    assert away == sorted(away, reverse=True)
    assert away[-1] < 1e-5
    swapped = fuse(net, images[::-1], task, PromptEdit(1.0, 1.0))
    torch.testing.assert_close(swapped, images[1], atol=1e-5, rtol=0)


def test_alpha_decides_more(net, rng):
    images = pictures(rng)
    spread = []
    for alpha in (0.0, 0.5, 1.0, 3.0):
        made = net.decide(images, Cues(task="mff", edit=PromptEdit(alpha)))
        spread.append(float((made.shares[0].detach() - 0.5).abs().mean()))
    assert spread == sorted(spread)
    assert spread[0] == 0


def test_another_tasks_routers_change_the_result(net, rng):
    for layer in net.modules():
        if isinstance(layer, TaskAdapters):
            torch.nn.init.normal_(layer.choose)
    images = pictures(rng)
    alone = fuse(net, images, "mef")
    mixed = fuse(net, images, "mef", PromptEdit(task_mix={"mff": 1.0}))
    assert not torch.equal(alone, mixed)
    net.configure(dataclasses.replace(net.options, mix_task="mff", mix=1.0))
    assert torch.equal(fuse(net, images, "mef"), mixed)


def test_options_edit_like_cues(net, rng):
    images = pictures(rng)
    told = fuse(net, images, "mff", PromptEdit(2.0, 0.25))
    net.configure(dataclasses.replace(net.options, alpha=2.0, beta=0.25))
    assert torch.equal(fuse(net, images, "mff"), told)


def test_one_picture_more_than_it_takes_and_other_shapes_are_refused(net, rng):
    first, second = pictures(rng)
    with pytest.raises(UsageError, match="expected equal shapes"):
        fuse(net, [first, second[..., 1:]])


def test_neither_autoencoder_nor_training_mode_leak(net):
    assert not [name for name in net.state_dict() if name.startswith("mae")]
    net.train()
    _ = net.mae.model
    assert not net.mae.model.training
    assert not any(parameter.requires_grad for parameter in net.mae.model.parameters())


@pytest.mark.parametrize(
    "changes",
    [
        {"experts": 1, "chosen": 1},
        {"experts": 2},
        {"experts": 6},
        {"every": 2},
        {"adapter": "plain"},
        {"result": "decoder"},
        {"result": "decoder", "combine": "logsumexp", "upsample": 2, "keep_statistics": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("task", ["mef", "vif"])
def test_every_variant_fuses_and_learns(tmp_path, rng, changes, task):
    net = network(tmp_path, **changes).train()
    images = pictures(rng)
    made = net.decide(images, Cues(task=task))
    made.image.square().mean().backward()
    assert made.image.shape == images[0].shape
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_the_decoders_picture_follows_edits(tmp_path, rng):
    net = network(tmp_path, result="decoder")
    images = pictures(rng)
    assert not torch.equal(fuse(net, images), fuse(net, images, edit=PromptEdit(1.0, 0.5)))


def published(config, rng):
    """Random tensors in the layout of the public code's checkpoints."""
    tensors = {}

    def linear(name, rows, columns, *, bias=True):
        tensors[f"{name}.weight"] = torch.randn(rows, columns, generator=rng) / columns**0.5
        if bias:
            tensors[f"{name}.bias"] = 0.1 * torch.randn(rows, generator=rng)

    def norm(name, width):
        tensors[f"{name}.weight"] = 1 + 0.1 * torch.randn(width, generator=rng)
        tensors[f"{name}.bias"] = 0.1 * torch.randn(width, generator=rng)

    def side(prefix, short, depth, width, heads):
        for block in range(depth):
            place = f"{prefix}blocks.{block}"
            norm(f"{place}.norm1", width)
            norm(f"{place}.norm2", width)
            linear(f"{place}.attn.qkv", 3 * width, width)
            linear(f"{place}.attn.proj", width, width)
            linear(f"{place}.mlp.fc1", 4 * width, width)
            linear(f"{place}.mlp.fc2", width, 4 * width)
        for pair in range(depth // 2):
            table = f"{short}_relative_position.{pair}.relative_position_bias_table"
            tensors[table] = 0.1 * torch.randn(729, heads, generator=rng)
        for number in range(depth // 4):
            moa, quarter = f"{prefix}blocks_MoA.{number}", width // 4
            linear(f"{moa}.dimReduction", quarter, 2 * width, bias=False)
            norm(f"{moa}.norm1", 2 * width)
            norm(f"{moa}.norm2", quarter)
            for weight in ("w_gate", "w_noise"):
                tensors[f"{moa}.MoA.{weight}"] = torch.randn(3, quarter, 4, generator=rng)
            for expert in range(4):
                linear(f"{moa}.MoA.experts.{expert}.fc1", width // 32, quarter)
                linear(f"{moa}.MoA.experts.{expert}.fc2", quarter, width // 32)
            fusion = f"{'de_' if prefix else ''}FusionLayer.{number}"
            for conv, (out, into, edge) in enumerate(
                ((quarter, width, 1), (quarter, quarter, 3), (width, quarter, 1)), start=1
            ):
                shape = (out, into, edge, edge)
                scale = (into * edge * edge) ** -0.5
                tensors[f"{fusion}.conv{conv}.weight"] = scale * torch.randn(shape, generator=rng)

    side("", "en", config.depth, config.width, config.heads)
    side("decoder_", "de", config.decoder_depth, config.decoder_width, config.decoder_heads)
    tensors["Alpha_encoder"] = torch.rand(config.depth // 4, generator=rng)
    tensors["Alpha_decoder"] = torch.rand(config.decoder_depth // 4, generator=rng)
    shape = (config.width, 3, 16, 16)
    tensors["patch_embed.proj.weight"] = torch.randn(shape, generator=rng) / 768**0.5
    tensors["patch_embed.proj.bias"] = 0.1 * torch.randn(config.width, generator=rng)
    tensors["cls_token"] = torch.zeros(1, 1, config.width)
    tensors["pos_embed"] = torch.zeros(1, 197, config.width)
    norm("norm", config.width)
    norm("decoder_norm", config.decoder_width)
    linear("decoder_embed", config.decoder_width, config.width)
    linear("decoder_pred", 768, config.decoder_width)
    return tensors


SMALL_PAPER = dataclasses.replace(
    PAPER_BASE, mae=dataclasses.replace(CONFIG.mae, depth=4, decoder_depth=4), upsample=1
)


def paper_network():
    torch.manual_seed(1)
    return TCMoA("tcmoa-base", SMALL_PAPER).eval()


def test_published_checkpoints_load(tmp_path, rng):
    tensors = published(SMALL_PAPER.mae, rng)
    torch.save({"model": tensors, "epoch": 20}, tmp_path / "base.pth")
    net = paper_network()
    assert load_published(net, tmp_path / "base.pth") == ("cls_token", "pos_embed")
    layer = net.streams.encoder_layers["1"]
    # There a layer's scalar weighs what is fused, here the stream's own tokens.
    torch.testing.assert_close(layer.own, 1 - tensors["Alpha_encoder"][0])
    assert torch.equal(layer.fuse[1].weight, tensors["FusionLayer.0.conv2.weight"])
    block = net.mae.model.decoder_blocks[3]
    assert torch.equal(block.qkv.weight, tensors["decoder_blocks.3.attn.qkv.weight"])
    fused = fuse(net, pictures(rng, 2, 32, 48))
    assert fused.shape == (1, 3, 32, 48)
    assert fused.std() > 0


def test_other_files_are_no_published_checkpoints(tmp_path, rng):
    net = paper_network()
    with pytest.raises(WeightsError, match="no usable checkpoint"):
        load_published(net, tmp_path / "none.pth")
    tensors = published(SMALL_PAPER.mae, rng)
    del tensors["blocks_MoA.0.MoA.w_gate"]
    torch.save({"model": tensors}, tmp_path / "part.pth")
    with pytest.raises(WeightsError, match="no tensor 'blocks_MoA"):
        load_published(net, tmp_path / "part.pth")
    torch.save({"model": published(CONFIG.mae, rng)}, tmp_path / "small.pth")
    with pytest.raises(WeightsError, match=r"small\.pth"):
        load_published(net, tmp_path / "small.pth")


def test_missing_weights_of_a_real_one_are_named(tmp_path, rng):
    net = TCMoA("tcmoa-base", SMALL_PAPER)
    net.configure(TCMoAOptions(mae_weights=str(tmp_path / "nowhere")))
    with pytest.raises(WeightsError, match="nowhere"):
        fuse(net, pictures(rng))


def test_flat_places_take_what_is_sure_around_them():
    """An island of the other picture in a flat place goes, and one with detail of its own stays."""
    share = torch.zeros(1, 2, 64, 64)
    share[:, 0] = 1
    for left in (8, 40):
        share[:, :, 24:40, left : left + 16] = torch.tensor([0.0, 1.0])[:, None, None]
    detail = torch.full((1, 1, 64, 64), 0.1)
    detail[..., 20:44, 4:28] = 0  # around and inside the first island
    made = settled(share, detail)
    torch.testing.assert_close(made.sum(1), torch.ones(1, 64, 64))
    assert made[0, 0, 26:38, 10:22].min() > 0.9
    assert torch.equal(made[..., 28:], share[..., 28:])
    assert settled(share, torch.zeros_like(detail)).isfinite().all()
