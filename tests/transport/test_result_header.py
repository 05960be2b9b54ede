import numpy as np
import pytest

from fusion_core.registration import Registrar, Rig
from fusion_core.sync import Synchronizer
from fusion_core.sync.settings import SyncConfig
from fusion_core.transport.result_header import ResultHeader, result_header
from fusion_core.types import CameraModel, Frame, FramePair, FusedFrame, ThermalImage

MS = 1_000_000
SIZE = (64, 48)
K = (50.0, 0.0, 32.0, 0.0, 50.0, 24.0, 0.0, 0.0, 1.0)
RGB, HEAT = (CameraModel(*SIZE, "plumb_bob", (), (f, *K[1:])) for f in (50.0, 70.0))
RIG = Rig.from_mapping(
    {"homography": np.eye(3).tolist(), "visible_size": list(SIZE), "thermal_size": list(SIZE)}
)


def visible(stamp_ns, camera=RGB):
    return Frame(stamp_ns, "visible", np.zeros((48, 64, 3), np.uint8), "rgb8", "rgb", camera=camera)


def thermal(stamp_ns):
    return Frame(stamp_ns, "thermal", np.zeros((48, 64), np.uint8), "mono8", "lwir", camera=HEAT)


def fuse(registrar, pair):
    """Return the result of a pair, its image that of the grid that the registration chose."""
    heat = ThermalImage(np.zeros((48, 64), np.float32), None) if pair.thermal else None
    aligned = registrar.align(pair.stamp_ns, pair.visible, heat)
    return FusedFrame(
        0, pair.stamp_ns, np.zeros((*aligned.valid.shape, 3), np.uint8), pair, aligned
    )


@pytest.fixture(params=[None, RIG], ids=["registered", "rig"])
def registrar(request):
    with Registrar(request.param) as opened:
        yield opened


def test_a_pair_has_the_visible_camera_and_the_leading_stamp(registrar):
    pair = FramePair(1000, visible(1000), thermal(1005), 5)
    assert result_header(fuse(registrar, pair)) == ResultHeader(1000, "rgb", RGB)
    pair = FramePair(1005, visible(1000), thermal(1005), 5, lead="thermal")
    assert result_header(fuse(registrar, pair)) == ResultHeader(1005, "rgb", RGB)


@pytest.mark.parametrize("offset_ms", [0.0, -250.0])
@pytest.mark.parametrize("policy", ["thermal_only", "hold"])
def test_thermal_alone_keeps_the_visible_grid_and_its_own_stamp(registrar, policy, offset_ms):
    """Stamps are those of the camera, whatever is added to them for pairing."""
    sync = Synchronizer(
        SyncConfig(thermal_offset_ms=offset_ms, on_missing_visible=policy, max_skew_ms=25.0)
    )
    shift = round(offset_ms * MS)
    start = 10_000 * MS
    fused = []
    for index in range(40):
        stamp = start + index * 100 * MS
        frames = [thermal(stamp - shift)] if index else [thermal(stamp - shift), visible(stamp)]
        for frame in frames:
            fused += [fuse(registrar, pair) for pair in sync.push(frame)]
    headers = [result_header(each) for each in fused]
    alone = [header for header in headers if header.stamp_ns != start]
    assert len(alone) >= 30
    assert {(header.frame_id, header.camera) for header in headers} == {("rgb", RGB)}
    sent = {start + index * 100 * MS - shift for index in range(1, 40)}
    assert {header.stamp_ns for header in alone} <= sent


def test_before_any_visible_frame_a_rig_makes_the_camera_unknown():
    pair = FramePair(7, None, thermal(9), None, lead="thermal")
    with Registrar(RIG) as registrar:
        assert result_header(fuse(registrar, pair)) == ResultHeader(9, "", None)
    with Registrar(None) as registrar:
        assert result_header(fuse(registrar, pair)) == ResultHeader(9, "lwir", HEAT)


def test_a_camera_of_another_size_is_left_out():
    large = CameraModel(640, 480, "plumb_bob", (), K)
    with Registrar(None) as registrar:
        fused = fuse(registrar, FramePair(0, visible(0, large), None, None))
    assert result_header(fused) == ResultHeader(0, "rgb", None)


def test_a_frame_of_the_user_wins():
    with Registrar(None) as registrar:
        fused = fuse(registrar, FramePair(0, visible(0), None, None))
    assert result_header(fused, "map").frame_id == "map"
