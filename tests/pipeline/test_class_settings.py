"""Settings that name classes of the detector are checked when a pipeline is built."""

import onnx_networks as networks
import pytest

from fusion_core.config import Config
from fusion_core.errors import UsageError
from fusion_core.pipeline import Pipeline


@pytest.fixture
def make(tmp_path):
    """Return a function that builds a pipeline with a detector of three classes."""
    metadata = {"names": "['person', 'vehicle', 'cycle']"}
    detector = networks.colour_meter(tmp_path / "net.onnx", metadata=metadata)
    settings = {"device": "cpu", "threads": 1, "prior": "none", "model": "ctrlfuse"}

    def build(**config):
        return Pipeline(Config.from_dict({**settings, "detector": detector, **config}))

    return build


BLOCKS = {
    "detection.labels": {"detection": {"labels": "person, persn"}},
    "mask.labels": {"mask": {"source": "detector", "labels": "person, persn"}},
}


@pytest.mark.parametrize("setting", BLOCKS)
def test_an_unknown_class_stops_the_start_and_the_known_ones_are_named(setting, make):
    message = rf"{setting}: 'persn' is no class of .*net.onnx; known: person, vehicle, cycle"
    with pytest.raises(UsageError, match=message):
        make(**BLOCKS[setting])


def test_known_classes_are_accepted(make):
    with make(
        detection={"labels": "person, cycle"}, mask={"source": "detector", "labels": "person"}
    ) as pipeline:
        assert pipeline.status().mask["source"] == "detector"
