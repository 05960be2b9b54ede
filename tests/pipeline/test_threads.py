"""How many threads each network gets."""

import pytest

from fusion_core.config import Config
from fusion_core.pipeline.threads import detector_threads, fusion_threads


@pytest.mark.parametrize(
    ("threads", "fusion", "detector"), [(1, 1, 1), (2, 1, 1), (3, 2, 1), (4, 2, 2), (8, 4, 4)]
)
def test_what_works_side_by_side_shares_the_threads(threads, fusion, detector):
    config = Config.from_dict({"threads": threads, "detector": "default"})
    assert (fusion_threads(config), detector_threads(config)) == (fusion, detector)


def test_a_network_that_works_alone_has_all_that_are_set_and_else_what_the_program_has():
    assert fusion_threads(Config.from_dict({"threads": 3, "detector": "none"})) == 3
    assert fusion_threads(Config.from_dict({"detector": "none"})) is None


@pytest.mark.parametrize(("limit", "expected"), [("1", 1), ("1,2", 1), ("0", None), ("", None)])
def test_the_limit_of_openmp_counts_where_no_number_is_set(monkeypatch, limit, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3, 4, 5}, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    config = Config.from_dict({"detector": "default"})
    assert detector_threads(config) == (expected or 3)
    assert fusion_threads(config) == (expected or 3)
