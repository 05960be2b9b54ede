"""CtrlFuse as a network: what a mask may change, and what it must not."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import ndimage

from fusion_core.models import Cues, create_model
from fusion_core.models.blocks import (
    GradientDenseBlock,
    ObjectPromptEncoder,
    PromptSemanticFusion,
    View,
    Window,
)
from fusion_core.models.blocks.object_prompts import (
    CELLS,
    area_of,
    find_objects,
    lay,
    look_at,
)
from fusion_core.models.blocks.reference_prompts import (
    ReferencePromptEncoder,
    marked_on_grid,
    similarity,
    sine_position,
)
from fusion_core.models.ctrlfuse import FULL, CtrlFuse, CtrlFuseOptions

# How far the decoder sees: convolutions, head and its smoothing, in pixels of the picture.
_REACH = 12
# How far the segmenter sees from a square of 24 pixels: half of its size.
_SEEN = 12


def pair(height=96, width=128, batch=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(batch, 1, height, width, generator=generator) for _ in range(2))


def square(thermal, top=30, left=40, edge=24):
    mask = torch.zeros_like(thermal)
    mask[..., top : top + edge, left : left + edge] = 1
    return mask


def network(seed=0):
    """Return the robot's network with a head that shows what it is given."""
    model = create_model("ctrlfuse", seed)
    torch.manual_seed(seed)
    torch.nn.init.normal_(model.head.conv.weight, std=0.1)
    return model.eval()


def obedient(seed=0):
    """Return a network whose segmenter finds nothing, so that the prompts' shape is believed."""
    model = network(seed)
    with torch.no_grad():
        model.segmenter.logit.bias.fill_(-1e3)
    return model


def fuse(model, thermal, visible, mask=None):
    return model.forward_luma(thermal, visible, Cues(mask=mask))


@torch.no_grad()
def test_without_a_mask_and_with_an_empty_one_the_result_is_the_reference_bit_by_bit():
    model = network()
    thermal, visible = pair()
    plain = fuse(model, thermal, visible)
    empty = fuse(model, thermal, visible, torch.zeros_like(thermal))
    marked = fuse(model, thermal, visible, square(thermal))
    assert torch.equal(plain.fused, empty.fused)
    assert torch.equal(plain.fused, marked.reference)
    assert plain.logits is None
    assert empty.logits is None


@torch.no_grad()
@pytest.mark.parametrize("training", [False, True])
def test_an_empty_mask_in_a_batch_changes_nothing_in_its_picture(training):
    model = network().train(training)
    thermal, visible = pair(batch=2)
    mask = square(thermal)
    mask[1] = 0
    output = fuse(model, thermal, visible, mask)
    assert torch.equal(output.fused[1], output.reference[1])
    assert not torch.equal(output.fused[0], output.reference[0])


@torch.no_grad()
def test_a_mask_changes_the_picture_inside_only():
    model = obedient()
    thermal, visible = pair()
    mask = square(thermal)
    output = fuse(model, thermal, visible, mask)
    change = (output.fused - output.reference).abs()[0, 0].numpy()
    near = ndimage.maximum_filter(mask[0, 0].numpy(), 2 * (_REACH + _SEEN) + 1) > 0
    assert change[~near].max() == 0
    assert change[mask[0, 0].numpy() > 0].mean() > 1e-3


@torch.no_grad()
def test_what_the_segmenter_does_not_know_counts_as_the_prompts_say():
    """It finds nothing at all of a square; what is taken for it is the square, to a cell."""
    thermal, visible = pair()
    mask = square(thermal)
    output = fuse(obedient(), thermal, visible, mask)
    found = (output.logits > 0).float()[0, 0]
    marked = torch.nn.functional.avg_pool2d(mask, 2)[0, 0]
    assert float((found - marked).abs().sum()) < 0.1 * float(marked.sum())


@torch.no_grad()
def test_nothing_but_the_prompts_sees_the_mask():
    """With the prompts of another mask the picture is that of the other mask."""
    model = network()
    thermal, visible = pair()
    first, second = square(thermal), square(thermal, 60, 90, 20)
    wanted = fuse(model, thermal, visible, second)
    prompts = []
    handle = model.encoder.register_forward_hook(lambda _m, _i, made: prompts.append(made))
    fuse(model, thermal, visible, second)
    handle.remove()
    model.encoder.register_forward_hook(lambda *_: prompts[0])
    assert torch.equal(fuse(model, thermal, visible, first).fused, wanted.fused)


