"""``fusion doctor``."""

import pytest

from fusion_core.cli.main import main


@pytest.mark.parametrize(
    ("kind", "said"), [("onnx", "onnx cpu float32 (as set)"), ("auto", "(the only one)")]
)
def test_it_names_packages_and_the_engine(capsys, kind, said):
    assert main(["doctor", "--device", "cpu", "--set", f"engine.kind={kind}"]) == 0
    out = capsys.readouterr().out
    assert "onnxruntime " in out
    assert "CPU" in out
    assert "m2pn-edge on cpu" in out
    assert said in out
    assert "pair-nano.onnx: pair 608x448 or 800x608, CPU" in out


def test_a_model_that_cannot_run_is_one_line(capsys):
    assert main(["doctor", "--model", "ctrlfuse", "--set", "engine.kind=openvino"]) == 1
    assert "no exported network" in capsys.readouterr().err
