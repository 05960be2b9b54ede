import cv2
import numpy as np
import pytest

from fusion_core.errors import SinkError
from fusion_core.sink import open_sink
from fusion_core.types import FramePair


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_convention_png_is_named_like_the_visible_file_and_lossless(tmp_path, make_fused):
    fused = make_fused(4, name="road_0017")
    with open_sink(f"{tmp_path}/out/") as sink:
        sink.write(fused)
        assert sink.path == tmp_path / "out"
    image = cv2.imread(str(tmp_path / "out" / "road_0017.png"), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(image[..., ::-1], fused.image)


def test_frames_without_a_file_are_numbered(tmp_path, make_fused):
    alone = FramePair(0, None, None, None)
    with open_sink(f"{tmp_path}/out/") as sink:
        sink.write(make_fused(7))
        sink.write(make_fused(8, pair=alone))
    assert names(tmp_path / "out") == ["000007.png", "000008.png"]


def test_visible_frame_fused_twice_gives_two_files(tmp_path, make_fused):
    with open_sink(f"{tmp_path}/out/") as sink:
        sink.write(make_fused(0, name="a"))
        sink.write(make_fused(1, name="a"))
    assert names(tmp_path / "out") == ["a.png", "a_000001.png"]


def test_place_that_cannot_be_created_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="file"):
        open_sink(f"{tmp_path}/file/")
