"""Masks on disk: how they are found, read and refused."""

import cv2
import numpy as np
import pytest

from fusion_core.errors import MaskError
from fusion_core.masks.files import MaskFiles, read_mask
from fusion_core.types import Frame


def frame(name="", sequence=0):
    return Frame(0, "visible", np.zeros((4, 6, 3), np.uint8), "rgb8", sequence=sequence, name=name)


def write(path, *marked, shape=(4, 6), value=255):
    mask = np.zeros(shape, np.uint8)
    for row, column in marked:
        mask[row, column] = value
    assert cv2.imwrite(str(path), mask)
    return path


def test_one_file_is_the_mask_of_every_frame(tmp_path):
    files = MaskFiles(write(tmp_path / "mask.png", (1, 2)))
    for sequence in (0, 7):
        mask = files.mask_for(frame(sequence=sequence))
        assert mask.dtype == np.float32
        assert np.argwhere(mask).tolist() == [[1, 2]]


def test_a_folder_is_searched_by_name_or_by_number(tmp_path):
    write(tmp_path / "0003.png", (0, 0))
    write(tmp_path / "tower.png", (3, 5))
    files = MaskFiles(tmp_path)
    assert np.argwhere(files.mask_for(frame(sequence=3))).tolist() == [[0, 0]]
    assert np.argwhere(files.mask_for(frame("tower", sequence=9))).tolist() == [[3, 5]]
    assert files.mask_for(frame(sequence=4)) is None
    # A frame that has a name is not looked up by its number.
    assert files.mask_for(frame("road", sequence=3)) is None


def test_every_value_but_zero_marks(tmp_path):
    assert read_mask(write(tmp_path / "label.png", (1, 1), value=1)).sum() == 1
    colour = np.repeat(cv2.imread(str(tmp_path / "label.png"), 0)[..., None], 3, axis=2)
    cv2.imwrite(str(tmp_path / "gray_as_colour.png"), colour)
    assert read_mask(tmp_path / "gray_as_colour.png").sum() == 1


def test_a_jpeg_mask_has_no_ringing(tmp_path):
    mask = np.zeros((64, 64), np.uint8)
    mask[20:40, 20:40] = 255
    cv2.imwrite(str(tmp_path / "mask.jpg"), mask, [cv2.IMWRITE_JPEG_QUALITY, 50])
    found = read_mask(tmp_path / "mask.jpg")
    assert np.abs(found - (mask > 0)).sum() <= 8


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 6), np.uint16), "16-bit with 1 channel"),
        (np.eye(4, 6)[..., None] * np.array([0, 0, 255], np.uint8), "8-bit with 3 channel"),
    ],
)
def test_other_encodings_are_refused(tmp_path, image, words):
    path = tmp_path / "mask.png"
    cv2.imwrite(str(path), image.astype(image.dtype if image.dtype != np.float64 else np.uint8))
    with pytest.raises(MaskError, match=words):
        read_mask(path)


def test_what_cannot_be_used_is_named(tmp_path):
    with pytest.raises(MaskError, match="nowhere: no such mask"):
        MaskFiles(tmp_path / "nowhere")
    with pytest.raises(MaskError, match="holds no masks"):
        MaskFiles(tmp_path)
    (tmp_path / "a.png").write_bytes(b"not a picture")
    with pytest.raises(MaskError, match="cannot be decoded"):
        MaskFiles(tmp_path).mask_for(frame("a"))
    write(tmp_path / "7.png")
    write(tmp_path / "007.png")
    with pytest.raises(MaskError, match="of the same frame"):
        MaskFiles(tmp_path)
