"""Masks from disk: one image, or a folder of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fusion_core.errors import EncodingError, MaskError
from fusion_core.transport.picture import decode_picture
from fusion_core.types import FloatImage, Frame

_SUFFIXES = frozenset({".png", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".jpg", ".jpeg"})
# Lossy files ring around the border of a mask.
_LOSSY, _LOSSY_LEAST = frozenset({".jpg", ".jpeg"}), 127


class MaskFiles:
    """The masks of a recording.

    A folder's masks are found by the stem of the visible frame's file, or, for streams without file
    names, by the frame's number as the stem (``12`` and ``0012`` alike). A frame without a mask has
    nothing marked.

    Args:
        path: One mask for all frames, or a folder.

    Raises:
        MaskError: There is no such file or folder, the folder holds no masks, or two of its masks
            belong to one frame.
    """

    def __init__(self, path: Path) -> None:
        self._single: FloatImage | None = None
        self._by_stem: dict[str, Path] = {}
        self._by_number: dict[int, Path] = {}
        if path.is_file():
            self._single = read_mask(path)
        elif path.is_dir():
            self._index(path)
        else:
            raise MaskError(f"{path}: no such mask file or folder")

    def mask_for(self, frame: Frame) -> FloatImage | None:
        """Return the mask of a visible frame, ``HxW`` in {0, 1}; None when it has none.

        Raises:
            MaskError: The mask cannot be read.
        """
        if self._single is not None:
            return self._single
        path = self._by_stem.get(frame.name) if frame.name else self._by_number.get(frame.sequence)
        return None if path is None else read_mask(path)

    def _index(self, folder: Path) -> None:
        for path in sorted(folder.iterdir()):
            # Some systems leave companions ._* beside every file.
            if path.suffix.lower() not in _SUFFIXES or path.name.startswith("."):
                continue
            twin = self._by_stem.setdefault(path.stem, path)
            if path.stem.isdecimal():
                twin = self._by_number.setdefault(int(path.stem), path)
            if twin != path:
                raise MaskError(f"{path}: {twin.name} is of the same frame; keep one of them")
        if not self._by_stem:
            raise MaskError(
                f"{folder}: holds no masks; expected files that end in "
                f"{', '.join(sorted(_SUFFIXES))}"
            )


def read_mask(path: Path) -> FloatImage:
    """Read an 8-bit gray image; every value but zero marks, in lossy files from 128.

    Returns:
        ``HxW`` float32 in {0, 1}.

    Raises:
        MaskError: The file cannot be decoded, or is not 8-bit gray.
    """
    try:
        image = decode_picture(path.read_bytes())
    except (EncodingError, OSError) as error:
        raise MaskError(
            f"{path}: cannot be decoded as an image ({error}); replace the mask"
        ) from error
    if image.ndim == 3 and (image[..., 0] == image[..., 1]).all() and image.shape[2] == 3:
        image = image[..., 0] if (image[..., 1] == image[..., 2]).all() else image
    if image.ndim != 2 or image.dtype != np.uint8:
        depth, channels = image.dtype.itemsize * 8, 1 if image.ndim == 2 else image.shape[2]
        raise MaskError(
            f"{path}: {depth}-bit with {channels} channel(s); a mask is an 8-bit gray image, "
            "0 where nothing is marked"
        )
    least = _LOSSY_LEAST if path.suffix.lower() in _LOSSY else 0
    return (image > least).astype(np.float32)
