import numpy as np
import pytest

from fusion_core.errors import SourceError, UsageError
from fusion_core.source import open_source
from fusion_lab.synthetic import SyntheticScene

SCENE = "synthetic://street?seed=3&seconds=0.1&rgb_hz=20&thermal_hz=20"


@pytest.mark.parametrize(
    ("path", "options", "words"),
    [
        (None, {}, "no input"),
        ("a.bag", {"visible": "b.mp4"}, "holds both streams"),
        (None, {"visible": "a.mp4", "visible_topic": "/rgb"}, "without a bag"),
        (None, {"visible": "nowhere.mp4"}, r"nowhere\.mp4: does not exist"),
        ("nowhere.bag", {}, r"nowhere\.bag: does not exist"),
        (None, {"visible": "ftp://host/x"}, "ftp.*unknown kind"),
        (None, {"visible": "/dev/video9999"}, "/dev/video9999: does not exist"),
        (None, {"visible": "zmq://host"}, "not a stream address"),
        (None, {"visible": "zmq://h:1/x", "thermal": "ir.mp4"}, "one input is live"),
        ("synthetic://road", {"thermal_topic": "/ir"}, "no topics"),
    ],
)
def test_bad_usage_is_named(path, options, words):
    with pytest.raises(UsageError, match=words):
        open_source(path, **options)


def test_bag_given_as_a_stream_is_named(tmp_path):
    bag = tmp_path / "run.mcap"
    bag.write_bytes(b"")
    with pytest.raises(UsageError, match="is a bag"):
        open_source(visible=bag)


def test_file_that_is_no_bag_is_named(tmp_path):
    path = tmp_path / "run.txt"
    path.write_text("")
    with pytest.raises(SourceError, match=r"run\.txt: not a bag"):
        open_source(path)


def test_failure_of_the_second_input_is_the_error(make_video, pictures, tmp_path):
    broken = tmp_path / "ir.mp4"
    broken.write_bytes(b"\0" * 100)
    with pytest.raises(SourceError, match=r"ir\.mp4"):
        open_source(visible=make_video("vi.mp4", pictures(3)), thermal=broken)


@pytest.mark.parametrize("together", [True, False])
def test_one_synthetic_scene_serves_both_streams(together):
    source = open_source(SCENE) if together else open_source(visible=SCENE, thermal=SCENE)
    with source:
        frames = list(source.frames())
    assert not source.live
    assert source.total == 2
    assert source.read == {"visible": 2, "thermal": 2}
    rendered = next(SyntheticScene.from_url(SCENE).frames())
    assert frames[0].stamp_ns == rendered.stamp_ns
    np.testing.assert_array_equal(frames[0].image, rendered.image)


def test_one_side_of_a_synthetic_scene():
    with open_source(thermal=SCENE) as source:
        assert source.total is None
        assert {frame.modality for frame in source.frames()} == {"thermal"}
    assert source.read == {"thermal": 2}
