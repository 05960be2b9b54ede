"""Training of the codec's decoder."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fusion_core.cli.main import main
from fusion_core.errors import UsageError
from fusion_core.models.mmaif.codec.network import TinyAutoencoder
from fusion_core.models.mmaif.codec.weights import load_codec, save_codec
from fusion_lab.training import Place
from fusion_lab.training.codec import CodecRecipe, CodecTrainer
from fusion_lab.training.codec.trainer import make_crops


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return [cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), (80, 64)) for _ in range(17)]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Return a file of random weights to start from."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("start") / "start.safetensors"
    save_codec(TinyAutoencoder(), path, {})
    return path


@pytest.fixture
def short(start):
    return CodecRecipe(
        steps=2, batch=2, crop=32, init=str(start), warmup=1, save_every=1, validate_every=2
    )


def test_crops_are_a_function_of_the_step(pictures, short):
    one, same, other = (make_crops(pictures, short, 0, step) for step in (3, 3, 4))
    assert one.shape == (2, 3, 32, 32)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_resumed_run_ends_with_the_same_bits_and_the_encoder_stays(
    tmp_path, pictures, short, start
):
    CodecTrainer(short, pictures, Place(tmp_path / "whole")).run()
    part = CodecTrainer(short, pictures, Place(tmp_path / "part"))
    part._advance()
    part.save()
    CodecTrainer(short, pictures, Place(tmp_path / "part"), resume=True).run()
    whole, resumed = (
        load_file(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "part")
    )
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    before = load_codec(str(start)).state_dict()
    after = load_codec(str(tmp_path / "whole" / "weights.safetensors")).state_dict()
    changed = {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"decoder"}
    assert (tmp_path / "whole" / "sheets" / "000002.png").is_file()


def test_it_comes_nearer_to_the_pictures(tmp_path, pictures, short):
    recipe = dataclasses.replace(short, learning_rate=1e-3)
    trainer = CodecTrainer(recipe, pictures, Place(tmp_path / "run"))
    errors = [float(trainer._advance()["error"].detach()) for _ in range(20)]
    assert np.mean(errors[-4:]) < np.mean(errors[:4]) - 0.3  # 3 dB


def test_it_asks_for_what_to_start_from(tmp_path, pictures, short):
    recipe = dataclasses.replace(short, init="")
    with pytest.raises(UsageError, match=r"mmaif-codec starts from an encoder that stays.*--init"):
        CodecTrainer(recipe, pictures, Place(tmp_path / "run"))


def test_command(tmp_path, pictures, start):
    cv2.imwrite(str(tmp_path / "picture.png"), pictures[0])
    recipe = tmp_path / "short.yaml"
    recipe.write_text("trainer: codec\nmodel: mmaif-codec\nsteps: 1\nbatch: 1\ncrop: 32\n")
    args = ["train", "--model", "mmaif-codec", "--recipe", recipe, "--data", tmp_path]
    args += ["--init", start, "--out", tmp_path / "out", "--precision", "float32"]
    assert main([*map(str, args)]) == 0
    assert load_codec(str(tmp_path / "out" / "weights.safetensors")).encoder is not None
