"""What is shown, pinned by pixels whose right colour is known."""

import math
from dataclasses import replace

import cv2
import numpy as np

from fusion_core.sink.viewers.content import ViewerContent, jpeg, picture


def test_pictures_keep_red_on_the_left(make_fused):
    # OpenCV decodes to BGR, whatever encoded.
    decoded = cv2.imdecode(np.frombuffer(jpeg(picture(make_fused(), "fused")), np.uint8), 1)
    blue, green, red = decoded[24, 8]
    assert red > 200
    assert max(int(blue), int(green)) < 60
    blue, green, red = decoded[24, 56]
    assert blue > 200
    assert max(int(red), int(green)) < 60


def test_thermal_spans_the_gray_levels(make_fused):
    fused = make_fused()
    registered = picture(fused, "thermal")
    assert (registered[0, 0], registered[0, -1]) == (0, 255)
    # The camera's own counts go from 20000 to 23000.
    source = picture(fused, "thermal_source")
    assert source.dtype == np.uint8
    assert source[0, 0] == 0
    assert source[0, -1] == 255
    assert 120 < source[0, 32] < 136


def test_a_missing_side_is_black(make_fused):
    fused = make_fused()

    gone = replace(
        fused,
        aligned=replace(fused.aligned, thermal=None),
        pair=replace(fused.pair, thermal=None),
    )
    for name in ("thermal", "thermal_source"):
        assert picture(gone, name).shape == (48, 64)
        assert not picture(gone, name).any()


def test_temperatures_with_holes_are_shown(make_fused):

    fused = make_fused()
    celsius = np.full((48, 64), 20.0, np.float32)
    celsius[:, 32:] = 30.0
    celsius[0, 0] = math.nan
    frame = replace(fused.pair.thermal, image=celsius, encoding="32FC1")
    shown = picture(replace(fused, pair=replace(fused.pair, thermal=frame)), "thermal_source")
    assert (shown[0, 0], shown[5, 5], shown[5, 40]) == (0, 0, 255)


def test_plots_leave_out_what_is_no_number(make_fused):

    fused = make_fused(2)
    content = ViewerContent.of(
        replace(
            fused,
            aligned=replace(fused.aligned, residual_px=None),
            timings={"total": 5.0, "network": math.nan},
        )
    )
    assert content.plots["latency_ms"] == {"total": 5.0}
    assert content.plots["registration"] == {"confidence": 0.625, "skew_ms": 2.0}
    assert content.plots["drops"] == {"no_partner": 2.0}
    assert content.plots["prior_visible"] == {"clean": 0.25, "smoke": 0.75}
