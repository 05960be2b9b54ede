"""The bench of latency on two pairs of the synthetic street."""

from dataclasses import replace

import numpy as np
import torch

from fusion_lab.benches.configuration import bench_config
from fusion_lab.benches.latency import convolution_unit, measure_latency, street_pairs


def half_size(pair):
    frames = {side: getattr(pair, side) for side in ("visible", "thermal")}
    halved = {
        side: replace(frame, image=np.ascontiguousarray(frame.image[::2, ::2]), camera=None)
        for side, frame in frames.items()
    }
    return replace(pair, **halved)


def test_models_take_turns_beside_the_unit():
    names = ("m2pn-edge", "ctrlfuse")
    settings = ("prior=none",)
    configs = {name: bench_config(settings, name, detector="none") for name in names}
    pairs = street_pairs(2, "synthetic://day?seed=1&seconds=0.2&registered=1")
    assert len(pairs) == 2
    pairs = [half_size(pair) for pair in pairs]
    result = measure_latency(configs, pairs, rounds=2, warm_up=1)
    assert [entry.model for entry in result.models] == list(names)
    assert result.unit.count == 2
    for entry in result.models:
        assert entry.network.count == entry.pipeline.count == 2
        assert 0 < entry.network.median < entry.pipeline.median
        assert entry.rest.least > 0
        assert entry.units > 0
        assert entry.cpu.count == 2
        assert entry.cpu.least > 0
        assert entry.cpu_units > 0
        assert entry.first_frame_s > 0
    (table,) = result.tables()
    assert [row[0] for row in table.rows] == list(names)
    assert f"unit {result.unit.median:.2f} ms" in table.title
    table.markdown()


def test_the_unit_leaves_the_number_of_threads_as_it_was():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        convolution_unit(8, 8)()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_settings_win_over_what_a_bench_measures_by_default():
    assert bench_config((), "m2pn", detector="none").detector == "none"
    assert bench_config(("detector=default",), "m2pn", detector="none").detector == "default"
