"""What a summary says where the machine did not keep up."""

import pytest

from fusion_core.cli.summary import print_summary

SUMMARY = {
    "read": {"visible": 100, "thermal": 100},
    "pairs": 100,
    "fused": 60,
    "fps": 18.0,
    "drops": {"busy": 40},
    "detection": {},
    "scene_memory": {},
    "mask": {},
    "latency_ms": {},
    "outputs": [],
    "device": "cpu",
    "engine": {"kind": "torch float32"},
    "fusion_failures": 0,
}


@pytest.mark.parametrize(
    ("model", "busy", "advice"),
    [
        ("m2pn-edge", 40, "--model m2pn-nano"),
        ("m2pn-nano", 40, "--detector none"),
        ("m2pn-edge", 4, None),
    ],
)
def test_lost_pairs_come_with_what_is_faster(capsys, model, busy, advice):
    print_summary({**SUMMARY, "model": model, "drops": {"busy": busy}}, None)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("slow")]
    if advice is None:
        assert said == []
    else:
        (line,) = said
        assert f"{busy} pairs" in line
        assert line.endswith(advice)
