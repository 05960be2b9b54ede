"""The bench of engines on a small pair."""

import numpy as np

from fusion_core.types import AlignedPair
from fusion_lab.benches.engines import measure_engines


def test_all_kinds_take_turns_beside_the_unit():
    rng = np.random.default_rng(0)
    visible = rng.integers(0, 256, (48, 64, 3), np.uint8)
    thermal = rng.random((48, 64), np.float32)
    pair = AlignedPair(0, visible, thermal, np.ones((48, 64), bool))
    result = measure_engines(("m2pn-edge",), (1,), 3, pair)
    kinds = [entry.kind for entry in result.engines]
    assert kinds[0].startswith("torch")
    assert {"onnx cpu float32", "openvino float32"} <= set(kinds)
    for entry in result.engines:
        assert entry.time.count == result.unit.count == 3
        assert entry.units > 0
        assert entry.cpu.least > 0
        assert entry.mean_difference < 1
    assert result.engines[0].against_torch == 1
    assert result.engines[0].mean_difference == 0
    (table,) = result.tables()
    assert len(table.rows) == len(kinds)
    assert "m2pn-edge" in table.markdown()
