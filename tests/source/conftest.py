from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from fusion_core.errors import SourceError


def _encode(path, images, *, codec, pixel_format, layout, rate, options):
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixel_format
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format=layout)))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def make_video(tmp_path):
    """Write a real video of the given images and return its path."""

    def make(
        name,
        images,
        *,
        codec="libx264",
        pixel_format="yuv420p",
        layout="rgb24",
        rate=30,
        options=None,
    ):
        return _encode(
            tmp_path / name,
            images,
            codec=codec,
            pixel_format=pixel_format,
            layout=layout,
            rate=Fraction(rate),
            options=options or {},
        )

    return make


@pytest.fixture
def make_folder(tmp_path):
    """Write a folder of pictures, stem or file name -> image, and return its path."""

    def make(name, images, suffix=".png"):
        folder = tmp_path / name
        folder.mkdir()
        for stem, image in images.items():
            bgr = image[..., ::-1] if image.ndim == 3 else image
            assert cv2.imwrite(str(folder / f"{stem}{suffix}"), bgr)
        return folder

    return make


@pytest.fixture
def pictures():
    """Return N different colour pictures, rough enough that no codec makes them tiny."""

    def make(count, height=48, width=64, seed=0):
        rng = np.random.default_rng(seed)
        return list(rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8))

    return make


@pytest.fixture
def until_error():
    """Return what an iterator gives until its SourceError, and the error's text."""

    def collect(frames):
        given = []
        try:
            given.extend(frames)
        except SourceError as error:
            return given, str(error)
        raise AssertionError("the frames ended without an error")

    return collect
