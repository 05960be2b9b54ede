"""Exposure times: in picture files, and in messages beside the images of a bag."""

import io
import json

import numpy as np
import pytest
from bag_maker import START, BagMaker, counts, rgb
from PIL import Image
from PIL.TiffImagePlugin import IFDRational
from rosbags.typesys import get_types_from_msg

from fusion_core.source import open_source
from fusion_core.transport.exposure import (
    DIAGNOSTICS,
    ExposureMatcher,
    file_exposure_s,
    message_exposure_s,
)
from fusion_core.types import Frame

REALSENSE = "realsense2_camera_msgs/msg/Metadata"
FLIR = "flir_camera_msgs/msg/ImageMetaData"
MAKER, EXPOSURE_TIME, EXIF = 271, 33434, 0x8769
PLACE = "/camera/color"
MS = 1_000_000


def picture_file(kind, seconds, byte_order="<"):
    """Return a file as Pillow writes it."""
    stream = io.BytesIO()
    exif = Image.Exif()
    exif.endian = byte_order
    exif[MAKER] = "camera"
    if seconds is not None:
        exif.get_ifd(EXIF)[EXPOSURE_TIME] = IFDRational(round(seconds * 1e6), 10**6)
    options = {"exif": exif}
    if kind == "TIFF" and seconds is not None:  # Pillow writes no EXIF directory into these
        options = {"tiffinfo": {EXPOSURE_TIME: IFDRational(round(seconds * 1e6), 10**6)}}
    Image.fromarray(rgb()).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("byte_order", "<>")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_files_state_their_exposure(kind, byte_order):
    assert file_exposure_s(picture_file(kind, 1 / 250, byte_order)) == pytest.approx(1 / 250)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_files_without_one_or_with_an_impossible_one(kind):
    assert file_exposure_s(picture_file(kind, None)) is None
    assert file_exposure_s(picture_file(kind, 0.0)) is None
    assert file_exposure_s(picture_file(kind, 90000.0)) is None


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_torn_files_state_none_or_the_right_one(kind):
    whole = picture_file(kind, 1 / 250)
    for end in range(0, len(whole), 7):
        found = file_exposure_s(whole[:end])
        assert found is None or found == pytest.approx(1 / 250)


def test_frames_of_a_folder_have_it(tmp_path):
    for stream in ("v", "t"):
        (tmp_path / stream).mkdir()
    for number, seconds in enumerate((0.001, 0.016)):
        (tmp_path / "v" / f"{number}.jpg").write_bytes(picture_file("JPEG", seconds))
        (tmp_path / "t" / f"{number}.png").write_bytes(picture_file("PNG", None))
    with open_source(visible=tmp_path / "v", thermal=tmp_path / "t") as source:
        frames = [frame for frame in source.frames() if frame.modality == "visible"]
    assert [frame.exposure_s for frame in frames] == pytest.approx([0.001, 0.016])


def bag(path, kind, place, lost=()):
    """Write six visible frames whose exposures come before or after them, on another topic."""
    maker = BagMaker(path, kind)
    text = "std_msgs/Header header\nstring json_data\n"
    maker.store.register(get_types_from_msg(text, REALSENSE))
    for number in range(6):
        stamp = START + number * 33 * MS
        exposure = {"actual_exposure": 1000 * 4 ** (number % 2), "frame_number": number}
        message = maker.store.types[REALSENSE](maker.header(stamp, ""), json.dumps(exposure))
        events = ["image"]
        if number not in lost:
            events.insert(0 if place == "before" else 1, "exposure")
        for moment, event in enumerate(events):
            if event == "image":
                maker.image(f"{PLACE}/image_raw", stamp, rgb(number), "rgb8", delay_ns=moment)
            else:
                maker.write(f"{PLACE}/metadata", REALSENSE, message, stamp + moment)
        maker.image("/camera/infra/image_raw", stamp, counts(number), "mono16", delay_ns=5)
    return maker.close()


def exposures(path):
    with open_source(path) as source:
        return [f.exposure_s for f in source.frames() if f.modality == "visible"]


@pytest.mark.parametrize("kind", ["mcap", "sqlite", "ros1"])
@pytest.mark.parametrize("place", ["before", "after"])
def test_messages_beside_the_images_of_a_bag(tmp_path, kind, place):
    found = exposures(bag(tmp_path / "bag", kind, place))
    first = [None] if place == "after" else [0.001]  # nothing was known yet
    assert found == [*first, 0.004, 0.001, 0.004, 0.001, 0.004]


def test_a_lost_message_costs_one_frame_its_exposure(tmp_path):
    found = exposures(bag(tmp_path / "bag", "mcap", "before", lost={3}))
    assert found == [0.001, 0.004, 0.001, None, 0.001, 0.004]


class Message:
    def __init__(self, **fields):
        self.__dict__.update(fields)


def diagnostics(value):
    pairs = [Message(key="gain", value="3"), Message(key="exposure_time", value=value)]
    return Message(status=[Message(values=pairs)])


def test_kinds_of_messages():
    assert message_exposure_s(diagnostics("0.008"), DIAGNOSTICS) == 0.008
    assert message_exposure_s(Message(exposure_time=8000), FLIR) == 0.008
    assert message_exposure_s(Message(json_data='{"actual_exposure":8000}'), REALSENSE) == 0.008


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (REALSENSE, Message(json_data="{}")),
        (REALSENSE, Message(json_data="no json")),
        (REALSENSE, Message(json_data="[1]")),
        (REALSENSE, Message(json_data='{"actual_exposure": -1}')),
        (FLIR, Message(exposure_time=0)),
        (FLIR, Message()),
        (DIAGNOSTICS, Message(status=[])),
        (DIAGNOSTICS, diagnostics("long")),
        (DIAGNOSTICS, diagnostics("nan")),
    ],
)
def test_messages_that_state_none(kind, message):
    assert message_exposure_s(message, kind) is None


def frame(stamp_ns):
    return Frame(stamp_ns, "visible", np.zeros((2, 2, 3), np.uint8), "rgb8")


def test_without_any_times_no_frame_waits():
    matcher = ExposureMatcher()
    assert [f.stamp_ns for f in matcher.add_frame(frame(1))] == [1]
    assert matcher.add_exposure(1, None) == []
    assert [f.stamp_ns for f in matcher.add_frame(frame(2))] == [2]


def test_a_frame_waits_for_its_time_until_the_next_frame():
    matcher = ExposureMatcher()
    matcher.add_exposure(1, 0.01)
    assert [f.exposure_s for f in matcher.add_frame(frame(1))] == [0.01]
    assert matcher.add_frame(frame(2)) == []
    assert [(f.stamp_ns, f.exposure_s) for f in matcher.add_exposure(2, 0.02)] == [(2, 0.02)]
    assert matcher.add_frame(frame(3)) == []
    assert [(f.stamp_ns, f.exposure_s) for f in matcher.add_frame(frame(4))] == [(3, None)]
    assert [f.stamp_ns for f in matcher.take_waiting()] == [4]
    assert matcher.take_waiting() == []
