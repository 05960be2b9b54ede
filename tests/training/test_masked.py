"""Pre-training of the masked autoencoder."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fusion_core.cli.main import main
from fusion_core.errors import SourceError
from fusion_core.models.tcmoa.embedded import load_mae
from fusion_lab.training import Place
from fusion_lab.training.masked import MaskedRecipe, MaskedTrainer
from fusion_lab.training.masked.pictures import draw_kept, find_pictures, make_crops

SHORT = MaskedRecipe(
    steps=2, patches=98, crops=(112,), worlds=0, save_every=1, validate_every=2, keep=(1,)
)


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return [cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), (200, 150)) for _ in range(17)]


def test_all_pictures_below_a_folder_are_found_but_masks_and_results(tmp_path, pictures):
    for place, depth in (
        ("vi/a", 8),
        ("deep/er/b", 8),
        ("masks/c", 8),
        ("fused/x/d", 8),
        ("e", 16),
    ):
        file = tmp_path / f"{place}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        picture = pictures[0] if depth == 8 else pictures[0].astype(np.uint16) * 256
        cv2.imwrite(str(file), picture)
    assert len(find_pictures([tmp_path])) == 2
    with pytest.raises(SourceError, match="no 8-bit pictures"):
        find_pictures([tmp_path / "masks" / "none"])


def test_crops_and_masks_are_a_function_of_the_step(pictures):
    one, same, other = (make_crops(pictures, SHORT, 0, step) for step in (3, 3, 4))
    assert one.shape == (2, 3, 112, 112)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    kept = draw_kept(SHORT, one, 0, 3)
    assert kept.shape == (2, 12)  # a quarter of 49
    assert all(len(set(row.tolist())) == 12 for row in kept)


def test_a_resumed_run_ends_with_the_same_bits(tmp_path, pictures):
    MaskedTrainer(SHORT, pictures, Place(tmp_path / "whole")).run()
    part = MaskedTrainer(SHORT, pictures, Place(tmp_path / "part"))
    part._advance()
    part.save()
    MaskedTrainer(SHORT, pictures, Place(tmp_path / "part"), resume=True).run()
    whole, resumed = (
        load_file(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "part")
    )
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert load_mae(tmp_path / "whole" / "steps" / "000001.safetensors").config.width == 192
    assert (tmp_path / "whole" / "sheets" / "000002.png").is_file()


def test_it_learns_to_paint(tmp_path, pictures):
    """The same crops before and after thirty steps."""
    recipe = dataclasses.replace(SHORT, steps=30, warmup=1, learning_rate=3e-3)
    trainer = MaskedTrainer(recipe, pictures, Place(tmp_path / "run"))

    def wrong():
        with torch.no_grad():
            crops, made, _ = trainer._paint(trainer.model, pictures, 0)
        return float((made - crops).square().mean())

    before = wrong()
    for _ in range(30):
        trainer._advance()
    assert wrong() < 0.8 * before


def test_command(tmp_path, pictures):
    for index, picture in enumerate(pictures[:2]):
        cv2.imwrite(str(tmp_path / f"{index}.png"), picture)
    recipe = tmp_path / "short.yaml"
    recipe.write_text(
        "trainer: masked\nmodel: mae-small\nsteps: 1\npatches: 49\ncrops: [112]\nworlds: 0\n"
    )
    out = tmp_path / "out"
    args = ["train", "--model", "mae-small", "--recipe", recipe, "--data", tmp_path, "--out", out]
    assert main([*map(str, args), "--precision", "float32"]) == 0
    again = ["--init", out / "weights.safetensors", "--out", tmp_path / "second"]
    assert main([*map(str, [*args, *again]), "--precision", "float32"]) == 0
