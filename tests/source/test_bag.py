import logging

import numpy as np
import pytest
from bag_maker import COMPRESSED, START, BagMaker, D, K, counts, rgb

from fusion_core.errors import SourceError
from fusion_core.source import open_source
from fusion_core.types import CameraModel


@pytest.fixture(params=["sqlite3", "mcap", "ros1"])
def any_bag(request, tmp_path):
    return BagMaker(tmp_path / "run", request.param)


@pytest.fixture
def bag(tmp_path):
    return BagMaker(tmp_path / "run", "mcap")


def fill(maker, frames=5):
    for n in range(frames):
        stamp = START + n * 33_333_333
        maker.image(
            "/rgb/image_raw", stamp, rgb(n)[..., ::-1].copy(), "bgr8", frame_id="rgb_optical", pad=5
        )
        maker.image("/thermal/image_raw", stamp + 1_000_000, counts(n), "16UC1", frame_id="lwir")
        maker.info("/thermal/camera_info", stamp)
    return maker.close()


def test_every_kind_of_bag_gives_the_same_frames(any_bag):
    with open_source(fill(any_bag)) as source:
        assert not source.live
        assert source.total == 5
        frames = list(source.frames())
    assert source.read == {"visible": 5, "thermal": 5}
    for n in range(5):
        visible, thermal = frames[2 * n : 2 * n + 2]
        assert (visible.modality, visible.encoding) == ("visible", "rgb8")
        assert (thermal.modality, thermal.encoding) == ("thermal", "mono16")
        assert visible.stamp_ns == START + n * 33_333_333
        assert thermal.stamp_ns == visible.stamp_ns + 1_000_000
        assert (visible.frame_id, thermal.frame_id) == ("rgb_optical", "lwir")
        assert visible.sequence == thermal.sequence == n
        assert visible.camera is None
        assert thermal.camera == CameraModel(64, 48, "plumb_bob", D, K)
        assert visible.image.flags.writeable
        np.testing.assert_array_equal(visible.image, rgb(n))
        np.testing.assert_array_equal(thermal.image, counts(n))


def test_bare_storage_file_and_folder_without_metadata(bag):
    path = fill(bag)
    (file,) = path.glob("*.mcap")
    with open_source(file) as source:
        assert len(list(source.frames())) == 10
    (path / "metadata.yaml").unlink()
    with open_source(path) as source:
        assert len(list(source.frames())) == 10


def test_convention_capture_stamps_order_frames_not_arrival(bag):
    for n in range(3):
        stamp = START + n * 100_000_000
        bag.image("/thermal/image", stamp, counts(), "mono16", delay_ns=900_000_000)
        bag.image("/rgb/image", stamp + 40_000_000, rgb(), "rgb8")
    with open_source(bag.close()) as source:
        stamps = [frame.stamp_ns - START for frame in source.frames()]
    assert stamps == [m * 1_000_000 for m in (0, 40, 100, 140, 200, 240)]


def test_header_without_stamp_falls_back_to_the_time_of_recording(bag):
    bag.image("/rgb/image", 0, rgb(), "rgb8", delay_ns=START)
    bag.image("/ir/image", 0, counts(), "mono16", delay_ns=START + 5)
    with open_source(bag.close()) as source:
        assert [frame.stamp_ns for frame in source.frames()] == [START, START + 5]


def test_compressed_images_16_bit_png_included(bag):
    bag.compressed("/rgb/image/compressed", START, rgb()[..., ::-1], ".png", "bgr8; png compressed")
    bag.compressed("/ir/image/compressed", START, counts(), ".png", "16UC1; png compressed ")
    with open_source(bag.close()) as source:
        visible, thermal = source.frames()
    np.testing.assert_array_equal(visible.image, rgb())
    assert thermal.encoding == "mono16"
    np.testing.assert_array_equal(thermal.image, counts())


def test_unknown_encoding_in_mid_stream_is_counted_not_fatal(bag, caplog):
    for n in range(6):
        encoding = "weird8" if n in {2, 3} else "mono8"
        bag.image("/rgb/image", START + n, rgb()[..., 0].copy(), encoding)
        bag.image("/ir/image", START + n, counts(), "mono16")
    with caplog.at_level(logging.WARNING), open_source(bag.close()) as source:
        frames = list(source.frames())
    assert source.read == {"visible": 4, "thermal": 6}
    assert source.drop_log.by_cause() == {"unknown_encoding": 2}
    assert [f.sequence for f in frames if f.modality == "visible"] == [0, 1, 4, 5]
    assert caplog.text.count("weird8") == 1


