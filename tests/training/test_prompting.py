"""Training of the networks that take a mask."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fusion_core.errors import ConfigError, SourceError, UsageError
from fusion_core.models import LumaOutput, create_model, load_model
from fusion_lab.data import Needs, read_examples
from fusion_lab.training import Place
from fusion_lab.training.augment import Augmentation
from fusion_lab.training.batches import PairBatch
from fusion_lab.training.prompting import PromptTrainer, load_prompt_recipe
from fusion_lab.training.prompting.batches import PromptBatch, make_prompt_batch, prompt_planes
from fusion_lab.training.prompting.corruption import (
    MaskCorruption,
    boxed,
    corrupt_mask,
    dilated,
    eroded,
    partial,
)
from fusion_lab.training.prompting.loss import (
    PromptWeights,
    emphasis_loss,
    prompt_objective,
    segmentation_loss,
)


def load_masked(folders):
    return read_examples(folders, needs=Needs(labels=True, mask=True))


SMALL = dataclasses.replace(
    load_prompt_recipe("ctrlfuse", steps=4),
    batch=2,
    crop=32,
    warmup=2,
    save_every=2,
    validate_every=4,
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(pair_folder):
    """Label the drawn pairs: the hot block is a person, with its mask; a car stands beside it."""
    for kind in ("labels", "masks"):
        (pair_folder / kind).mkdir()
    mask = np.zeros((72, 96), np.uint8)
    mask[20:50, 30:45] = 255
    for image in (pair_folder / "vi").glob("*.png"):
        rows = "label,x,y,w,h\nperson,30,20,15,30\ncar,60,40,20,10\n"
        (pair_folder / "labels" / f"{image.stem}.csv").write_text(rows)
        cv2.imwrite(str(pair_folder / "masks" / image.name), mask)
    return pair_folder


def place(out):
    return Place(out, seed=3, hold_out=0.3)


def square(top, left, edge, size=24):
    mask = np.zeros((size, size), np.uint8)
    mask[top : top + edge, left : left + edge] = 1
    return mask


def batch_of(prompt, target, value=0.5):
    plane = torch.full((1, 1, *target.shape), value)
    masks = (torch.from_numpy(mask.astype(np.float32))[None, None] for mask in (prompt, target))
    return PromptBatch(PairBatch(plane, plane, plane), *masks)


def test_planes_hold_persons_boxes_and_hot_regions(folder):
    pairs = load_masked([folder])
    planes = prompt_planes(pairs[0])
    assert len({pair.scene for pair in pairs}) == len(pairs) == 5
    assert np.array_equal(np.argwhere(planes[..., 3])[[0, -1]], [[20, 30], [49, 44]])
    assert np.array_equal(np.argwhere(planes[..., 4])[[0, -1]], [[40, 60], [49, 79]])
    assert planes[25:45, 33:42, 5].min() == 255


def test_a_mask_of_another_size_is_refused(folder):
    cv2.imwrite(str(folder / "masks" / "road_0.png"), np.zeros((10, 10), np.uint8))
    with pytest.raises(SourceError, match=r"road_0\.png: 10x10 but its pictures are 96x72"):
        load_masked([folder])


def test_batches_depend_on_seed_and_step_only_and_prompts_lie_on_what_is_meant(folder):
    pairs = [prompt_planes(example) for example in load_masked([folder])]
    arguments = {"size": 4, "crop": 48, "seed": 1}
    batches = [
        make_prompt_batch(pairs, Augmentation(), MaskCorruption(), step=step, **arguments)
        for step in (0, 0, 1)
    ]
    assert all(
        torch.equal(a, b) for a, b in zip(batches[0].pictures, batches[1].pictures, strict=True)
    )
    assert torch.equal(batches[0].prompt, batches[1].prompt)
    assert not torch.equal(batches[0].prompt, batches[2].prompt)
    clean = MaskCorruption(erode=0, dilate=0, box=0, drop=0)
    exact = make_prompt_batch(pairs, Augmentation(), clean, step=0, **arguments)
    assert torch.equal(exact.prompt, exact.target)
    assert set(exact.target.unique().tolist()) == {0, 1}


def test_masks_are_corrupted_as_named():
    mask = square(4, 4, 8) | square(14, 14, 6)
    assert np.array_equal(eroded(mask, 2), square(6, 6, 4) | square(16, 16, 2))
    assert np.array_equal(eroded(mask, 5), mask)
    assert np.array_equal(dilated(square(4, 4, 8), 2), square(2, 2, 12))
    bar = square(4, 4, 8)
    bar[6:12, 6:12] = 0
    assert np.array_equal(boxed(bar), square(4, 4, 8))
    half = partial(mask, 0.5, np.random.default_rng(0))
    assert any(np.array_equal(half, kept) for kept in (square(4, 4, 8), square(14, 14, 6)))
    always = MaskCorruption(erode=0, dilate=0, box=1, drop=0)
    assert np.array_equal(corrupt_mask(bar, always, np.random.default_rng(0)), square(4, 4, 8))
    assert not corrupt_mask(np.zeros_like(mask), MaskCorruption(), np.random.default_rng(0)).any()


def test_segmentation_loss_by_hand():
    """Logits 0: entropy ln 2; Dice 1 - (2 * 16/2 + 1) / (64/2 + 16 + 1) on 8x8 with 16 marked."""
    target = square(0, 0, 4, size=8)
    loss = segmentation_loss(torch.zeros(1, 2, 8, 8), batch_of(target, target))
    assert float(loss) == pytest.approx(np.log(2) + 1 - 17 / 49, abs=1e-6)
    nothing = segmentation_loss(torch.ones(1, 2, 8, 8), batch_of(0 * target, 0 * target))
    assert float(nothing) == 0


def test_emphasis_loss_is_least_for_the_enlarged_contrast():
    """A target 0.2 above its surround shall be 0.3 above it at a contrast of 1.5."""
    target = square(56, 56, 16, size=128)
    batch = batch_of(target, target)
    mask = torch.from_numpy(target.astype(np.float32))[None, None]
    reference = 0.4 + 0.2 * mask
    losses = {
        lift: float(emphasis_loss(0.4 + lift * mask, reference, batch, 1.5))
        for lift in (0.2, 0.29, 0.5)
    }
    assert losses[0.29] < losses[0.2]
    assert losses[0.29] < losses[0.5]


def test_objective_of_the_unchanged_reference_has_no_term_outside():
    target = square(8, 8, 8, size=32)
    plain = torch.full((1, 1, 32, 32), 0.5)
    output = LumaOutput(plain, reference=plain, logits=torch.zeros(1, 2, 32, 32))
    recipe = load_prompt_recipe("ctrlfuse")
    weights = PromptWeights(fused=1, pixel=2, emphasis=1, outside=3, segmentation=1)
    terms = prompt_objective(output, batch_of(target, target), recipe.reference, weights)
    assert float(terms["outside"]) == 0
    # All sources are 0.5 everywhere, and so are their maximum and mean.
    assert float(terms["pixel"]) == pytest.approx(0, abs=1e-6)
    named = sum(float(value) for name, value in terms.items() if name != "total")
    assert float(terms["total"]) == pytest.approx(named, rel=1e-5)


def test_killed_and_resumed_run_ends_with_the_same_bits_and_loads_as_a_model(tmp_path, folder):
    pairs = load_masked([folder])
    PromptTrainer(SMALL, pairs, place(tmp_path / "whole"), resume=False).run()
    half = PromptTrainer(SMALL, pairs, place(tmp_path / "broken"), resume=False)
    for _ in range(2):
        half._advance()
    half.save()
    PromptTrainer(SMALL, pairs, place(tmp_path / "broken"), resume=True).run()
    for name in ("checkpoint.safetensors", "weights.safetensors"):
        whole, again = (load_file(tmp_path / run / name) for run in ("whole", "broken"))
        assert all(torch.equal(value, again[key]) for key, value in whole.items())
    model = load_model(str(tmp_path / "whole" / "weights.safetensors"))
    assert model.features.uses_mask
    assert (tmp_path / "whole" / "sheets" / "000004.png").is_file()
    with pytest.raises(UsageError, match="a run lies here"):
        PromptTrainer(SMALL, pairs, place(tmp_path / "whole"), resume=False)


def test_at_last_only_the_segmenter_learns(tmp_path, folder):
    recipe = dataclasses.replace(SMALL, segmenter_share=0.5)
    trainer = PromptTrainer(recipe, load_masked([folder]), place(tmp_path), resume=False)
    assert trainer._rate(1) == trainer._rate(3) == recipe.learning_rate
    for _ in range(2):
        trainer._advance()
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    terms = trainer._advance()
    assert set(terms) == {"segmentation", "total", "gradient_norm"}
    changed = {
        name.split(".")[0]
        for name, value in trainer.model.named_parameters()
        if not torch.equal(value, before[name])
    }
    assert changed == {"segmenter"}


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("no-prompts", {"encoders"}),
        ("no-segmentation", set()),
        ("no-segmenter", {"segmenter"}),
        ("swapped", set()),
    ],
)
def test_an_ablation_lacks_its_part_and_trains(tmp_path, folder, name, gone):
    def parts(model):
        return {key.split(".")[0] for key, _ in model.named_parameters()}

    recipe = load_prompt_recipe("ctrlfuse", name, steps=3)
    full = dataclasses.asdict(load_prompt_recipe("ctrlfuse", steps=3))
    differs = {key for key, value in dataclasses.asdict(recipe).items() if value != full[key]}
    small = dataclasses.replace(recipe, batch=2, crop=32, save_every=3, validate_every=3)
    trainer = PromptTrainer(small, load_masked([folder]), place(tmp_path), resume=False)
    trainer.run()
    assert parts(create_model("ctrlfuse")) - parts(trainer.model) == gone
    untaught = {"prompt", "segmenter_share"}
    assert differs == ({"network"} if recipe.network else set()) | (
        untaught if "segment" in name else set()
    )
    assert load_model(str(tmp_path / "weights.safetensors")).config == trainer.model.config


def test_unknown_ablations_are_refused():
    with pytest.raises(UsageError, match="'no-graph': unknown; known ablations of CtrlFuse: no-pr"):
        load_prompt_recipe("ctrlfuse", "no-graph")


@pytest.mark.parametrize("name", ["ctrlfuse", "ctrlfuse-full"])
def test_recipes_are_read_and_checked(name):
    assert load_prompt_recipe(name).model == name
    with pytest.raises(ConfigError, match="steps = 0"):
        load_prompt_recipe(name, steps=0)
