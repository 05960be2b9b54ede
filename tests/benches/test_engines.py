"""The bench of engines on a small pair."""

import numpy as np
import pytest
import torch

from fusion_core.errors import UsageError
from fusion_core.types import AlignedPair
from fusion_lab.benches.engines import measure_engines, read_peer


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    visible = rng.integers(0, 256, (48, 64, 3), np.uint8)
    thermal = rng.random((48, 64), np.float32)
    return AlignedPair(0, visible, thermal, np.ones((48, 64), bool))


class Mean(torch.nn.Module):
    """A network from elsewhere."""

    def forward(self, thermal, visible):
        return (thermal + visible) / 2


def test_all_kinds_take_turns_beside_the_unit(pair):
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
    assert result.peers == ()


def test_a_network_from_elsewhere_is_timed_beside_the_engines(pair, tmp_path):
    file = tmp_path / "mean.pt2"
    lumas = (torch.zeros(1, 1, 48, 64), torch.zeros(1, 1, 48, 64))
    torch.export.save(torch.export.export(Mean(), lumas), file)
    name, run = read_peer(f"Mean={file}", pair)
    result = measure_engines(("m2pn-nano",), (1, 2), 3, pair, {name: run})
    assert [(entry.peer, entry.threads) for entry in result.peers] == [("Mean", 1), ("Mean", 2)]
    assert all(entry.units > 0 and entry.time.count == 3 for entry in result.peers)
    # a network takes longer than the mean of two small pictures
    assert all(entry.of_peers["Mean"] > 1 for entry in result.engines)
    table, alone = result.tables()
    assert table.head[-1] == "of Mean"
    assert [row[0] for row in alone.rows] == ["Mean", "Mean"]


@pytest.mark.parametrize("text", ["Mean", "Mean=", "=file.pt2", "Mean=missing.pt2"])
def test_a_peer_is_a_name_and_a_file(pair, text):
    with pytest.raises(UsageError, match=r"NAME=FILE\.pt2"):
        read_peer(text, pair)
