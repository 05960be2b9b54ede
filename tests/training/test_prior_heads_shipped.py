"""The recipe of the prior's heads on the recordings that its card names."""

import numpy as np
import pytest
import torch
from street import street

from fusion_core.priors.checkpoint import SHIPPED, load_prior
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_lab.training.priors.bases import load_bases
from fusion_lab.training.priors.head_training import HeadsTraining
from fusion_lab.training.priors.heads import HeadsRecipe
from fusion_lab.training.recipe import read_recipe

pytestmark = [pytest.mark.data, pytest.mark.timeout(3600)]
MATERIAL = ("roadscene/train", "sequences", "video", "mef", "mff")
# Mean difference of the answers. Other processors add in another order; what the heads take,
# changed by 1e-5 at random, moved the probabilities of 1122 pictures by 0.005 in the mean, single
# ones by up to 0.18.
TOLERANCE = 0.015


def answers(weights, pictures):
    provider = EmbeddedProvider(weights)
    found = [provider.assess(picture, None) for picture in pictures]
    return np.array([(*entry.visible.values(), entry.quality) for entry in found])


def test_the_weights_that_ship_come_back(recordings, tmp_path):
    recipe = read_recipe(HeadsRecipe, "prior-heads", {})
    training = HeadsTraining(recipe, tuple(recordings / name for name in MATERIAL), tmp_path, 0)
    training.run()
    pictures = [street(scene)[0] for scene in ("day", "night", "smoke", "rain")]
    pictures += [base.visible for base in load_bases([recordings / "msrs"])]
    before, after = (answers(path, pictures) for path in (SHIPPED, training.finish()))
    assert np.abs(before - after).mean() < TOLERANCE
    heads = ("head.", "degradations.", "quality.", "slope", "offset")
    for one, other in zip(load_prior(SHIPPED), load_prior(training.finish()), strict=True):
        state = other.state_dict()
        for name, tensor in one.state_dict().items():
            if not name.startswith(heads):
                assert torch.equal(tensor, state[name]), name
