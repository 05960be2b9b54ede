"""Training of TC-MoA's adapters."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from skimage.metrics import structural_similarity

from fusion_core.errors import ConfigError, UsageError
from fusion_core.models import Cues, load_model
from fusion_lab.data import Example
from fusion_lab.training import Place
from fusion_lab.training.adapting import AdaptingTrainer, load_adapting_recipe, terms
from fusion_lab.training.adapting.batches import example_planes, make_task_batch
from fusion_lab.training.adapting.objective import TaskLoss, prompt_sum_loss, task_objective
from fusion_lab.training.adapting.recipe import ABLATIONS
from fusion_lab.training.loop import update_average

SHORT = dataclasses.replace(
    load_adapting_recipe("tcmoa", steps=3), batch=1, crop=64, save_every=3, warmup=1
)


def example(task, number, *, target=False):
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 255, (6, 8, 3), np.uint8)
    picture = cv2.resize(coarse, (96, 80), interpolation=cv2.INTER_CUBIC)
    second = picture[..., 0] if task == "vif" else cv2.GaussianBlur(picture, (0, 0), 2)
    return Example(
        picture, second, picture if target else None, task, "", None, None, "f", str(number),
        f"scene {number}",
    )  # fmt: skip


@pytest.fixture(scope="module")
def examples():
    return {task: [example(task, number) for number in range(3)] for task in ("vif", "mef", "mff")}


@pytest.fixture(scope="module")
def made():
    return {"mff": [example("mff", 9, target=True)]}


def trainer(examples, made, out, recipe=SHORT, *, resume=False):
    return AdaptingTrainer(recipe, examples, made, Place(out), resume=resume)


def test_each_step_takes_the_next_task_and_the_average_follows(examples, made, tmp_path):
    run = trainer(examples, made, tmp_path / "run")
    turns = [next(iter(run._advance())).partition("/")[0] for _ in range(3)]
    assert turns == list(SHORT.tasks)
    before = run.average.decision.adapters.lean.clone()
    with torch.no_grad():
        run.model.decision.adapters.lean += 1
    update_average(run.average, run.model, 0.9)
    torch.testing.assert_close(
        run.average.decision.adapters.lean - before, torch.full_like(before, 0.1), atol=1e-2, rtol=0
    )


def test_a_resumed_run_ends_with_the_same_bits_and_loads(examples, made, tmp_path):
    trainer(examples, made, tmp_path / "whole").run()
    part = trainer(examples, made, tmp_path / "part")
    part._advance()
    part.save()
    trainer(examples, made, tmp_path / "part", resume=True).run()
    whole, resumed = (
        load_file(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "part")
    )
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    loaded = load_model(str(tmp_path / "whole" / "weights.safetensors"))
    average = {k: v for k, v in whole.items() if k.startswith("average.")}
    for key, value in loaded.state_dict().items():
        assert torch.equal(value, average[f"average.{key}"])


def test_the_autoencoder_is_not_trained(examples, made, tmp_path):
    run = trainer(examples, made, tmp_path / "run")
    before = run.model.mae.model.blocks[0].qkv.weight.clone()
    run._advance()
    assert torch.equal(run.model.mae.model.blocks[0].qkv.weight, before)
    assert 0.01 < run.model.trainable_share() < 0.1


@pytest.mark.parametrize("ablation", [name for name in ABLATIONS if name])
def test_variants_begin_like_the_full_network(examples, made, tmp_path, ablation):
    full = trainer(examples, made, tmp_path / "full").model.state_dict()
    recipe = dataclasses.replace(load_adapting_recipe("tcmoa", ablation, steps=1), batch=1, crop=64)
    run = trainer(examples, made, tmp_path / "variant", recipe)
    own = run.model.state_dict()
    shared = [key for key in own if key in full and own[key].shape == full[key].shape]
    assert len(shared) > 5
    assert all(torch.equal(own[key], full[key]) for key in shared)
    terms_of_step = run._advance()
    assert all(bool(value.isfinite()) for value in terms_of_step.values())


def test_one_task_alone(examples, tmp_path):
    recipe = dataclasses.replace(
        load_adapting_recipe("tcmoa", "only-mef", steps=2), batch=1, crop=64
    )
    run = trainer(examples, {}, tmp_path / "run", recipe)
    for _ in range(2):
        assert next(iter(run._advance())).startswith("mef/")


def test_recipes():
    for name in ("tcmoa", "tcmoa-base", "tcmoa-large"):
        assert set(load_adapting_recipe(name).tasks) == {"vif", "mef", "mff"}
    with pytest.raises(UsageError, match=r"only-x.*only-mef"):
        load_adapting_recipe("tcmoa", "only-x")
    with pytest.raises(UsageError, match=r"seven.*plain-adapters, decoder, only-TASK"):
        load_adapting_recipe("tcmoa", "seven")
    with pytest.raises(ConfigError, match="crop"):
        load_adapting_recipe("tcmoa", crop=8)


def test_a_task_without_data_is_refused(examples, tmp_path):
    with pytest.raises(UsageError, match="task 'mff': the recipe names no data"):
        trainer({**examples, "mff": []}, {}, tmp_path / "run")


def test_crops_are_a_function_of_the_step(examples):
    planes = [example_planes(e) for e in examples["mff"]]
    options = {"size": 2, "crop": 48, "scale": (0.8, 1.2), "seed": 0}
    one, same, other = (make_task_batch(planes, **options, step=step) for step in (1, 1, 2))
    assert one.first.shape == one.second.shape == (2, 3, 48, 48)
    assert torch.equal(one.first, same.first)
    assert not torch.equal(one.first, other.first)
    assert one.target is None


@pytest.fixture
def lumas():
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(3, 1, 9, 9, generator=rng)
    return list(
        torch.nn.functional.interpolate(coarse, (96, 96), mode="bicubic").clamp(0, 1)[:, None]
    )


def levels(luma):
    return (luma[0, 0] * 255).round().numpy().astype(np.uint8)


def test_losses_are_those_of_the_metrics(lumas):
    """Qabf and VIF as evaluated; the structure of one source is that of SSIM."""
    from fusion_lab.metrics import METRICS

    fused, first, second = lumas
    pictures = [levels(x) for x in lumas]
    qabf = 1 - float(terms.lost_edges(fused, first, second))
    assert qabf == pytest.approx(METRICS["Qabf"].compute(*pictures), abs=0.05)
    vif = 2 - float(terms.lost_information(fused, first, second))
    assert vif == pytest.approx(METRICS["VIF"].compute(*pictures), abs=0.03)
    same = 1 - float(terms.structure_of_exposures(fused, first, first))
    local = structural_similarity(
        fused[0, 0].numpy(), first[0, 0].numpy(), data_range=1, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, K1=1e3, K2=0.03,
    )  # fmt: skip
    assert same == pytest.approx(local, abs=0.02)


def test_nothing_is_lost_of_equal_pictures(lumas):
    picture, _, _ = lumas
    assert float(terms.structure_of_exposures(picture, picture, picture)) < 1e-3
    assert float(terms.lost_information(picture, picture, picture)) == pytest.approx(0, abs=1e-3)
    assert float(terms.lost_edges(picture, picture, picture)) < 0.03
    assert float(terms.larger_gradient(picture, picture, picture)) == 0


def test_the_larger_gradient_keeps_its_sign():
    """A falling edge of .5 beats a rising one of .2: 1.4 is the kernel's sum over a column."""
    first, second = torch.zeros(2, 1, 1, 5, 6)
    first[..., :3] = 0.5
    second[..., 3:] = 0.2
    assert float(terms.larger_gradient(first, first, second)) == 0
    away = float(terms.larger_gradient(second, first, second))
    assert away == pytest.approx(1.4 * 0.7 * 2 / 6)


