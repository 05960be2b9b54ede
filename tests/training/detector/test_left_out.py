"""Places are left out for real: what one shows changes every detector but its own."""

from pathlib import Path

import pytest
import torch

from fusion_lab.training.detector.left_out import ALL, LeftOutRecipe, train_left_out
from fusion_lab.training.detector.pretrained import load_initial

pytest.importorskip("onnx")
SHIPPED = Path(__file__).parents[3] / "fusion_core/detection/weights/pair-nano.onnx"
RECIPE = LeftOutRecipe(crops=1, shared_steps=1, steps=1, batch=12)


@pytest.fixture
def trained(tmp_path, labelled_folder, write_pair):
    """Train with a yard of the given seed and a lane, and return the weights by file name."""

    def run(yard_seed):
        places = {name: [tmp_path / str(yard_seed) / name] for name in ("yard", "lane")}
        for (folder,), seed in zip(places.values(), (yard_seed, 9), strict=True):
            write_pair(folder, "0", seed, [(60, 20, 40, 96)])
        out = tmp_path / f"out_{yard_seed}"
        paths = train_left_out(places, [labelled_folder], SHIPPED, SHIPPED, out, recipe=RECIPE)
        return {path.stem: load_initial(path) for path in paths}

    return run


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_a_detector_depends_on_all_places_but_the_one_it_leaves_out(trained):
    one, other = trained(1), trained(2)
    assert set(one) == {ALL, "yard", "lane"}
    assert same(one["yard"], other["yard"])
    assert not same(one["lane"], other["lane"])
    assert not same(one[ALL], other[ALL])
    before = load_initial(SHIPPED)
    changed = {name for name in before if not torch.equal(before[name], one["yard"][name])}
    assert changed
    assert all(name.startswith("heads.") for name in changed)
