import dataclasses
import json
import math

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fusion_core.errors import UsageError, WeightsError
from fusion_core.memory import quality_score
from fusion_core.models import create_model, load_model, save_weights
from fusion_lab.data import Needs, read_examples
from fusion_lab.metrics import to_gray
from fusion_lab.training import Place
from fusion_lab.training.cosine import cosine_rate
from fusion_lab.training.fusion import FusionTrainer, load_fusion_recipe
from fusion_lab.training.fusion.discriminator import Discriminator
from fusion_lab.training.loop import update_average

SMALL = dataclasses.replace(
    load_fusion_recipe("m2pn-edge", steps=6),
    batch=2,
    crop=32,
    warmup=2,
    save_every=3,
    validate_every=6,
)


@pytest.fixture
def pairs(pair_folder):
    return read_examples([pair_folder], needs=Needs(luma=True))


def place(folder, **changes):
    return dataclasses.replace(Place(folder, seed=5, hold_out=0.3), **changes)


class KilledError(Exception):
    """Stands for a power cut between two steps."""


def kill_after(steps):
    left = iter(range(steps - 1))

    def on_step():
        if next(left, None) is None:
            raise KilledError

    return on_step


@pytest.mark.parametrize(
    ("precision", "score"),
    [
        (torch.float32, "handcrafted"),
        (torch.bfloat16, "handcrafted"),
        (torch.float32, "discriminator"),
    ],
)
def test_killed_and_resumed_run_ends_with_the_same_bits(tmp_path, pairs, precision, score):
    recipe = dataclasses.replace(SMALL, quality_score=score)
    FusionTrainer(recipe, pairs, place(tmp_path / "whole", precision=precision)).run()
    broken = place(tmp_path / "broken", precision=precision)
    with pytest.raises(KilledError):
        FusionTrainer(recipe, pairs, broken).run(kill_after(5))
    resumed = FusionTrainer(recipe, pairs, broken, resume=True)
    assert resumed.step == 3
    resumed.run()
    for name in ("checkpoint.safetensors", "weights.safetensors", "bank-000006.safetensors"):
        whole, again = (load_file(tmp_path / run / name) for run in ("whole", "broken"))
        assert whole.keys() == again.keys()
        for key, value in whole.items():
            assert torch.equal(value, again[key]), (name, key)


def test_weights_load_as_a_model_and_hold_the_bank(tmp_path, pairs):
    trainer = FusionTrainer(SMALL, pairs, place(tmp_path))
    trainer.run()
    model = load_model(str(tmp_path / "weights.safetensors"))
    assert np.array_equal(model.bank, trainer.bank.slots)
    assert trainer.bank.stats().queries == SMALL.steps * SMALL.batch


def test_weights_come_with_the_scores_of_the_training_pictures(tmp_path, pairs):
    trainer = FusionTrainer(SMALL, pairs, place(tmp_path, hold_out=0.0))
    trainer.run()
    model = load_model(str(trainer.finish()))
    expected = []
    for pair in pairs:
        thermal, visible = (
            torch.from_numpy(to_gray(picture)).float()[None, None] / 255
            for picture in (pair.second, pair.first)
        )
        with torch.inference_mode():
            fused = model.forward_luma(thermal, visible).fused
        expected.append(quality_score(fused[0, 0].numpy()))
    assert model.scores == pytest.approx(expected, abs=1e-4)


def test_log_and_sheet_tell_of_the_run(tmp_path, pairs):
    FusionTrainer(SMALL, pairs, place(tmp_path)).run()
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 6
    assert last["validation"]["total"] > 0
    sheet = cv2.imread(str(tmp_path / "sheets" / "000006.png"))
    assert sheet.shape[0] == 2 * (240 + 4)  # two pairs of five are at least 30 %
    assert json.loads((tmp_path / "recipe.json").read_text())["recipe"]["batch"] == 2


def test_tensorboard_shows_what_the_log_holds(tmp_path, pairs):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    recipe = dataclasses.replace(SMALL, steps=50, batch=1, save_every=50, validate_every=50)
    FusionTrainer(recipe, pairs, place(tmp_path)).run()
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    board = events.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    (total,) = board.Scalars("total")
    assert (total.step, total.value) == (50, pytest.approx(entries[0]["total"]))
    (held_out,) = board.Scalars("validation/total")
    assert held_out.value == pytest.approx(entries[1]["validation"]["total"])
    assert [image.step for image in board.Images("held out")] == [50]


def test_fine_tuning_starts_from_the_weights_given(tmp_path, pairs):
    FusionTrainer(SMALL, pairs, place(tmp_path / "first")).run()
    weights = tmp_path / "first" / "weights.safetensors"
    recipe = dataclasses.replace(SMALL, init=str(weights))
    tuned = FusionTrainer(recipe, pairs, place(tmp_path / "second"))
    for key, value in load_file(weights).items():
        assert torch.equal(tuned.model.state_dict()[key], value), key


def test_fine_tuning_refuses_weights_of_another_network(tmp_path, pairs):
    save_weights(create_model("m2pn"), tmp_path / "other.safetensors")
    recipe = dataclasses.replace(SMALL, init=str(tmp_path / "other.safetensors"))
    with pytest.raises(WeightsError, match="expected 'm2pn-edge'"):
        FusionTrainer(recipe, pairs, place(tmp_path / "run"))


