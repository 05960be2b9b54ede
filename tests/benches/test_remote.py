"""The bench of the hop to a server, for its arithmetic; durations are for a quiet machine."""

import pytest

from fusion_lab.benches.configuration import bench_config
from fusion_lab.benches.latency import street_pairs
from fusion_lab.benches.remote import measure_hop, serving_process


def test_the_hop_is_remote_minus_local_without_the_network(tmp_path):
    bind = f"ipc://{tmp_path}/engine"
    config = bench_config((), "m2pn-edge", detector="none", prior="none")
    with serving_process(bind, tmp_path / "server.log"):
        result = measure_hop(config, bind, street_pairs(2), rounds=3, warm_up=1)
    (local, remote), hop = (result.local, result.remote), result.hop
    assert local[0].count == remote[0].count == hop.count == 3
    for whole, rest in (local, remote):
        assert 0 < rest.least < whole.least
    # Of three rounds the median of the differences lies between those of the extremes.
    assert hop.least <= hop.median <= hop.p99
    head, quiet = result.tables()
    assert [row[0] for row in head.rows] == ["local", "remote"]
    assert quiet.rows[0][0] == pytest.approx(remote[1].least - local[1].least)
