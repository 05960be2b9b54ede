"""A network with a foundation model in it: what is missing or wrong stops the start."""

import dataclasses

import pytest
import tiny_models

from fusion_core.config import Config
from fusion_core.errors import WeightsError
from fusion_core.models import save_weights
from fusion_core.models.ctrlfuse import ROBOT, CtrlFuse
from fusion_core.pipeline import Pipeline

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two SAMs, and a checkpoint trained with the first."""
    root = tmp_path_factory.mktemp("sam")
    for seed, name in enumerate(("first", "second")):
        (root / name).mkdir()
        tiny_models.sam(root / name, seed)
    config = dataclasses.replace(ROBOT, dim=32, segmenter="sam", down=1, head="tanh")
    model = CtrlFuse("ctrlfuse-full", config)
    model.segmenter.weights = str(root / "first")
    _ = model.segmenter.sam.model
    save_weights(model, root / "run.safetensors")
    return root


def make(root, weights):
    settings = {"device": "cpu", "threads": 1, "prior": "none", "detector": "none"}
    options = {"segmenter_weights": str(root / weights)}
    model = str(root / "run.safetensors")
    return Pipeline(Config.from_dict({**settings, "model": model, "options": options}))


def test_the_foundation_model_that_it_was_trained_with_is_accepted(folders):
    with make(folders, "first") as pipeline:
        assert pipeline.status().fused == 0


def test_another_one_stops_the_start(folders):
    with pytest.raises(WeightsError, match=r"second' has the fingerprint.*run.safetensors was"):
        make(folders, "second")


def test_an_absent_one_stops_the_start(folders):
    with pytest.raises(WeightsError, match=r"nowhere.*options\.segmenter_weights"):
        make(folders, "nowhere")
