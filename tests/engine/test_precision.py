"""Which number type torch computes in on a CPU."""

import json

import pytest
import torch

from fusion_core.engine import precision

HAS_BFLOAT16 = any(torch.cpu.get_capabilities().get(name) for name in ("amx_bf16", "avx512_bf16"))


@pytest.fixture(autouse=True)
def no_result_yet(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    precision._measured.cache_clear()
    yield
    precision._measured.cache_clear()


def test_a_processor_without_bfloat16_computes_in_float32(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert precision.fast_precision("cpu") is torch.float32


@pytest.mark.skipif(not HAS_BFLOAT16, reason="this processor does not multiply bfloat16")
def test_what_was_measured_is_kept_for_the_machine(tmp_path):
    measured = precision.fast_precision("cpu")
    (file,) = tmp_path.rglob("*.json")
    kept = json.loads(file.read_text())
    assert str(measured) == f"torch.{kept['kind']}"
    other = {"float32": "bfloat16", "bfloat16": "float32"}[kept["kind"]]
    file.write_text(json.dumps({**kept, "kind": other}))
    assert precision.fast_precision("cpu") is measured  # one answer per process
    precision._measured.cache_clear()
    assert precision.fast_precision("cpu") is getattr(torch, other)


def test_measuring_draws_no_random_numbers():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    precision.fast_precision("cpu")
    assert torch.equal(torch.rand(3), expected)
