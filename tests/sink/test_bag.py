import dataclasses

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from fusion_core.errors import SinkError
from fusion_core.sink import open_sink
from fusion_core.sink.bag import BagRecorder
from fusion_core.source import open_source
from fusion_core.types import CameraModel, Detection, Frame, PixelGrid

START = 1_700_000_000_000_000_123


def messages(path):
    with AnyReader([path]) as reader:
        return [
            (connection.topic, log_ns, reader.deserialize(raw, connection.msgtype))
            for connection, log_ns, raw in reader.messages()
        ]


def stamp(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_convention_fused_image_is_bgr8_under_its_capture_stamp(tmp_path, make_fused):
    fused = [make_fused(n, START + n * 33_333_333) for n in range(3)]
    with open_sink(f"bag:{tmp_path}/new/out") as sink:
        for result in fused:
            sink.write(result)
    assert sink.path == tmp_path / "new" / "out"
    images = [m for m in messages(sink.path) if m[0] == "/fusion/image"]
    for (_, log_ns, message), result in zip(images, fused, strict=True):
        assert log_ns == stamp(message) == result.stamp_ns
        assert message.header.frame_id == "rgb_optical"
        assert (message.encoding, message.height, message.width) == ("bgr8", 48, 64)
        assert message.step == 64 * 3
        pixels = message.data.reshape(48, 64, 3)
        np.testing.assert_array_equal(pixels[..., ::-1], result.image)


def test_convention_detection_box_is_given_by_its_centre(tmp_path, make_fused):
    found = (
        Detection("person", 0.75, (10.0, 20.0, 4.0, 8.0), 3),
        Detection("car", 0.5, (0.0, 0.0, 2.0, 2.0)),
    )
    with open_sink(f"bag:{tmp_path}/out") as sink:
        sink.write(make_fused(0, START, detections=found))
        sink.write(make_fused(1, START + 1))
    first, second = [m for t, _, m in messages(sink.path) if t == "/fusion/detections"]
    assert second.detections == []
    person, car = first.detections
    assert stamp(first) == stamp(person) == START
    centre = person.bbox.center.position
    assert (centre.x, centre.y, person.bbox.size_x, person.bbox.size_y) == (12, 24, 4, 8)
    hypothesis = person.results[0].hypothesis
    assert (hypothesis.class_id, hypothesis.score, person.id, car.id) == ("person", 0.75, "3", "")


def test_existing_folder_is_refused_and_untouched(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("data")
    with pytest.raises(SinkError, match="out: exists already, bags are not overwritten"):
        open_sink(f"bag:{tmp_path}/out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["precious"]


def test_written_frames_survive_an_exception(tmp_path, make_fused):
    def run():
        with open_sink(f"bag:{tmp_path}/out") as sink:
            sink.write(make_fused(0, START))
            raise RuntimeError("the network failed")

    with pytest.raises(RuntimeError, match="network"):
        run()
    assert len(messages(tmp_path / "out")) == 2


@pytest.mark.parametrize(
    ("encoding", "dtype"), [("mono8", np.uint8), ("mono16", np.uint16), ("32FC1", np.float32)]
)
def test_recorded_inputs_come_back_as_they_were(tmp_path, encoding, dtype):
    camera = CameraModel(
        32, 24, "plumb_bob", (0.1, 0.2, 0.0, 0.0, 0.3), (1, 0, 2, 0, 3, 4, 0, 0, 1)
    )
    rng = np.random.default_rng(0)
    sent = []
    with BagRecorder(tmp_path / "bag") as recorder:
        for n in range(4):
            colour = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            heat = rng.integers(0, 200, (24, 32)).astype(dtype)
            stamp_ns = START + n * 33_000_000
            sent += [
                Frame(stamp_ns, "visible", colour, "rgb8", "rgb_optical", n),
                Frame(stamp_ns + 9, "thermal", heat, encoding, "lwir", n, camera),
            ]
            recorder.write_frame(sent[-2])
            recorder.write_frame(sent[-1])
    with open_source(tmp_path / "bag") as source:
        got = list(source.frames())
    for frame, expected in zip(got, sent, strict=True):
        for name in ("stamp_ns", "modality", "encoding", "frame_id", "sequence", "camera"):
            assert getattr(frame, name) == getattr(expected, name)
        np.testing.assert_array_equal(frame.image, expected.image)


def test_writing_to_a_closed_recorder_is_refused(tmp_path):
    recorder = BagRecorder(tmp_path / "bag")
    recorder.close()
    recorder.close()
    with pytest.raises(SinkError, match="closed"):
        recorder.write_frame(Frame(0, "visible", np.zeros((2, 2, 3), np.uint8), "rgb8"))


def test_the_camera_of_the_results_pixels_goes_beside_the_image(tmp_path, make_fused):
    camera = CameraModel(64, 48, "plumb_bob", (0.1,) * 5, (50, 0, 32, 0, 51, 24, 0, 0, 1))
    grid = PixelGrid("rgb_optical", camera)
    fused = make_fused(0, START)
    shown = dataclasses.replace(fused, aligned=dataclasses.replace(fused.aligned, grid=grid))
    with open_sink(f"bag:{tmp_path}/out") as sink:
        sink.write(shown)
    (info,) = [m for t, _, m in messages(sink.path) if t == "/fusion/camera_info"]
    assert (stamp(info), info.header.frame_id) == (START, "rgb_optical")
    assert (info.width, info.height, info.distortion_model) == (64, 48, "plumb_bob")
    assert tuple(info.k) == camera.k
    # One camera without rectification, as `sensor_msgs/CameraInfo` documents it.
    np.testing.assert_array_equal(info.r.reshape(3, 3), np.eye(3))
    np.testing.assert_array_equal(info.p.reshape(3, 4)[:, :3], info.k.reshape(3, 3))


def test_the_stamp_is_the_leading_cameras_own(tmp_path, make_fused):
    """A time offset serves pairing; messages carry the stamp that the camera gave."""
    fused = make_fused(0, START)
    pair = dataclasses.replace(fused.pair, stamp_ns=START + 250_000_000)
    with open_sink(f"bag:{tmp_path}/out") as sink:
        sink.write(dataclasses.replace(fused, stamp_ns=pair.stamp_ns, pair=pair))
    assert {stamp(m) for _, _, m in messages(sink.path)} == {START}
