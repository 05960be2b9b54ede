"""The bench of a GPU, on the CPU."""

import numpy as np
import pytest

from fusion_core.errors import UsageError
from fusion_lab.benches.gpu import measure_gpu


def test_it_runs_on_a_cpu():
    result = measure_gpu("cpu", ("m2pn-edge", "ctrlfuse"), 2, 300, sizes=((48, 64),))
    assert [entry.model for entry in result.agreement] == ["m2pn-edge"] * 2 + ["ctrlfuse"] * 2
    for entry in result.agreement:
        assert entry.problem == ""
        assert entry.mean < (1e-3 if entry.precision == "float32" else 1)
    *networks, detector, pipeline = result.speed
    assert [each.variant for each in networks] == ["eager float32", "eager half", "onnx cpu"]
    assert (detector.what, detector.variant) == ("detector", "CPU")
    for each in (*networks, detector, pipeline):
        assert each.problem == ""
        assert each.time.count == 2
    right, fast = result.tables()
    assert "m2pn-edge" in right.markdown()
    assert "pipeline" in fast.markdown()


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
