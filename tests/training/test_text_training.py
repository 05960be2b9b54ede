"""Training of the text encoder."""

import dataclasses

import pytest
import torch
from safetensors.torch import load_file

from fusion_core.cli.main import main
from fusion_core.errors import ConfigError
from fusion_core.models.mmaif.text.weights import load_text
from fusion_core.sentences import Wish
from fusion_lab.training import Place
from fusion_lab.training.text import TextRecipe, TextTrainer
from fusion_lab.training.text.trainer import check_sentences

SHORT = TextRecipe(steps=2, batch=4, save_every=1, validate_every=2, checked=3)


def test_a_resumed_run_ends_with_the_same_bits(tmp_path):
    TextTrainer(SHORT, Place(tmp_path / "whole")).run()
    part = TextTrainer(SHORT, Place(tmp_path / "part"))
    part._advance()
    part.save()
    TextTrainer(SHORT, Place(tmp_path / "part"), resume=True).run()
    whole, resumed = (
        load_file(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "part")
    )
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert "said:" in (tmp_path / "whole" / "sheets" / "000002.txt").read_text()


def test_it_learns_what_is_said(tmp_path):
    recipe = dataclasses.replace(SHORT, steps=60, batch=16, warmup=1, learning_rate=3e-3)
    trainer = TextTrainer(recipe, Place(tmp_path / "run"))
    losses = [float(trainer._advance()["total"].detach()) for _ in range(60)]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


def test_sentences_that_are_checked_are_always_the_same():
    one, same, other = (check_sentences(20, held_out=held_out) for held_out in (True, True, False))
    assert one == same
    assert not {text for text, _ in one} & {text for text, _ in other}
    assert all(isinstance(wish, Wish) for _, wish in one)


def test_command_needs_no_data(tmp_path):
    recipe = tmp_path / "short.yaml"
    recipe.write_text("trainer: text\nmodel: mmaif-text\nsteps: 1\nbatch: 2\nchecked: 2\n")
    args = ["train", "--model", "mmaif-text", "--recipe", str(recipe), "--precision", "float32"]
    assert main([*args, "--out", str(tmp_path / "out")]) == 0
    weights = tmp_path / "out" / "weights.safetensors"
    assert load_text(weights).config.dim == 128
    assert main([*args, "--out", str(tmp_path / "second"), "--init", str(weights)]) == 0


def test_networks_that_learn_from_pictures_ask_for_them(tmp_path, capsys):
    assert main(["train", "--model", "mae-small", "--out", str(tmp_path / "out")]) == 2
    assert "learns from pictures: give their folders with --data DIR" in capsys.readouterr().err


def test_a_recipe_of_another_model_is_refused(tmp_path):
    from fusion_lab.training.recipe import read_recipe

    with pytest.raises(ConfigError, match="mae-small"):
        read_recipe(TextRecipe, "mmaif-text", {}, source="mae-small")