def test_discriminator_learns_to_tell_fused_pictures_from_sources():
    generator = torch.Generator().manual_seed(1)
    discriminator = Discriminator(seed=0)
    sources = torch.rand(4, 1, 32, 32, generator=generator)
    blurred = torch.nn.functional.avg_pool2d(sources, 5, stride=1, padding=2)
    first = discriminator.score(blurred, sources, sources).mean()
    for _ in range(60):
        last = discriminator.score(blurred, sources, sources).mean()
    assert last < first - 0.1
    assert discriminator(sources).min() > discriminator(blurred).max()


@pytest.mark.parametrize("name", ["no-context", "no-graph", "no-memory", "no-prompts"])
def test_ablated_networks_train(tmp_path, pairs, name):
    recipe = dataclasses.replace(SMALL, ablation=name, steps=2)
    FusionTrainer(recipe, pairs, place(tmp_path)).run()
    assert (tmp_path / "weights.safetensors").exists()


def test_training_lowers_the_loss_on_the_pictures_it_sees(tmp_path, pairs):
    recipe = dataclasses.replace(SMALL, steps=60, save_every=60, validate_every=60)
    trainer = FusionTrainer(recipe, pairs[:1], place(tmp_path, hold_out=0))
    losses = [trainer._advance()["total"].item() for _ in range(60)]
    assert sum(losses[-15:]) < 0.8 * sum(losses[:15])


def test_a_folder_with_a_run_is_not_overwritten(tmp_path, pairs):
    FusionTrainer(SMALL, pairs, place(tmp_path)).run()
    with pytest.raises(UsageError, match="resume"):
        FusionTrainer(SMALL, pairs, place(tmp_path))


def test_resume_refuses_another_recipe(tmp_path, pairs):
    FusionTrainer(SMALL, pairs, place(tmp_path)).run()
    other = dataclasses.replace(SMALL, batch=3)
    with pytest.raises(UsageError, match="recipe"):
        FusionTrainer(other, pairs, place(tmp_path), resume=True)


def test_resume_without_checkpoint(tmp_path, pairs):
    with pytest.raises(WeightsError, match="without --resume"):
        FusionTrainer(SMALL, pairs, place(tmp_path), resume=True)


@pytest.mark.parametrize("size", [0, 100, 100_000])
def test_torn_checkpoint_is_refused(tmp_path, pairs, size):
    FusionTrainer(SMALL, pairs, place(tmp_path)).run()
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(WeightsError, match="torn"):
        FusionTrainer(SMALL, pairs, place(tmp_path), resume=True)


def test_learning_rate_by_hand():
    rates = [
        cosine_rate(step, steps=102, warmup=2, peak=1e-3, final=1e-6) for step in (0, 1, 52, 102)
    ]
    # warm-up, its end, half of the cosine, the end
    assert rates == pytest.approx([5e-4, 1e-3, (1e-3 + 1e-6) / 2, 1e-6])


def test_average_is_the_geometric_one():
    model, average = (create_model("m2pn-edge", seed) for seed in (1, 2))
    start = next(average.parameters()).detach().clone()
    goal = next(model.parameters()).detach().clone()
    for _ in range(3):
        update_average(average, model, 0.9)
    expected = goal + (start - goal) * math.pow(0.9, 3)
    torch.testing.assert_close(next(average.parameters()).detach(), expected)


def taught_by(teacher):
    loss = dataclasses.replace(SMALL.loss, distilled=3.0)
    return dataclasses.replace(SMALL, steps=1, teacher=teacher, loss=loss)


def test_a_student_asks_for_the_picture_of_its_teacher(tmp_path, pairs):
    """The term is the distance of what the student makes to what m2pn-edge makes."""
    trainer = FusionTrainer(taught_by("m2pn-edge"), pairs, place(tmp_path))
    terms = trainer._losses()
    batch, output = trainer._last
    with torch.no_grad():
        taught = load_model("m2pn-edge").forward_luma(batch.thermal, batch.visible).fused
    expected = 3 * (output.fused - taught).abs().mean()
    assert terms["distilled"].item() == pytest.approx(expected.item(), rel=1e-4)
    assert terms["distilled"] > 0.01
    terms["total"].backward()
    assert not any(p.requires_grad for p in trainer.teacher.parameters())


def test_without_a_teacher_there_is_no_such_term(tmp_path, pairs):
    assert "distilled" not in FusionTrainer(taught_by(""), pairs, place(tmp_path))._losses()


def test_only_the_named_parts_learn(tmp_path, pairs):
    recipe = dataclasses.replace(SMALL, steps=3, learns=("head", "merge"))
    trainer = FusionTrainer(recipe, pairs, place(tmp_path))
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    trainer.run()
    moved = {
        name.partition(".")[0]
        for name, value in trainer.model.named_parameters()
        if not torch.equal(value, before[name])
    }
    assert moved == {"head", "merge"}


def test_a_part_to_learn_must_be_there(tmp_path, pairs):
    recipe = dataclasses.replace(SMALL, learns=("head", "marge"))
    with pytest.raises(UsageError, match=r"learns marge: no such part of .*merge"):
        FusionTrainer(recipe, pairs, place(tmp_path))


def test_a_teacher_must_fuse_luma(tmp_path, pairs):
    with pytest.raises(UsageError, match=r"teacher 'tcmoa': does not fuse luma.*m2pn-edge"):
        FusionTrainer(taught_by("tcmoa"), pairs, place(tmp_path))
