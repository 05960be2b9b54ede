"""From counts to luminance and temperature."""

import logging

import numpy as np
import pytest

from fusion_core.errors import EncodingError
from fusion_core.thermal import ThermalConfig, ThermalProcessor
from fusion_core.types import Frame

SECOND = 1_000_000_000
PERIOD = SECOND // 30
BARE = {"dead_pixels": False, "freeze_frames": 0, "midtone": 1.0}


def frame(image, encoding="mono16", stamp_ns=0):
    return Frame(stamp_ns, "thermal", image, encoding)


def scene(seed=0, *, height=120, width=160, level=8000, contrast=500, noise=10):
    """A smooth scene with sensor noise, in counts."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    smooth = level + contrast * (np.sin(x / 20) + np.cos(y / 15))
    return np.rint(smooth + rng.normal(0, noise, smooth.shape)).astype(np.uint16)


def feed(processor, images, encoding="mono16", start=0):
    return [
        processor.process(frame(image, encoding, start + i * PERIOD))
        for i, image in enumerate(images)
    ]


def test_convention_hot_is_bright_and_range_is_zero_to_one():
    ramp = np.tile(np.arange(1000, 2000, dtype=np.uint16), (40, 1))
    luminance = ThermalProcessor(ThermalConfig(**BARE)).process(frame(ramp)).luminance
    assert luminance.dtype == np.float32
    assert (np.diff(luminance[0]) >= 0).all()
    assert 0 == luminance.min() < 0.9 < luminance.max() <= 1


def test_convention_centikelvin_becomes_celsius():
    # 30000 counts of 0.01 K are 300 K, 26.85 degrees Celsius.
    config = ThermalConfig(unit="kelvin", scale=0.01, **BARE)
    result = ThermalProcessor(config).process(frame(np.full((8, 8), 30000, np.uint16)))
    assert result.temperature.dtype == np.float32
    np.testing.assert_allclose(result.temperature, 26.85, atol=1e-4)


def test_celsius_uses_scale_and_offset():
    config = ThermalConfig(unit="celsius", scale=0.5, offset=-20, **BARE)
    result = ThermalProcessor(config).process(frame(np.full((8, 8), 100, np.uint8), "mono8"))
    np.testing.assert_allclose(result.temperature, 30.0)


def test_eight_bit_passes_unchanged():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    result = ThermalProcessor(ThermalConfig(**BARE)).process(frame(image, "mono8"))
    np.testing.assert_allclose(result.luminance, image / 255, atol=1e-7)
    assert result.temperature is None
    assert result.health == ()


def test_gain_control_off_scales_by_the_full_range():
    config = ThermalConfig(agc="off", **BARE)
    counts = np.array([[0, 32768, 65535]], np.uint16)
    result = ThermalProcessor(config).process(frame(counts, "16UC1"))
    np.testing.assert_allclose(result.luminance, [[0, 32768 / 65535, 1]], atol=1e-6)
    wild = np.array([[-1, 0.25, 7, np.nan, np.inf]], np.float32)
    result = ThermalProcessor(config).process(frame(wild, "32FC1"))
    np.testing.assert_allclose(result.luminance, [[0, 0.25, 1, 0, 1]])


def test_mono16_and_16uc1_mean_the_same():
    first, second = (
        ThermalProcessor(ThermalConfig()).process(frame(scene(), encoding))
        for encoding in ("mono16", "16UC1")
    )
    np.testing.assert_array_equal(first.luminance, second.luminance)


@pytest.mark.parametrize("agc", ["percentile", "plateau", "off"])
def test_float_frames_with_holes_stay_finite(agc):
    image = scene().astype(np.float32) / 100
    image[10:20, 10:20] = np.nan
    image[0, 0], image[0, 1] = np.inf, -np.inf
    config = ThermalConfig(agc=agc, unit="celsius", scale=1)
    result = ThermalProcessor(config).process(frame(image, "32FC1"))
    assert np.isfinite(result.luminance).all()
    assert (result.luminance >= 0).all()
    assert (result.luminance <= 1).all()
    assert not result.luminance[10:20, 10:20].any()
    assert result.luminance[0, 0] == 1
    assert result.luminance[0, 1] == 0
    assert np.isnan(result.temperature[15, 15])


def test_a_frame_of_nothing_but_holes_is_black():
    processor = ThermalProcessor(ThermalConfig())
    result = processor.process(frame(np.full((8, 8), np.nan, np.float32), "32FC1"))
    assert not result.luminance.any()


def test_the_percentiles_bound_the_linear_part():
    # Counts 0 .. 9999 once each: percentiles 1 and 99.5 are 100 and 9949, so half of the span,
    # 5024, maps to 0.5, and 90 % of it, 8964, to the knee at 0.9.
    counts = np.arange(10_000, dtype=np.uint16).reshape(100, 100)
    luminance = ThermalProcessor(ThermalConfig(**BARE)).process(frame(counts)).luminance.ravel()
    np.testing.assert_allclose(luminance[[50, 100, 5024, 8964]], [0, 0, 0.5, 0.9], atol=1e-3)


def test_hot_objects_are_rolled_off_and_not_clipped():
    image = scene()
    image[50:53, 50:53], image[80:83, 80:83] = 12_000, 15_000
    luminance = ThermalProcessor(ThermalConfig(**BARE)).process(frame(image)).luminance
    background = np.delete(luminance.ravel(), np.flatnonzero(image.ravel() >= 12_000)).max()
    assert background < luminance[51, 51] < luminance[81, 81] < 1


def pumping(smoothing_s):
    """Brightness of an unchanging corner while a hot object covers a tenth of the picture."""
    processor = ThermalProcessor(ThermalConfig(smoothing_s=smoothing_s, **BARE))
    plain = [scene(i) for i in range(180)]
    for image in plain[30:90]:
        image[60:, :32] = 14_000
    return np.array([r.luminance[:40, 80:].mean() for r in feed(processor, plain)])


def test_a_hot_object_does_not_pump_the_picture():
    steady, instant = pumping(1.0), pumping(0.0)
    # At once the picture darkens to a third or less; smoothed, it takes 30 frames for 1 - 1/e of
    # the way, in equal ratios: no frame may change by more than ratio ** (1 - exp(-1/30)).
    ratio = instant[29] / instant[31:89].mean()
    assert ratio > 3
    assert (steady[:-1] / steady[1:]).max() < ratio ** (1 - np.exp(-1 / 30)) + 0.005
    assert steady[89] < 1.5 * instant[89]  # after two seconds most of the way is done
    # Inwards the limits move three times slower than outwards.
    recovered = (steady[119] - steady[89]) / (steady[29] - steady[89])
    assert recovered < 0.5


def test_smoothing_follows_stamps_and_not_frame_counts():
    def after_one_second(step):
        processor = ThermalProcessor(ThermalConfig(**BARE))
        processor.process(frame(scene(level=8000)))
        for stamp in range(step, SECOND + 1, step):
            result = processor.process(frame(scene(stamp, level=9000), stamp_ns=stamp))
        return result.luminance.mean()

    slow, fast = after_one_second(SECOND // 5), after_one_second(SECOND // 25)
    assert slow == pytest.approx(fast, abs=0.02)


def test_a_long_pause_starts_a_new_scene():
    fresh = ThermalProcessor(ThermalConfig(**BARE)).process(frame(scene(level=12_000)))
    for stamp in (6 * SECOND, -6 * SECOND):
        processor = ThermalProcessor(ThermalConfig(**BARE))
        processor.process(frame(scene(level=8000)))
        result = processor.process(frame(scene(level=12_000), stamp_ns=stamp))
        np.testing.assert_array_equal(result.luminance, fresh.luminance)


@pytest.mark.parametrize(
    ("config", "image", "encoding", "limit"),
    [
        # Noise of 2 counts against a least span of 64 counts: 1/32 of the range.
        (ThermalConfig(), scene(contrast=0, noise=2), "mono16", 2 / 64),
        # 0.02 K of noise against 2 K.
        (ThermalConfig(unit="kelvin"), scene(level=30_000, contrast=0, noise=2), "mono16", 0.01),
        (ThermalConfig(agc="percentile"), np.full((40, 40), 9, np.uint8), "mono8", 0.0),
        (ThermalConfig(), np.full((40, 40), 300.0, np.float32), "32FC1", 0.0),
        (ThermalConfig(), np.zeros((40, 40), np.float32), "32FC1", 0.0),
    ],
)
def test_a_flat_scene_stays_flat(config, image, encoding, limit):
    result = ThermalProcessor(config).process(frame(image, encoding))
    assert result.luminance.std() <= limit * 1.1 + 1e-6
    assert 0.3 < result.luminance.mean() < 0.7


def test_plateau_equalisation_shows_the_crowded_part():
    # 90 % of the pixels lie within 1 % of the range: linear gain gives them next to nothing.
    rng = np.random.default_rng(2)
    image = rng.integers(8000, 8100, (120, 160)).astype(np.uint16)
    image[:12] = rng.integers(8000, 18_000, (12, 160))
    spread = {}
    for agc in ("percentile", "plateau"):
        config = ThermalConfig(agc=agc, **BARE)
        spread[agc] = ThermalProcessor(config).process(frame(image)).luminance[20:].std()
    assert spread["plateau"] > 2 * spread["percentile"]


def test_plateau_equalisation_keeps_the_order_of_counts():
    image = scene(contrast=2000)
    config = ThermalConfig(agc="plateau", **BARE)
    luminance = ThermalProcessor(config).process(frame(image)).luminance
    ordered = luminance.ravel()[np.argsort(image.ravel(), kind="stable")]
    assert (np.diff(ordered) >= 0).all()


def test_colour_mapped_frames_say_so_and_warn_once(caplog):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 40, 40, 3), dtype=np.uint8)
    config = ThermalConfig(unit="celsius")
    with caplog.at_level(logging.WARNING):
        results = feed(ThermalProcessor(config), images, "rgb8")
    assert all(r.health == ("thermal_colour_mapped",) for r in results)
    assert all(r.temperature is None for r in results)
    assert len(caplog.records) == 1
    # Luma of ITU-R BT.601.
    expected = images[0] @ np.array([0.299, 0.587, 0.114]) / 255
    np.testing.assert_allclose(results[0].luminance, expected, atol=0.5 / 255 + 1e-4)


def test_gray_in_three_channels_is_not_colour_mapped():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    result = ThermalProcessor(ThermalConfig(**BARE)).process(
        frame(np.stack([image] * 3, axis=2), "rgb8")
    )
    assert result.health == ()
    np.testing.assert_allclose(result.luminance, image / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("image", "encoding", "words"),
    [
        (np.zeros((4, 4), np.uint16), "bayer_rggb8", ["'bayer_rggb8'", "mono16"]),
        (np.zeros((4, 4), np.uint8), "mono16", ["uint16", "uint8"]),
        (np.zeros((4, 4), np.float64), "32FC1", ["float32", "float64"]),
        (np.zeros((4, 4, 1), np.uint16), "mono16", ["4x4x1"]),
        (np.zeros((4, 4, 4), np.uint8), "rgb8", ["4x4x4"]),
        (np.zeros((0, 4), np.uint16), "mono16", ["0x4"]),
    ],
)
def test_a_wrong_layout_is_refused(image, encoding, words):
    with pytest.raises(EncodingError) as error:
        ThermalProcessor(ThermalConfig()).process(frame(image, encoding))
    for word in words:
        assert word in str(error.value)


def test_a_new_resolution_or_encoding_starts_afresh():
    processor = ThermalProcessor(ThermalConfig(destripe=True))
    feed(processor, [scene(i) for i in range(40)])
    small = scene(1, height=60, width=80, level=20_000)
    after = processor.process(frame(small, stamp_ns=41 * PERIOD))
    fresh = ThermalProcessor(ThermalConfig(destripe=True)).process(frame(small))
    np.testing.assert_array_equal(after.luminance, fresh.luminance)
    result = processor.process(frame(small.astype(np.float32), "32FC1", 42 * PERIOD))
    assert result.luminance.shape == (60, 80)


def test_the_given_frame_is_not_changed():
    image = scene()
    image[5, 5] = 0
    image.setflags(write=False)
    processor = ThermalProcessor(ThermalConfig(destripe=True, unit="celsius"))
    feed(processor, [image] * 50)


def test_a_frame_given_again_counts_once():
    processor = ThermalProcessor(ThermalConfig(freeze_frames=2))
    again = frame(scene())
    results = [processor.process(again) for _ in range(5)]
    assert all(r is results[0] for r in results)
    assert results[0].health == ()


def ground_and_sky(ground, sky=2000, rows=90):
    """A warm ground with some structure below a cold sky, and a hot person."""
    image = np.full((120, 160), sky, np.uint16)
    image[-rows:] = ground + np.arange(160, dtype=np.uint16)
    image[80:100, 70:80] = ground + 900
    return image


def test_a_hot_ground_under_a_cold_sky_is_not_shown_white():
    image = ground_and_sky(8000)
    config = {**BARE, "smoothing_s": 0.0}
    plain = ThermalProcessor(ThermalConfig(**config)).process(frame(image)).luminance
    darker = ThermalProcessor(ThermalConfig(**{**config, "midtone": 0.4})).process(frame(image))
    assert np.median(plain) > 0.8
    # power 3 at most: 0.85 ** 3 = 0.61 where 0.4 would need more
    assert np.median(darker.luminance) == pytest.approx(max(0.4, np.median(plain) ** 3), abs=0.01)
    person, ground = darker.luminance[90, 75], darker.luminance[90, 60]
    assert person - ground > plain[90, 75] - plain[90, 60]


def test_the_midtone_keeps_the_order_of_counts_and_leaves_dark_scenes_alone():
    ramp = np.tile(np.arange(1000, 2000, dtype=np.uint16), (40, 1))
    bent = ThermalProcessor(ThermalConfig(**{**BARE, "midtone": 0.3})).process(frame(ramp))
    assert (np.diff(bent.luminance[0]) >= 0).all()
    dark = np.full((120, 160), 3000, np.uint16)
    dark[60:70, 60:70] = 9000
    shown = [
        ThermalProcessor(ThermalConfig(**{**BARE, "midtone": m})).process(frame(dark)).luminance
        for m in (0.4, 1.0)
    ]
    np.testing.assert_array_equal(*shown)


def test_the_midtone_follows_slowly():
    """The sky leaves the picture: the first frame moves by 1 - exp(-1/90) of the way at most."""
    config = ThermalConfig(**{**BARE, "midtone": 0.4, "smoothing_s": 1.0})
    images = [ground_and_sky(8000, rows=20)] * 5 + [ground_and_sky(8000)] * 2
    luminance = [result.luminance[115, 20] for result in feed(ThermalProcessor(config), images)]
    assert abs(luminance[5] - luminance[4]) < 0.02


@pytest.mark.parametrize("agc", ["percentile", "plateau"])
def test_sixteen_bit_and_float_counts_give_the_same_luminance(agc):
    image = ground_and_sky(8000)
    config = ThermalConfig(**{**BARE, "midtone": 0.4, "agc": agc})
    whole, real = (
        ThermalProcessor(config).process(frame(counts, encoding)).luminance
        for counts, encoding in ((image, "mono16"), (image.astype(np.float32), "32FC1"))
    )
    np.testing.assert_allclose(whole, real, atol=1e-6)


def test_flat_8_bit_stream_is_stretched_slowly_once_it_is_reported_flat():
    """Counts 100..120 fill 8 % of the range; after some time constants they fill most of it."""
    processor = ThermalProcessor(ThermalConfig(freeze_frames=0, dead_pixels=False))
    rng = np.random.default_rng(0)

    def at(seconds):
        image = rng.integers(100, 121, (60, 80), dtype=np.uint8)
        frame = Frame(int(seconds * 1e9), "thermal", image, "mono8")
        return image, processor.process(frame).luminance

    image, before = at(0.0)
    assert np.array_equal(before, image * np.float32(1 / 255))
    processor.stretch()
    spans = [float(np.ptp(at(0.1 * step)[1])) for step in range(1, 200)]
    assert spans[0] < 1.3 * np.ptp(before)
    assert spans[-1] > 0.6
    assert max(np.diff(spans)) < 0.05


def test_8_bit_stream_that_fills_the_range_is_never_stretched():
    processor = ThermalProcessor(ThermalConfig(freeze_frames=0, dead_pixels=False))
    image = np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)
    for seconds in (0, 1, 2):
        shown = processor.process(Frame(seconds * 10**9, "thermal", image, "mono8")).luminance
        assert np.array_equal(shown, image * np.float32(1 / 255))
        processor.stretch()


@pytest.mark.parametrize("agc", ["auto", "percentile", "plateau", "off"])
@pytest.mark.parametrize("destripe", [False, True])
@pytest.mark.parametrize(
    ("encoding", "dtype", "extremes"),
    [
        ("mono16", np.uint16, (0, 65535)),
        ("mono16", np.uint16, (65535,)),
        ("mono8", np.uint8, (0, 255)),
        ("32FC1", np.float32, (-3e38, 3e38, np.inf, np.nan)),
    ],
)
def test_single_pixels_at_the_ends_of_the_range(agc, destripe, encoding, dtype, extremes):
    image = np.full((48, 64), 100, dtype)
    image[::2] += dtype(50)
    for place, value in enumerate(extremes):
        image[5 + 9 * place, 7] = value
    processor = ThermalProcessor(ThermalConfig(agc=agc, destripe=destripe, unit="kelvin"))
    for number in range(6):
        image = np.roll(image, 1, axis=1)
        luminance = processor.process(frame(image, encoding, number * PERIOD)).luminance
        assert np.isfinite(luminance).all()
        assert 0 <= luminance.min() <= luminance.max() <= 1
