"""A frozen visible stream is detected, and not given to a detector of pairs."""

from dataclasses import replace

import numpy as np
import onnx_networks as networks
import pytest
from streams import SECOND, ListSource, stream, thermal, thermal_image, visible, visible_image

from fusion_core.config import Config
from fusion_core.pipeline import Pipeline
from fusion_core.pipeline.frozen_stream import FrozenStreamDetector
from fusion_core.types import FramePair


def pairs(visibles, thermals):
    return [FramePair(v.stamp_ns, v, t, 0) for v, t in zip(visibles, thermals, strict=True)]


def frozen(count):
    """New frames, each with a copy of the first one's picture."""
    return [replace(visible(SECOND + i, i), image=visible_image(0)) for i in range(count)]


def verdicts(visibles, thermals):
    watch = FrozenStreamDetector()
    return [watch.is_frozen(pair) for pair in pairs(visibles, thermals)]


def test_from_the_third_frame_of_one_content_the_stream_is_frozen():
    frames = [*frozen(4), visible(SECOND + 4, 4), visible(SECOND + 5, 5)]
    moving = stream(thermal, 6, 1)
    assert verdicts(frames, moving) == [False, False, True, True, False, False]


def test_a_still_scene_and_a_codec_that_repeats_are_no_frozen_stream():
    still = [replace(frame, image=thermal(0).image) for frame in stream(thermal, 5, 1)]
    assert verdicts(frozen(5), still) == [False] * 5
    predicted = [replace(frame, predicted=True) for frame in frozen(5)]
    assert verdicts(predicted, stream(thermal, 5, 1)) == [False] * 5


def test_a_still_scene_with_unknown_pixels_is_no_frozen_stream():
    """NaN differs from itself; a thermal camera marks pixels that it cannot measure with it."""
    image = thermal_image(0).astype(np.float32)
    image[:20, :20] = np.nan
    still = [replace(frame, image=image.copy()) for frame in stream(thermal, 5, 1)]
    assert verdicts(frozen(5), still) == [False] * 5
    moving = [replace(f, image=np.roll(image, n, axis=1)) for n, f in enumerate(still)]
    assert verdicts(frozen(5), moving) == [False, False, True, True, True]


def test_a_slow_cameras_frame_that_is_paired_again_is_no_repetition():
    slow = visible(SECOND, 0)
    assert verdicts([slow] * 5, stream(thermal, 5, 1)) == [False] * 5


def test_a_change_in_one_pixel_is_a_change():
    frames = frozen(4)
    for index, frame in enumerate(frames):
        frame.image[1, 1, 0] = index
    assert verdicts(frames, stream(thermal, 4, 1)) == [False] * 4


def redness(fused):
    return max((found.score for found in fused.detections if found.label == "red"), default=0.0)


def test_a_detector_of_pairs_goes_without_a_frozen_stream(tmp_path):
    """Its score is the mean red of its input, 48 of whose 64 rows are the picture, the rest is 114.

    A white picture then has 0.75 + 0.25 * 114 / 255, one that is not seen 114 / 255.
    """
    names = "{0: 'red', 1: 'green', 2: 'blue', 3: 'thermal'}"
    path = networks.colour_meter(
        tmp_path / "net.onnx", channels=4, metadata={"names": names, "input": "pair"}
    )
    white = [
        replace(frame, image=np.full_like(frame.image, 255)) for frame in stream(visible, 10, 0.4)
    ]
    settings = {"device": "cpu", "threads": 1, "detector": path, "detection": {"track": False}}
    with Pipeline(Config.from_dict(settings)) as pipeline:
        results = list(pipeline.stream(ListSource(white, stream(thermal, 10, 0.4))))
    reds = [redness(fused) for fused in results]
    assert reds[:2] == pytest.approx([0.75 + 0.25 * 114 / 255] * 2, abs=0.01)
    assert max(reds[2:]) <= 114 / 255 + 0.01
    assert ["visible_frozen" in fused.health for fused in results] == [False, False, True, True]