def test_the_sharper_patch_is_selected():
    rng = torch.Generator().manual_seed(0)
    sharp = torch.rand(1, 3, 32, 48, generator=rng)
    first, second = torch.full_like(sharp, 0.5), sharp.clone()
    first[..., :16] = sharp[..., :16]
    second[..., :16] = 0.5
    chosen = terms.selected_patches(first, second, (first[:, :1], second[:, :1]))
    assert torch.equal(chosen, sharp)


def test_halos_cost(lumas):
    """A dark rim beside a step that both sources have."""
    first, second = torch.full((2, 1, 1, 64, 64), 0.2)
    first[..., 32:] = 0.9
    second[..., 32:] = 0.6
    good = (first + second) / 2
    halo = good.clone()
    halo[..., 24:32] -= 0.15
    assert float(terms.reversed_tones(good, first, second)) < 1e-6
    assert float(terms.reversed_tones(halo, first, second)) > 0.01


def test_the_sum_of_prompts():
    """(.7 + .5 - 1)^2 in the encoder, (.2 + .4 - 1)^2 in the decoder."""
    prompts = torch.tensor([[[[0.7, 0.5]], [[0.2, 0.4]]]])
    assert float(prompt_sum_loss(prompts, 1)) == pytest.approx(0.75 * 0.04 + 0.25 * 0.16)


def test_every_term_reaches_the_network(examples, made, tmp_path):
    run = trainer(examples, made, tmp_path / "run")
    planes = [example_planes(e) for e in examples["mff"]]
    batch = make_task_batch(planes, size=1, crop=64, scale=(0.9, 1.0), seed=0, step=0)
    fields = [field.name for field in dataclasses.fields(TaskLoss)]
    decided = run.model.decide((batch.first, batch.second), Cues(task="mff"))
    weights = TaskLoss(**dict.fromkeys(fields, 1.0))
    found = task_objective(decided, batch, weights, len(run.model.streams.encoder_layers))
    assert found.keys() == {*fields} - {"selected"}
    for name, term in found.items():
        run.model.zero_grad()
        term.backward(retain_graph=True)
        moved = sum(float(p.grad.abs().sum()) for p in run.model.parameters() if p.grad is not None)
        assert moved > 0, name
