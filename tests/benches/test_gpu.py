"""The bench of a GPU, on the CPU."""

import numpy as np
import pytest

from fusion_core.engine import Engine
from fusion_core.errors import UsageError
from fusion_core.models import list_models, load_model
from fusion_lab.benches.gpu import _pictures, measure_gpu


def test_it_runs_on_a_cpu():
    result = measure_gpu("cpu", ("m2pn-edge", "ctrlfuse"), 2, 300, sizes=((48, 64),))
    assert [entry.model for entry in result.agreement] == ["m2pn-edge"] * 2 + ["ctrlfuse"] * 2
    for entry in result.agreement:
        assert entry.problem == ""
        assert entry.mean < (1e-3 if entry.precision == "float32" else 1)
    edge, (detector, pipeline), ctrlfuse = result.speed[:3], result.speed[3:5], result.speed[5:]
    assert [each.variant for each in edge] == ["eager float32", "eager half", "onnx cpu"]
    assert [each.variant for each in ctrlfuse] == ["eager float32", "eager half"]
    assert (detector.what, detector.variant) == ("detector", "CPU")
    assert pipeline.what == "pipeline"
    for each in result.speed:
        assert each.problem == ""
        assert each.time.count == 2
    right, fast = result.tables()
    assert "m2pn-edge" in right.markdown()
    assert "pipeline" in fast.markdown()


def test_every_model_with_weights_is_checked_in_each_of_its_tasks():
    names = {each.name for each in list_models() if each.weights_present}
    assert {"m2pn", "ctrlfuse", "mdaif", "mmaif", "tcmoa"} < names
    for name in ("mmaif", "tcmoa"):
        network = load_model(name)
        made = _pictures(Engine(network, None))
        assert len(made) == len(network.features.tasks) > 1
        assert len({picture.tobytes() for picture in made}) == len(made)


def test_what_comes_after_the_limit_is_left_out():
    result = measure_gpu("cpu", ("m2pn-edge",), 1, 0, sizes=((48, 64),))
    assert result.agreement == ()
    assert all("time is over" in each.problem for each in result.speed)
    assert all(np.isnan(each.time.median) for each in result.speed)


def test_without_a_gpu_it_says_so(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="no usable NVIDIA GPU"):
        measure_gpu("cuda", (), 1, 1)
