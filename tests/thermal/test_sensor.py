"""Faults of the sensor: dead pixels, stripes, and the closed shutter."""

import numpy as np
import pytest
from scipy import ndimage

from fusion_core.thermal import ThermalConfig, ThermalProcessor
from fusion_core.types import Frame

PERIOD = 1_000_000_000 // 30


def scene(seed, *, level=8000, contrast=500, noise=10, shift=0):
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(160) + shift, np.arange(120))
    smooth = level + contrast * (np.sin(x / 20) + np.cos(y / 15))
    return np.rint(smooth + rng.normal(0, noise, smooth.shape)).astype(np.uint16)


def feed(config, images):
    processor = ThermalProcessor(config)
    return [
        processor.process(
            Frame(i * PERIOD, "thermal", image, "mono8" if image.dtype == np.uint8 else "mono16")
        )
        for i, image in enumerate(images)
    ]


CELSIUS = {"unit": "celsius", "scale": 1.0}  # temperature then equals the counts


def test_dead_and_stuck_pixels_are_filled_by_their_neighbours():
    # Inside, at the border and in the corner; two side by side.
    faults = {(60, 80): 0, (30, 40): 16_000, (0, 100): 0, (119, 159): 16_000, (60, 81): 0}
    images = [scene(i) for i in range(60)]
    for image in images:
        for place, value in faults.items():
            image[place] = value
    clean = scene(59, noise=0)
    last = feed(ThermalConfig(**CELSIUS), images)[-1]
    for place in faults:
        # The median of eight noisy neighbours of a slope of at most 40 counts per pixel.
        assert abs(last.temperature[place] - clean[place]) < 60
    untouched = np.ones((120, 160), bool)
    for place in faults:
        untouched[place] = False
    np.testing.assert_array_equal(last.temperature[untouched], images[-1][untouched])


def test_faults_are_left_alone_when_switched_off():
    images = [scene(i) for i in range(60)]
    for image in images:
        image[60, 80] = 0
    last = feed(ThermalConfig(dead_pixels=False, **CELSIUS), images)[-1]
    assert last.temperature[60, 80] == 0


def test_a_distant_person_who_stands_still_is_not_a_fault():
    # A point source behind a lens: a blur of 0.7 pixels leaves neighbours at a third of its peak.
    point = np.zeros((120, 160))
    point[60, 80] = 20_000
    blurred = ndimage.gaussian_filter(point, 0.7)
    images = [(scene(i) + blurred).astype(np.uint16) for i in range(60)]
    last = feed(ThermalConfig(**CELSIUS), images)[-1]
    np.testing.assert_array_equal(last.temperature, images[-1])


def test_an_object_that_moves_on_is_not_a_fault():
    images = [scene(i) for i in range(60)]
    for i, image in enumerate(images):
        image[60, 20 + i] = 16_000
    results = feed(ThermalConfig(**CELSIUS), images)
    assert all(r.temperature[60, 20 + i] == 16_000 for i, r in enumerate(results))


def test_a_pixel_that_recovers_is_released():
    images = [scene(i) for i in range(160)]
    for image in images[:60]:
        image[60, 80] = 0
    last = feed(ThermalConfig(**CELSIUS), images)[-1]
    assert last.temperature[60, 80] == images[-1][60, 80]


def test_plain_noise_has_no_faults():
    images = [scene(i, contrast=0, noise=40) for i in range(60)]
    last = feed(ThermalConfig(**CELSIUS), images)[-1]
    np.testing.assert_array_equal(last.temperature, images[-1])


def column_noise(luminance):
    """Standard deviation over columns of the mean difference to the columns beside."""
    return np.diff(luminance.mean(axis=0), n=2).std()


def test_column_stripes_are_removed_and_the_picture_is_kept():
    stripes = np.random.default_rng(1).normal(0, 15, 160)
    clean = [scene(i, shift=i) for i in range(90)]
    striped = [np.rint(image + stripes).astype(np.uint16) for image in clean]
    settings = {"smoothing_s": 0.0, "dead_pixels": False}
    off = feed(ThermalConfig(**settings), striped)[-1].luminance
    on = feed(ThermalConfig(destripe=True, **settings), striped)[-1].luminance
    true = feed(ThermalConfig(**settings), clean)[-1].luminance
    assert column_noise(on) < 0.25 * column_noise(off)
    assert np.abs(on - true).mean() < 0.6 * np.abs(off - true).mean()


def test_an_upright_edge_is_not_taken_for_a_stripe():
    images = [scene(i, contrast=0) for i in range(60)]
    for image in images:
        image[:, 80:] += 2000
    settings = {"smoothing_s": 0.0, "dead_pixels": False}
    on = feed(ThermalConfig(destripe=True, **settings), images)[-1].luminance
    off = feed(ThermalConfig(**settings), images)[-1].luminance
    step = [p[:, 81:90].mean() - p[:, 70:79].mean() for p in (on, off)]
    assert step[0] == pytest.approx(step[1], rel=0.1)


