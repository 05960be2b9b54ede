"""What a text names is found here and shown brightly by the network on the server."""

import cv2
import numpy as np
import pytest
from streams import SECOND, ListSource

from fusion_core.config import Config
from fusion_core.pipeline import Pipeline
from fusion_core.types import Frame

SAID = "show people brightly"


def street(recordings):
    """Two frames of a street at night with a man at its right."""
    cut = slice(96, 416), slice(320, 640)
    rgb = cv2.imread(str(recordings / "msrs/vi/00036N.png"), cv2.IMREAD_COLOR_RGB)[cut]
    warm = cv2.imread(str(recordings / "msrs/ir/00036N.png"), cv2.IMREAD_GRAYSCALE)[cut]
    pictures = (("visible", rgb, "rgb8"), ("thermal", warm, "mono8"))
    frames = [
        [
            Frame(
                SECOND + place * SECOND // 10, name, np.ascontiguousarray(image), layout, "", place
            )
            for place in range(2)
        ]
        for name, image, layout in pictures
    ]
    return ListSource(*frames)


def fused(recordings, endpoint="", **settings):
    data = {
        "device": "cpu",
        "threads": 1,
        "prior": "none",
        "model": "mmaif",
        "text": SAID,
        "temporal_smoothing": 0.0,
        "thermal": {"freeze_frames": 0},
        **settings,
    }
    with Pipeline(Config.from_dict({**data, "engine": {"endpoint": endpoint}})) as one:
        return list(one.stream(street(recordings)))


@pytest.mark.data
def test_people_that_a_text_names_are_shown_alike_here_and_there(endpoint, recordings):
    here, there = fused(recordings), fused(recordings, endpoint)
    assert any(found.label == "person" for found in there[0].detections)
    # What is named comes with the first result, in time for the second frame.
    assert np.array_equal(here[1].image, there[1].image)
    unmarked = fused(recordings, endpoint, detector="none")[1].image
    assert there[1].image.astype(int).mean() > unmarked.mean() + 0.2
