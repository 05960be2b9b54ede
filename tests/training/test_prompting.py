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
from fusion_lab.training.prompting.batches import (
    PromptBatch,
    make_prompt_batch,
    prompt_planes,
    training_planes,
)
from fusion_lab.training.prompting.corruption import (
    MaskCorruption,
    boxed,
    corrupt_mask,
    dilated,
    discs,
    eroded,
    partial,
)
from fusion_lab.training.prompting.loss import (
    PromptWeights,
    emphasis_loss,
    prompt_objective,
    segmentation_loss,
)
from fusion_lab.training.prompting.things import paste_thing


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


@pytest.fixture
def folder(labelled_folder):
    """A car stands beside the person."""
    return labelled_folder("car,60,40,20,10")


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
    clean = MaskCorruption(erode=0, dilate=0, box=0, disc=0, half=0)
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
    always = MaskCorruption(erode=0, dilate=0, box=1)
    boxes = [corrupt_mask(bar, always, np.random.default_rng(seed)) for seed in range(20)]
    sizes = {square(4 - excess, 4 - excess, 8 + 2 * excess).tobytes() for excess in range(4)}
    assert {box.tobytes() for box in boxes} == sizes
    tall = np.zeros((40, 40), np.uint8)
    tall[4:36, 18:23] = 1
    disc = discs(tall, np.random.default_rng(0))
    rows, columns = np.nonzero(disc)
    assert abs(rows.mean() - 19.5) <= 0.5
    assert abs(columns.mean() - 20) <= 0.5
    assert 16 <= np.ptp(rows) == np.ptp(columns) <= 32
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
    fixed = prompt_objective(output, batch_of(target, target), None, weights)
    assert fixed.keys() == {"outside", "emphasis", "pixel", "segmentation", "total"}
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


def test_the_reference_learns_first_and_is_then_fixed(tmp_path, folder):
    recipe = dataclasses.replace(SMALL, reference_share=0.5)
    trainer = PromptTrainer(recipe, load_masked([folder]), place(tmp_path), resume=False)
    assert trainer._rate(1) == trainer._rate(3) == recipe.learning_rate

    def parts_that_change(steps):
        before = {name: value.clone() for name, value in trainer.model.named_parameters()}
        for _ in range(steps):
            terms = trainer._advance()
        return set(terms), {
            name.split(".")[0]
            for name, value in trainer.model.named_parameters()
            if not torch.equal(value, before[name])
        }

    terms, changed = parts_that_change(2)
    assert {"thermal_extractor", "visible_extractor", "merge", "decoder"} <= changed
    assert "segmentation" not in terms
    parts_that_change(1)
    terms, changed = parts_that_change(1)
    assert changed <= {"encoder", "segmenter", "prompted"}
    assert "segmenter" in changed
    assert {"segmentation", "emphasis", "outside"} <= terms


def test_a_person_of_whom_a_part_is_masked_has_the_silhouette_instead(folder):
    """A hot ellipse fills its box; its mask is whole, or of the upper third; or it is not seen.

    In a region that could not be labelled it is nobody.
    """
    pair = load_masked([folder])[0]
    whole = np.zeros((72, 96), np.uint8)
    cv2.ellipse(whole, (37, 35), (7, 14), 0, 0, 360, 255, -1)
    hot = np.dstack([np.where(whole > 0, 200, 40).astype(np.uint8)] * 3)
    part, cold = np.where(np.arange(72)[:, None] < 30, whole, 0), np.full_like(hot, 40)

    def persons(thermal, mask):
        example = dataclasses.replace(pair, second=thermal, mask=mask.astype(np.uint8))
        return training_planes(example)[..., 3]

    assert np.array_equal(persons(cold, whole), whole)
    silhouette = persons(hot, part) > 0
    assert (silhouette & (whole > 0)).sum() > 0.9 * (silhouette | (whole > 0)).sum()
    assert not persons(cold, part).any()
    pair = dataclasses.replace(pair, labels=pair.labels.unknown())
    assert not persons(cold, whole).any()


def test_a_vehicle_is_learnt_as_its_box_without_the_corners(folder):
    """The area under |x|^4 + |y|^4 <= 1 is gamma(1/4)^2 / (8 sqrt(pi)) = 0.927 of the square."""
    learnt = training_planes(load_masked([folder])[0])[..., 4] > 0
    assert learnt[40:50, 60:80].sum() == learnt.sum()
    assert learnt.sum() == pytest.approx(0.927 * 20 * 10, abs=4)
    assert not learnt[[40, 40, 49, 49], [60, 79, 60, 79]].any()


def test_things_are_pasted_where_their_mask_says():
    for seed in range(20):
        planes = np.full((3, 96, 96), 0.5, np.float32)
        mask = paste_thing(planes, np.random.default_rng(seed))
        if not mask.any():
            continue
        change = np.abs(planes[0] - 0.5)
        assert change[cv2.dilate(mask, np.ones((13, 13), np.uint8)) == 0].max(initial=0) < 1e-3
        inside = cv2.erode(mask, np.ones((5, 5), np.uint8)) > 0
        if inside.any():
            assert change[inside].mean() > 0.02


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("no-segmentation", set()),
        ("no-emphasis", set()),
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
    untaught = {"prompt"} if name.startswith("no-") else set()
    assert differs == ({"network"} if recipe.network else set()) | untaught
    assert load_model(str(tmp_path / "weights.safetensors")).config == trainer.model.config


def test_unknown_ablations_are_refused():
    with pytest.raises(UsageError, match="'no-graph': unknown; known ablations of CtrlFuse: no-s"):
        load_prompt_recipe("ctrlfuse", "no-graph")


@pytest.mark.parametrize("name", ["ctrlfuse", "ctrlfuse-full"])
def test_recipes_are_read_and_checked(name):
    assert load_prompt_recipe(name).model == name
    with pytest.raises(ConfigError, match="steps = 0"):
        load_prompt_recipe(name, steps=0)