def frozen(results):
    return ["thermal_frozen" in r.health for r in results]


@pytest.mark.parametrize("limit", [2, 3, 5])
def test_identical_frames_mean_a_closed_shutter(limit):
    images = [scene(0), *[scene(1).copy() for _ in range(6)], scene(2)]
    marks = frozen(feed(ThermalConfig(freeze_frames=limit), images))
    # The run of six starts at index 1; its frame number `limit` is the first to be marked.
    assert marks == [limit <= i <= 6 for i in range(8)]


def test_a_still_scene_in_a_predicting_codec_is_not_frozen():
    processor = ThermalProcessor(ThermalConfig())
    still = scene(0)
    frames = [Frame(i * PERIOD, "thermal", still, "mono16", predicted=True) for i in range(10)]
    assert not any(frozen([processor.process(frame) for frame in frames]))


def test_frames_that_differ_in_one_pixel_are_not_frozen():
    images = [scene(0) for _ in range(8)]
    for i, image in enumerate(images):
        image[61, 83] += i  # off the grid of the cheap comparison
    assert not any(frozen(feed(ThermalConfig(), images)))


def test_freeze_recognition_can_be_switched_off():
    assert not any(frozen(feed(ThermalConfig(freeze_frames=0), [scene(0)] * 8)))


def test_a_uniform_shutter_frame_keeps_the_limits():
    shutter = [scene(90 + i, level=9500, contrast=0, noise=3) for i in range(20)]
    before, after = [scene(i) for i in range(30)], [scene(40 + i) for i in range(10)]
    config = ThermalConfig(smoothing_s=0.2)
    results = feed(config, [*before, *shutter, *after])
    assert frozen(results) == [30 <= i < 50 for i in range(60)]
    # Without the shutter in between, the picture would look the same.
    alone = feed(config, [*before, *after])
    np.testing.assert_allclose(results[50].luminance, alone[30].luminance, atol=0.02)


def test_a_plain_wall_is_no_shutter_for_long():
    wall = [scene(i, level=9500, contrast=0, noise=3) for i in range(150)]
    marks = frozen(feed(ThermalConfig(), [*[scene(i) for i in range(30)], *wall]))
    assert marks[30]
    assert not any(marks[30 + 3 * 30 + 2 :])  # three seconds at 30 Hz


def test_smoke_that_takes_the_contrast_is_no_shutter():
    smoke = [scene(50 + i, contrast=0, noise=3) for i in range(30)]
    assert not any(frozen(feed(ThermalConfig(), [*[scene(i) for i in range(30)], *smoke])))


def test_a_turn_to_another_scene_is_no_shutter():
    images = [scene(i) for i in range(30)] + [scene(i, level=12_000) for i in range(30)]
    assert not any(frozen(feed(ThermalConfig(), images)))


def test_a_shutter_at_the_start_gives_a_picture():
    first = feed(ThermalConfig(), [scene(0, contrast=0, noise=0)] * 4)[-1]
    assert "thermal_frozen" in first.health
    assert np.isfinite(first.luminance).all()


UNKNOWN = {
    "percentile": {},
    "plateau": {"agc": "plateau"},
    "off": {"agc": "off"},
    "celsius": {"unit": "celsius", "scale": 1.0},
    "destripe": {"destripe": True},
    "no dead pixels": {"dead_pixels": False},
}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("case", UNKNOWN)
def test_pixels_without_a_value_affect_no_other_pixel(case, value):
    """The same stream with and without them differs there only, also when they are gone again.

    A dead pixel beside them is found and filled as without them.
    """
    settings = UNKNOWN[case]
    scale = np.float32(1 / 16_000 if case == "off" else 1)
    clean = [scene(i).astype(np.float32) * scale for i in range(40)]
    for image in clean:
        image[60, 80] = 0
    holed = [image.copy() for image in clean]
    hole = np.zeros(clean[0].shape, bool)
    hole[20:24, 30:33] = hole[0, 0] = hole[100, 100] = True
    for image in holed[:36]:
        image[hole] = value
    results = [
        [processor.process(Frame(i * PERIOD, "thermal", image, "32FC1")) for i, image in entries]
        for processor, entries in (
            (ThermalProcessor(ThermalConfig(**settings)), list(enumerate(images)))
            for images in (clean, holed)
        )
    ]
    for number, (expected, result) in enumerate(zip(*results, strict=True)):
        seen = ~hole if number < 36 else np.ones_like(hole)
        np.testing.assert_allclose(result.luminance[seen], expected.luminance[seen], atol=0.02)
        if result.temperature is not None:
            np.testing.assert_array_equal(result.temperature[seen], expected.temperature[seen])
            assert number >= 36 or np.isnan(result.temperature[hole]).all()
    assert (results[1][0].luminance[hole] == (1 if value == np.inf else 0)).all()