@torch.no_grad()
def test_gain_scales_what_the_prompts_add():
    model = obedient()
    thermal, visible = pair()
    mask = square(thermal)
    changes = []
    for gain in (0.0, 1.0, 3.0):
        model.configure(CtrlFuseOptions(gain=gain))
        output = fuse(model, thermal, visible, mask)
        changes.append(float((output.fused - output.reference).abs().mean()))
    assert changes[0] == 0
    assert changes[0] < changes[1] < changes[2]


@torch.no_grad()
@pytest.mark.parametrize("size", [(33, 47), (96, 128), (17, 130)])
def test_pictures_of_any_size(size):
    thermal, visible = pair(*size)
    output = fuse(network(), thermal, visible, square(thermal, 4, 4, 8))
    assert output.fused.shape == thermal.shape
    assert output.logits.shape == (1, 1, -(-size[0] // 2), -(-size[1] // 2))
    assert output.fused.isfinite().all()


def test_the_fused_picture_teaches_the_prompts_through_the_soft_mask():
    model = network().train()
    thermal, visible = pair()
    fuse(model, thermal, visible, square(thermal)).fused.mean().backward()
    for part in (model.encoder, model.segmenter, model.prompted):
        assert all(parameter.grad is not None for parameter in part.parameters())
        assert any(float(parameter.grad.abs().max()) > 0 for parameter in part.parameters())


def test_segmentation_does_not_pull_at_the_reference_fusion():
    model = network().train()
    thermal, visible = pair()
    fuse(model, thermal, visible, square(thermal)).logits.mean().backward()
    assert all(parameter.grad is None for parameter in model.decoder.parameters())


def test_the_published_setting_has_the_published_size():
    """6.25 million trainable parameters, counted in the public code, whose stride is 2."""
    model = CtrlFuse("ctrlfuse-full", dataclasses.replace(FULL, stride=2))
    assert model.parameter_count() == pytest.approx(6.25e6, rel=0.02)
    assert model.encoder[0].queries.shape == (40, 256)


@torch.no_grad()
def test_the_sobel_path_starts_as_sobel():
    """scipy.ndimage.sobel is the reference; the kernels here are an eighth of its."""
    picture = np.random.default_rng(0).random((20, 24))
    block = GradientDenseBlock(1, 1)
    for part in (block.merge, block.edges):
        torch.nn.init.zeros_(part.weight)
    block.merge.bias.zero_()
    block.edges.weight.fill_(1)
    found = block(torch.from_numpy(picture).float()[None, None])[0, 0].numpy()
    wanted = sum(np.abs(ndimage.sobel(picture, axis)) for axis in (0, 1)) / 8
    np.testing.assert_allclose(found[1:-1, 1:-1], wanted[1:-1, 1:-1], atol=1e-6)


def areas_of(marked):
    return [area_of(each.box, marked.shape, 2) for each in find_objects(marked)[0]]


def test_every_object_is_looked_at_with_half_its_size_around_it():
    """By hand, in cells of 2 px: rows (20 - 10) / 2 to (40 + 10) / 2, columns at least 8 px."""
    marked = np.zeros((120, 160), np.uint8)
    marked[20:40, 50:60] = 1
    marked[100:120, 0:30] = 1
    areas = sorted(areas_of(marked))
    assert areas == [(5, 21, 25, 34), (45, 0, 60, 23)]
    assert find_objects(np.zeros_like(marked))[0] == []


def test_a_mask_of_many_parts_is_a_few_objects_that_cover_it():
    marked = np.zeros((240, 320), np.uint8)
    marked[::6, ::6] = 1
    areas = areas_of(marked)
    assert 1 <= len(areas) <= 32
    covered = np.zeros((120, 160), bool)
    for top, left, bottom, right in areas:
        covered[top:bottom, left:right] = True
    assert covered[np.argwhere(marked)[:, 0] // 2, np.argwhere(marked)[:, 1] // 2].all()
    thirty = np.zeros((480, 640), np.uint8)
    for number in range(30):
        row, column = divmod(number, 6)
        thirty[90 * row + 20 : 90 * row + 32, 100 * column + 20 : 100 * column + 25] = 1
    assert len(find_objects(thirty)[0]) == 30


def test_of_many_boxes_the_largest_stay_boxes():
    """Forty boxes, ten of them large; four groups of ten small ones next to each other."""
    mask = np.zeros((240, 640), np.uint8)
    for number in range(10):
        mask[20:60, 60 * number + 10 : 60 * number + 40] = 1
    for number in range(40):
        column = 150 * (number // 10) + 8 * (number % 10) + 20
        mask[150:154, column : column + 4] = 1
    found, exact = find_objects(mask)
    assert len(found) <= 32
    boxes = {each.box for each in found if each.by_box}
    assert {(60 * number + 10, 20, 30, 40) for number in range(10)} <= boxes
    assert not exact[:100].any()
    covered = exact.copy()
    for left, top, width, height in (each.box for each in found):
        covered[top : top + height, left : left + width] = 1
    assert covered[mask > 0].all()


def drawn(kind, height=96, width=128):
    """Return a disc, a bar, a crumb, or a rectangle that is no object."""
    mask = np.zeros((height, width), np.uint8)
    rows, columns = np.mgrid[:height, :width]
    if kind == "disc":
        mask[(rows - 40) ** 2 + (columns - 60) ** 2 < 15**2] = 1
    top, left, high, wide = {
        "disc": (0, 0, 0, 0),
        "bar": (20, 30, 40, 14),
        "crumb": (20, 30, 5, 3),
        "place": (4, 5, 49, 65),
    }[kind]
    mask[top : top + high, left : left + wide] = 1
    return mask


@pytest.mark.parametrize(
    ("kind", "by_box"), [("disc", False), ("bar", True), ("crumb", False), ("place", False)]
)
def test_an_upright_rectangle_is_a_box_and_any_other_shape_is_exact(kind, by_box):
    """By hand: a place is higher than 48 of 96 rows and wider than 64 of 128 columns."""
    mask = drawn(kind)
    (found,), exact = find_objects(mask)
    assert found.by_box == by_box
    assert np.array_equal(exact, 0 * mask if by_box else mask)


def test_boxes_that_overlap_are_boxes_and_what_lies_between_them_stays():
    mask = np.zeros((96, 128), np.uint8)
    mask[10:50, 10:30] = mask[30:70, 24:60] = 1
    crumb = np.zeros_like(mask)
    crumb[15:18, 45:49] = 1
    found, exact = find_objects(mask | crumb)
    assert sorted(each.by_box for each in found) == [False, True]
    assert np.array_equal(exact, crumb)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["disc", "crumb", "place"])
def test_a_shape_is_taken_as_it_is_given_whatever_the_segmenter_thinks(kind):
    """To a cell of 2 pixels, half of which may be marked."""
    thermal, visible = pair()
    mask = torch.from_numpy(drawn(kind)).float()[None, None]
    found = (fuse(obedient(), thermal, visible, mask).logits > 0)[0, 0].float()
    share = torch.nn.functional.avg_pool2d(mask, 2)[0, 0]
    assert torch.equal(found[share == 0], 0 * found[share == 0])
    assert torch.equal(found[share == 1], 1 + 0 * found[share == 1])


@torch.no_grad()
def test_boxes_beside_a_shape_are_looked_for_alone():
    model, looked = network(), []
    model.segmenter.fine.register_forward_hook(lambda _m, inputs, _o: looked.append(inputs[0]))
    thermal, visible = pair()
    mask = torch.from_numpy(drawn("disc")).float()[None, None]
    fuse(model, thermal, visible, mask)
    assert looked == []
    mask[..., 70:90, 100:120] = 1
    fuse(model, thermal, visible, mask)
    assert [len(each) for each in looked] == [1]


def test_what_was_looked_at_is_laid_back():
    """Of a ramp, which survives resizing to a tenth of a step, away from the area's border."""
    rows, columns = torch.meshgrid(torch.arange(60.0), torch.arange(80.0), indexing="ij")
    maps = (rows + columns)[None, None]
    areas = torch.tensor([[10 / 60, 20 / 80, 40 / 60, 60 / 80]])
    seen = look_at(maps, (0,), areas)
    assert seen.shape == (1, 1, *CELLS)
    back = lay(seen, (0,), areas, torch.full_like(maps, -1))
    torch.testing.assert_close(back[..., 12:38, 22:58], maps[..., 12:38, 22:58], atol=0.1, rtol=0)
    assert float(back[..., :10, :].amax()) == float(back[..., :20].amax()) == -1
    nowhere = torch.zeros(1, 4)
    assert float(look_at(maps, (0,), nowhere).abs().max()) == 0
    assert torch.equal(lay(seen, (0,), nowhere, maps.clone()), maps)


@torch.no_grad()
def test_prompts_tell_what_is_marked_and_what_surrounds_it():
    """A square of .8 on .2 in thermal, of .3 on .6 in visible."""
    thermal, visible = torch.full((1, 1, 96, 128), 0.2), torch.full((1, 1, 96, 128), 0.6)
    mask = square(thermal)
    thermal, visible = thermal + 0.6 * mask, visible - 0.3 * mask
    maps = torch.nn.functional.avg_pool2d(torch.cat([thermal, visible], 1), 2)
    view = View(thermal, torch.cat([thermal, visible], 1), (maps, -maps), maps)
    prompts = ObjectPromptEncoder(2, 8, 2)(view, mask)
    objects = prompts.objects
    assert objects.picture == (0,)
    for part, values in enumerate(((0.8, 0.3), (0.2, 0.6))):
        wanted = torch.tensor(values)
        medians, features = objects.levels[0, part, :, 1], objects.features[0, part]
        torch.testing.assert_close(medians, wanted, atol=0.02, rtol=0)
        torch.testing.assert_close(features[0], wanted, atol=0.06, rtol=0)
        torch.testing.assert_close(features[1], -wanted, atol=0.06, rtol=0)
    # Half of 24 pixels all round: the square is the middle of an area of twice its size.
    assert float(objects.shapes.mean()) == pytest.approx(0.25, abs=0.02)
    assert prompts.tokens.shape == (1, 2, 3, 8)


@torch.no_grad()
def test_prompts_tell_whether_an_object_is_upright():
    """A person's box of 12x36 pixels, and a vehicle's of 40x20: log 3 and log 1/2."""
    plane = torch.full((1, 1, 96, 128), 0.2)
    mask = torch.zeros_like(plane)
    mask[..., 10:46, 10:22] = mask[..., 60:80, 60:100] = 1
    maps = torch.nn.functional.avg_pool2d(plane, 2)
    view = View(plane, plane.expand(-1, 2, -1, -1), (maps, maps), maps)
    upright = ObjectPromptEncoder(1, 8, 2)(view, mask).objects.upright
    assert sorted(upright[:, 0].exp().tolist()) == pytest.approx([0.5, 3])


def test_cells_read_the_prompts_of_their_own_object():
    torch.manual_seed(0)
    module = PromptSemanticFusion(16, 32, 8, 8)
    maps, tokens = torch.randn(1, 16, 40, 80), torch.randn(1, 2, 32)
    areas = torch.tensor([[[0.0, 0.0, 1.0, 0.5], [0.0, 0.5, 1.0, 1.0]]])
    readers = module._readers(module.down(maps), maps, areas).reshape(5, 10, 2)
    assert readers[:, :5, 0].all()
    assert readers[:, 5:, 1].all()
    assert not readers[:, 5:, 0].any()
    other = tokens.clone()
    other[:, 1] += 1
    cells = torch.randn(1, 50, 32)
    before, after = (module.read(cells, t, readers.view(1, 50, 2)) for t in (tokens, other))
    changed = (before != after).any(2).view(5, 10)
    assert not changed[:, :5].any()
    assert changed[:, 5:].all()


def test_similarity_is_the_largest_cosine_to_a_marked_cell():
    source = torch.zeros(1, 2, 2, 2)
    source[0, :, 0, 0] = torch.tensor([1.0, 0.0])
    source[0, :, 0, 1] = torch.tensor([0.0, 2.0])
    source[0, :, 1, 1] = torch.tensor([-1.0, 0.0])
    fused = torch.zeros(1, 2, 1, 2)
    fused[0, :, 0, 0] = torch.tensor([3.0, 4.0])
    fused[0, :, 0, 1] = torch.tensor([-1.0, 0.0])
    mask = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
    torch.testing.assert_close(
        similarity(source, fused, mask), torch.tensor([[[[0.8, 0.0]]]]), atol=1e-6, rtol=0
    )
    assert float(similarity(source, fused, torch.zeros_like(mask)).abs().max()) == 0


def test_similarity_to_few_marked_cells_is_exact():
    torch.manual_seed(0)
    source, fused = torch.randn(1, 4, 12, 12), torch.randn(1, 4, 12, 12)
    mask = torch.zeros(1, 1, 12, 12)
    cells = torch.randperm(144)[:60]
    mask.view(-1)[cells] = 1
    known = torch.nn.functional.normalize(source.flatten(2)[0], dim=0)[:, cells]
    wanted = (known.T @ torch.nn.functional.normalize(fused.flatten(2)[0], dim=0)).amax(0)
    torch.testing.assert_close(similarity(source, fused, mask).flatten(), wanted)


@torch.no_grad()
def test_prompts_tell_a_small_object_and_its_place():
    torch.manual_seed(0)
    encoder = ReferencePromptEncoder(8, 32, 4, 40, 64)
    maps = torch.randn(1, 8, 64, 64)
    prompts = []
    for left in (20, 500):
        mask = torch.zeros(1, 1, 480, 640)
        mask[..., 100:104, left : left + 3] = 1
        prompts.append(encoder(maps, maps, marked_on_grid(mask, 64)))
    nothing = encoder(maps, maps, torch.zeros(1, 1, 64, 64))
    assert prompts[0].shape == (1, 40, 32)
    assert not torch.allclose(prompts[0], nothing, atol=1e-4)
    assert not torch.allclose(prompts[0], prompts[1], atol=1e-4)


def test_positions_differ_from_cell_to_cell():
    position = sine_position(48, 64, 48)
    nearest = (position @ position.T - 2 * 24 * torch.eye(48 * 64)).amax()
    assert position.shape == (48 * 64, 48)
    assert float(nearest) < 23.9


def test_tokens_are_the_convolution_of_maps_their_mean_and_the_mask():
    torch.manual_seed(0)
    encoder = ReferencePromptEncoder(8, 32, 4, 40, 16)
    maps, mean, mask = torch.randn(2, 8, 16, 16), torch.randn(2, 8), torch.rand(2, 1, 16, 16)
    laid_out = mean[..., None, None].expand_as(maps)
    wanted = encoder.embed(torch.cat([maps, laid_out, 10 * mask], 1)).relu()
    wanted = wanted.flatten(2).transpose(1, 2) + sine_position(16, 16, 32)
    torch.testing.assert_close(encoder._tokens(maps, mean, mask), wanted)


@torch.no_grad()
def test_prompts_act_inside_the_mask_only():
    torch.manual_seed(0)
    module = PromptSemanticFusion(16, 32, 8, 8)
    maps, prompts = torch.randn(1, 16, 37, 50), torch.randn(1, 40, 32)
    mask = torch.zeros(1, 1, 37, 50)
    mask[..., 10:20, 10:20] = 1
    whole = Window(0, 37, 0, 50)
    out = module(maps, prompts, mask, whole)
    assert out.shape == maps.shape
    assert float((out * (1 - mask)).abs().max()) == 0
    assert not torch.allclose(out, module(maps, prompts + 1, mask, whole))
    for window in (Window(8, 21, 8, 30), Window(0, 37, 24, 50), Window(32, 37, 0, 9)):
        part = module(maps, prompts, mask, window)
        torch.testing.assert_close(part, window.of(out), atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(
    "corners",
    [[(40, 50)], [(0, 0)], [(76, 100)], [(10, 10), (60, 90)]],
    ids=["middle", "first corner", "last corner", "two"],
)
@pytest.mark.parametrize("size", [(96, 128), (97, 131)])
def test_decoding_a_window_is_decoding_the_whole(corners, size):
    model = obedient()
    thermal, visible = pair(*size)
    mask = torch.zeros_like(thermal)
    for top, left in corners:
        mask += square(thermal, top, left, 20)
    quick = fuse(model, thermal, visible, mask)
    model._changed = lambda inside: Window(0, inside.shape[-2], 0, inside.shape[-1])
    whole = fuse(model, thermal, visible, mask)
    torch.testing.assert_close(quick.fused, whole.fused, atol=1e-5, rtol=0)
    assert not torch.equal(quick.fused, quick.reference)
