import dataclasses

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fusion_core.cli.main import main
from fusion_core.errors import ConfigError, SourceError, UsageError
from fusion_core.models import Cues, load_model, save_weights
from fusion_core.models.mdaif import SMALL, Restored
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_lab.data import read_examples
from fusion_lab.training import Place
from fusion_lab.training.degradations import sample_mixture
from fusion_lab.training.restoring import (
    RestoringTrainer,
    load_restoring_recipe,
)
from fusion_lab.training.restoring.objective import (
    decibel_loss,
    restoring_objective,
    tone_loss,
    weather_loss,
)
from fusion_lab.training.restoring.pool import (
    PairDegradation,
    RestoringPool,
    degrade_pair,
    to_batch,
)
from fusion_lab.training.restoring.recipe import RestoringLoss
from fusion_lab.training.restoring.restorer import Restorer

TINY = {
    "widths": (8, 8, 16, 16),
    "heads": (1, 1, 2, 2),
    "dim": 16,
    "stem": 8,
    "decoder": (16, 16, 8, 8),
    "blocks": 1,
}
SHORT = dataclasses.replace(
    load_restoring_recipe("mdaif", steps=2, network=TINY),
    batch=2,
    crop=64,
    pool=3,
    fresh=1,
    save_every=2,
    warmup=1,
)
RESTORE = dataclasses.replace(
    load_restoring_recipe("restorer", steps=2), batch=2, crop=64, pool=3, fresh=1, warmup=1
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four smooth pairs of 170x200 pixels."""
    root = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    for side in ("vi", "ir"):
        (root / side).mkdir()
    for index in range(4):
        coarse = rng.integers(0, 255, (6, 8, 4), dtype=np.uint8)
        planes = cv2.resize(coarse, (200, 170), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(root / "vi" / f"{index}.png"), planes[..., :3])
        cv2.imwrite(str(root / "ir" / f"{index}.png"), planes[..., 3])
    return root


@pytest.fixture(scope="module")
def pictures(folder):
    return read_examples([folder])


def trainer(pictures, out, recipe=SHORT, *, resume=False):
    provider = EmbeddedProvider() if recipe.prior == "embedded" else None
    return RestoringTrainer(recipe, pictures, provider, Place(out, hold_out=0.2), resume=resume)


def test_pictures_are_colour_and_every_pair_of_a_folder_is_a_scene(folder, pictures):
    assert len({picture.scene for picture in pictures}) == 4
    bgr = cv2.imread(str(folder / "vi" / "0.png"))
    assert np.array_equal(pictures[0].first, bgr[..., ::-1])
    with pytest.raises(SourceError, match="no pairs"):
        read_examples([folder / "vi"])


@pytest.mark.data
def test_videos_give_every_tenth_frame_as_one_scene(recordings):
    found = read_examples([recordings / "video" / "1230_1202"])
    assert len(found) == 21
    assert len({picture.scene for picture in found}) == 1
    assert found[0].first.shape == (480, 640, 3)
    assert found[0].second.shape == (480, 640)


def test_a_run_begins_with_the_small_network_that_ships(pictures, tmp_path):
    """Also where the given weights hold another one."""
    first = trainer(pictures, tmp_path / "first")
    for tensor in first.average.fusion.parameters():
        tensor.zero_()
    given = tmp_path / "given.safetensors"
    save_weights(first.average, given, {})
    second = trainer(pictures, tmp_path / "second", dataclasses.replace(SHORT, init=str(given)))
    shipped = load_model("m2pn-nano").state_dict()
    for name, tensor in second.model.fusion.state_dict().items():
        assert torch.equal(tensor, shipped[name]), name


def test_weights_without_medians_give_a_network_that_takes_none_of_them(pictures, tmp_path):
    without = dataclasses.replace(SHORT, network={**TINY, "medians": ()})
    first = trainer(pictures, tmp_path / "first", without)
    for tensor in first.average.parameters():
        tensor.normal_(std=0.05)
    given = tmp_path / "given.safetensors"
    save_weights(first.average, given, {})
    second = trainer(pictures, tmp_path / "second", dataclasses.replace(SHORT, init=str(given)))
    assert second.model.config.medians
    pair = torch.rand(2, 1, 1, 32, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        made = second.model.eval().restore(*pair, Cues()).visible
        assert not torch.equal(made, pair[1])
        torch.testing.assert_close(made, first.average.restore(*pair, Cues()).visible)


def test_what_does_not_learn_stays_and_a_router_then_chooses_as_after_training(pictures, tmp_path):
    recipe = dataclasses.replace(SHORT, learns=("experts.experts",))
    run = trainer(pictures, tmp_path / "run", recipe)
    before = {name: tensor.clone() for name, tensor in run.average.state_dict().items()}
    run.run()
    after = load_file(tmp_path / "run" / "weights.safetensors")
    changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert changed
    assert all(name.startswith("experts.experts.") for name in changed)


def test_sample_depends_on_seed_and_number_alone(pictures):
    first, second = (RestoringPool(pictures, SHORT, None, 3) for _ in range(2))
    first.batch(0)
    for one, other in zip(first.batch(5), second.batch(5), strict=True):
        assert torch.equal(one, other)
    assert not np.array_equal(
        first.sample(1).planes, RestoringPool(pictures, SHORT, None, 4).sample(1).planes
    )


def test_planes_hold_degraded_and_clean_picture_and_what_the_prior_saw(pictures):
    picture, provider = pictures[0], EmbeddedProvider()
    sample = degrade_pair(
        picture.first, picture.second, PairDegradation({"low_contrast": 0.8}, {}, 1), provider
    )
    told = (torch.from_numpy(part)[None] for part in (sample.tokens, sample.weather))
    batch = to_batch(sample.planes[None], *told)
    ycrcb = cv2.cvtColor(picture.first, cv2.COLOR_RGB2YCrCb)
    clean = torch.from_numpy(ycrcb[..., [0, 2, 1]]).permute(2, 0, 1).float() / 255
    torch.testing.assert_close(batch.clean[0], clean)
    assert torch.equal(batch.degraded_thermal, batch.clean_thermal)
    assert batch.degraded[:, 0].std() < 0.8 * batch.clean[:, 0].std()
    assert batch.tokens.shape == (1, 32, provider.dim)


def test_nights_are_dark_on_the_clean_side_too(pictures):
    """At most (0.25)^1.65 = 0.1 of a mid gray at half gain; day tones leave 0.41 to 0.58 of it."""
    days, nights = (
        np.mean([pool.sample(i).planes[..., 4].mean() for i in range(12)])
        for pool in (
            RestoringPool(pictures, dataclasses.replace(SHORT, night=share), None, 0)
            for share in (0.0, 1.0)
        )
    )
    assert nights < 0.5 * days


def test_mistaken_crops_see_prior_and_weather_of_another_picture(pictures):
    """All pictures keep their pixels; with a share of 1 none keeps its tokens."""
    recipe = dataclasses.replace(SHORT, pool=4)
    right, wrong = (
        RestoringPool(
            pictures, dataclasses.replace(recipe, mistaken=share), EmbeddedProvider(), 0
        ).batch(0)
        for share in (0.0, 1.0)
    )
    assert torch.equal(right.degraded, wrong.degraded)
    assert (right.tokens - wrong.tokens).abs().amax((1, 2)).min() > 0


def test_weather_says_what_was_done_and_its_loss_is_cross_entropy(pictures):
    """Smoke counts as haze. -ln 0.8 and -ln 0.5 by hand, one picture, one scale."""
    picture = pictures[0]
    sample = degrade_pair(
        picture.first, picture.second, PairDegradation({"smoke": 0.5, "snow": 0.3}, {}, 1), None
    )
    assert sample.weather.tolist() == [1, 0, 1]
    activations = torch.tensor([[[0.8, 0.2, 0.5]]])
    found = weather_loss(activations, torch.from_numpy(sample.weather)[None])
    assert float(found) == pytest.approx((0.223144 + 0.223144 + 0.693147) / 3, abs=1e-5)


def test_tone_is_the_squared_error_of_local_means():
    """Fluctuations of pixels cancel in it; an offset of 0.1 in half of the places counts half."""
    wanted = torch.full((1, 1, 32, 32), 0.5)
    found = wanted + 0.2 * (torch.arange(32) % 2 * 2 - 1)
    assert float(tone_loss(found, wanted)) == pytest.approx(0, abs=1e-6)
    found[..., :16] += 0.1
    assert float(tone_loss(found, wanted)) == pytest.approx(0.005, abs=1e-6)


def test_decibels_are_of_each_picture():
    """Errors of .02 and .2, squared 4 and 400 times the limit of 1e-4."""
    clean = torch.zeros(2, 1, 8, 8)
    errors = torch.tensor([0.02, 0.2]).view(2, 1, 1, 1)
    expected = (np.log(5) + np.log(401)) / 2
    assert float(decibel_loss(clean + errors, clean)) == pytest.approx(expected, rel=1e-5)


def test_only_what_is_below_both_pictures_counts_as_darkened():
    """Clean 0.5, degraded 0.7: restored to 0.6 or 0.5 is right, to 0.4 it is 0.1 too dark."""
    planes = np.full((32, 32, 8), 128, np.uint8)
    planes[..., 0] = 178
    batch = to_batch(planes[None], torch.zeros(1, 0, 1), torch.zeros(1, 3))
    none, zero = torch.zeros(1, 0, 0), torch.zeros(())
    weights = RestoringLoss(darkened=1.0)
    for luma, expected in ((178, 0), (128, 0), (102.5, 0.1)):
        visible = torch.full((1, 1, 32, 32), luma / 255)
        made = Restored(batch.clean, visible, batch.clean_thermal, none, none, zero)
        terms = restoring_objective(made, batch, None, zero, weights)
        assert float(terms["darkened"]) == pytest.approx(expected, abs=1e-6)


def test_mixtures_favour_what_is_asked_for_and_one_kind_stays_alone():
    rng = np.random.default_rng(0)
    weather = {"haze", "rain", "snow"}
    drawn = [
        sample_mixture(rng, "visible", 0.0, 3, favoured=("haze", "rain", "snow"), favour=0.6)
        for _ in range(500)
    ]
    plain = [sample_mixture(rng, "visible", 0.0, 3) for _ in range(500)]
    assert sum(bool(weather & m.keys()) for m in drawn) > 1.4 * sum(
        bool(weather & m.keys()) for m in plain
    )
    alone = [sample_mixture(rng, "visible", 0.2, 3, kinds=("haze",)) for _ in range(200)]
    assert {tuple(m) for m in alone} == {(), ("haze",)}


def test_killed_run_goes_on_with_the_same_bits(pictures, tmp_path):
    whole = trainer(pictures, tmp_path / "whole")
    whole.run()
    half = trainer(pictures, tmp_path / "half")
    half._advance()
    half.save()
    again = trainer(pictures, tmp_path / "half", resume=True)
    assert again.step == 1
    again.run()
    one, other = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "half"))
    assert all(torch.equal(one[key], other[key]) for key in one)
    loaded = load_model(str(tmp_path / "whole" / "weights.safetensors"))
    assert loaded.config == dataclasses.replace(SMALL, **TINY)


def test_losses_fall_on_four_pictures(pictures, tmp_path):
    recipe = dataclasses.replace(SHORT, learning_rate=5e-3, clean=0.0, thermal=0.0, steps=50)
    run = trainer(pictures, tmp_path / "run", dataclasses.replace(recipe, prior="none"))
    totals = [float(run._advance()["total"].detach()) for _ in range(16)]
    assert np.mean(totals[-4:]) < 0.9 * np.mean(totals[:4])


def test_restorer_starts_as_the_identity_and_trains_alone(pictures, tmp_path):
    colour = torch.rand(1, 3, 37, 50)
    thermal = torch.rand(1, 1, 37, 50)
    model = Restorer()
    made = trainer(pictures, tmp_path / "run", RESTORE)
    made.run()
    restored = model.restore(thermal, colour[:, :1], Cues(colour[:, 1:]))
    torch.testing.assert_close(restored.fused, colour)
    assert (tmp_path / "run" / "weights.safetensors").is_file()


def test_command_trains_one_weather_and_writes_loadable_weights(folder, tmp_path):
    out = tmp_path / "run"
    args = ["train", "--model", "mdaif", "--data", str(folder), "--out", str(out)]
    assert main([*args, "--steps", "1", "--kind", "haze", "--device", "cpu"]) == 0
    assert load_model(str(out / "weights.safetensors")).name == "mdaif"


def test_pictures_smaller_than_a_crop_are_refused(pictures, tmp_path):
    with pytest.raises(UsageError, match="200x170 pixels, less than a crop of 256"):
        trainer(pictures, tmp_path / "run", dataclasses.replace(SHORT, crop=256))


def test_recipe_refuses_unknown_ablations_and_kinds():
    with pytest.raises(UsageError, match="'no-prior': unknown; known ablations of MdaIF: no-dcam"):
        load_restoring_recipe("mdaif", "no-prior")
    with pytest.raises(UsageError, match="'fog': unknown"):
        load_restoring_recipe("mdaif", kinds=("fog",))
    with pytest.raises(ConfigError, match=r"mdaif\.yaml: steps = 0"):
        load_restoring_recipe("mdaif", steps=0)
    assert load_restoring_recipe("mdaif", "no-dcam").network == {"prototypes": 0}