def test_damaged_picture_in_mid_stream_is_counted(bag):
    for n in range(3):
        bag.compressed("/rgb/image/compressed", START + n, rgb(), ".jpg", "jpeg")
        bag.image("/ir/image", START + n, counts(), "mono16")
    empty = bag.store.types[COMPRESSED](bag.header(START + 9, ""), "jpeg", np.zeros(9, np.uint8))
    bag.write("/rgb/image/compressed", COMPRESSED, empty, START + 9)
    with open_source(bag.close()) as source:
        assert len(list(source.frames())) == 6
    assert source.drop_log.by_cause() == {"corrupt": 1}


def test_stream_of_unknown_encoding_only_is_an_error(bag):
    for n in range(3):
        bag.image("/rgb/image", START + n, rgb(), "weird8")
        bag.image("/ir/image", START + n, counts(), "mono16")
    problem = r"/rgb/image: no frame is usable.*weird8.*known"
    with open_source(bag.close()) as source, pytest.raises(SourceError, match=problem):
        list(source.frames())
    assert source.read == {"thermal": 3}


def test_uncalibrated_camera_info_is_no_camera(bag):
    bag.image("/rgb/image", START, rgb(), "rgb8")
    bag.image("/ir/image", START, counts(), "mono16")
    bag.info("/rgb/camera_info", START, k=(0.0,) * 9)
    with open_source(bag.close()) as source:
        assert [frame.camera for frame in source.frames()] == [None, None]


def test_missing_topic_names_the_bag_and_what_it_holds(bag):
    bag.image("/left/image", START, rgb(), "rgb8")
    path = bag.close()
    with pytest.raises(SourceError, match=rf"{path}: .*thermal.*/left/image \(sensor_msgs/msg/Im"):
        open_source(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.97])
@pytest.mark.parametrize("kind", ["sqlite3", "ros1"])
def test_cut_off_bag_is_one_clear_line(tmp_path, kind, share):
    path = fill(BagMaker(tmp_path / "run", kind), frames=20)
    cut(path, share)
    with (
        pytest.raises(SourceError, match=r"run.*(reindex|recover)") as caught,
        open_source(path) as source,
    ):
        list(source.frames())
    assert "\n" not in str(caught.value)


def cut(path, share):
    file = path if path.is_file() else next(p for p in path.iterdir() if p.suffix != ".yaml")
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])


def test_empty_mcap_file_is_one_clear_line(bag):
    path = fill(bag)
    cut(path, 0)
    with pytest.raises(SourceError, match=r"run.*recover") as caught:
        open_source(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("metadata", [True, False])
def test_unfinished_mcap_is_read_as_far_as_it_goes(bag, caplog, metadata):
    path = fill(bag, frames=200)  # some 2.4 MB in chunks of 1 MiB
    cut(path, 0.7)
    if not metadata:
        (path / "metadata.yaml").unlink()
    with open_source(path) as source:
        frames = list(source.frames())
    assert source.read["visible"] > 60
    assert source.read["thermal"] > 60
    assert [f.sequence for f in frames if f.modality == "visible"] == list(
        range(source.read["visible"])
    )
    assert "cut off" in caplog.text


def test_mcap_damaged_inside_loses_the_damaged_part_alone(bag, caplog):
    path = fill(bag, frames=300)
    (file,) = path.glob("*.mcap")
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40_000] = b"\xff" * 40_000
    file.write_bytes(data)
    with open_source(path) as source:
        frames = list(source.frames())
    lost = source.drop_log.by_cause().get("corrupt", 0)
    assert len(frames) + lost == 600
    assert 1 <= lost < 20  # 40 kB of some 12 kB for each pair of messages
    last = [f for f in frames if f.modality == "visible"][-1]
    assert last.stamp_ns == START + 299 * 33_333_333
    assert "left out" in caplog.text


def test_folder_that_is_no_bag(tmp_path):
    with pytest.raises(SourceError, match=r"metadata\.yaml"):
        open_source(tmp_path)
