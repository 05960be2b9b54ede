"""The bench of the ROS node over a real DDS."""

import importlib.util
import random

import pytest

MISSING = [name for name in ("rclpy", "fusion_node") if importlib.util.find_spec(name) is None]


@pytest.mark.ros
@pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")
@pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not found")
def test_pairs_come_back_as_fused_images(monkeypatch):
    from fusion_lab.benches.ros.bench import EXCLUDED, RosResult, measure_ros

    monkeypatch.setenv("ROS_DOMAIN_ID", str(random.SystemRandom().randint(1, 100)))
    figures = measure_ros(EXCLUDED, rate_hz=5, seconds=2)
    assert figures.sent == 10
    assert figures.latency is not None
    assert figures.delivered == figures.latency.count / 10 > 0
    assert figures.latency.least > 0
    (table,) = RosResult((figures,)).tables()
    assert table.rows[0][0] == EXCLUDED


@pytest.mark.ros
@pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")
@pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not found")
def test_a_short_soak_of_the_node_adds_up(monkeypatch):
    from fusion_lab.benches.latency import street_pairs
    from fusion_lab.benches.ros.soak import soak_node
    from fusion_lab.benches.soak.faults import faulty_cameras

    monkeypatch.setenv("ROS_DOMAIN_ID", str(random.SystemRandom().randint(1, 100)))
    pairs = street_pairs(2, "synthetic://day?seed=1&seconds=0.2&registered=1")
    result = soak_node(faulty_cameras(pairs, 10, 0.2, 39), 10, 4, settings=("detector=none",))
    assert result.ended is None
    assert result.results > 0
    assert sum(result.faults.values()) > 3
    # Only frames that wait for a partner are in no counter.
    assert all(0 <= count <= 3 for count in result.waiting().values())
    for table in result.tables():
        table.markdown()


@pytest.mark.ros
@pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")
@pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not found")
def test_cameras_live_in_the_domain_of_the_moment(monkeypatch):
    """The process may hold a context of another domain, which goes on as it was."""
    import rclpy
    from rclpy.context import Context

    from fusion_lab.benches.ros.cameras import spinning_node

    existing = Context()
    monkeypatch.setenv("ROS_DOMAIN_ID", "61")
    rclpy.init(context=existing)
    try:
        monkeypatch.setenv("ROS_DOMAIN_ID", "62")
        with spinning_node("bench") as node:
            assert node.context.get_domain_id() == 62
        assert not node.context.ok()
        assert existing.ok()
        assert existing.get_domain_id() == 61
    finally:
        existing.shutdown()


def test_without_ros_the_next_step_is_named(monkeypatch):
    from fusion_core.errors import MissingExtraError
    from fusion_lab.benches.ros.bench import measure_ros

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="source the ROS installation"):
        measure_ros("m2pn-edge", 30, 1)
