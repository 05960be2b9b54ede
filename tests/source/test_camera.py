"""A regular video file stands in for the device node; the capture code is the real one."""

import time

import numpy as np
import pytest

from fusion_core.errors import SourceError
from fusion_core.source.camera import CameraReader


def pictures_of(reader):
    """Iterate over a reader's pictures until its error."""
    while True:
        frame = reader.read(0.01)
        if frame is not None:
            yield frame


def test_convention_camera_frames_are_rgb_and_stamped_with_the_system_clock(make_video):
    red = np.full((48, 64, 3), (255, 0, 0), np.uint8)
    path = make_video("video0.avi", [red] * 3, codec="mjpeg", pixel_format="yuvj420p")
    before = time.time_ns()
    reader = CameraReader(str(path), "visible")
    frame = reader.read(1.0)
    reader.close()
    assert frame.encoding == "rgb8"
    assert np.abs(frame.image.astype(int) - (255, 0, 0)).max() <= 8
    assert before <= frame.stamp_ns <= time.time_ns()


def test_camera_that_ends_is_tried_again_and_then_named(make_video, pictures, until_error):
    path = make_video("video0.avi", pictures(4), codec="mjpeg", pixel_format="yuvj420p")
    frames, message = until_error(pictures_of(CameraReader(str(path), "visible")))
    assert [frame.sequence for frame in frames] == [0, 1, 2, 3]
    assert f"{path}: no picture in 21 attempts after frame 4" in message


def test_unplugged_camera_is_named_at_once(make_video, pictures, until_error):
    path = make_video("video0.avi", pictures(1), codec="mjpeg", pixel_format="yuvj420p")
    reader = CameraReader(str(path), "visible")
    reader.read(1.0)
    path.unlink()
    _, message = until_error(pictures_of(reader))
    assert "in 1 attempts" in message


def test_gray_thermal_camera_gives_one_channel(make_video):
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8)[:, None], (48, 1, 3))
    path = make_video("video2.avi", [ramp], codec="mjpeg", pixel_format="yuvj420p")
    reader = CameraReader(str(path), "thermal")
    frame = reader.read(1.0)
    reader.close()
    assert (frame.modality, frame.encoding, frame.image.shape) == ("thermal", "mono8", (48, 64))


def test_what_is_no_camera_is_refused(tmp_path, capfd):
    path = tmp_path / "video0"
    path.write_bytes(b"no camera")
    with pytest.raises(SourceError, match="video0: cannot be opened as a camera"):
        CameraReader(str(path), "visible")
