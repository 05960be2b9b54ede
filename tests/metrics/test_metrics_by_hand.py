"""Metrics on images simple enough to compute the value with pencil and paper."""

import math

import cv2
import numpy as np
import pytest

from fusion_core.errors import EncodingError, UsageError
from fusion_lab.metrics import HEADLINE, METRICS, compute_all, select_metrics, to_gray

CHECKERBOARD = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
CONSTANT = np.full((64, 64), 90, np.uint8)


def value(name, fused, thermal=None, visible=None):
    thermal = fused if thermal is None else thermal
    visible = fused if visible is None else visible
    return compute_all(fused, (thermal, visible), [name])[name]


def texture(seed, shape=(64, 64), low=0, high=255):
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return np.round(low + (high - low) * smooth).astype(np.uint8)


def ramp(step, shape=(10, 12)):
    return np.tile((np.arange(shape[1]) * step).astype(np.uint8), (shape[0], 1))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("EN", 1.0),  # two values, half of the pixels each
        ("SD", 127.5),
        ("SF", 255.0 * math.sqrt(2.0)),  # every step is 255, along both axes
        ("SD_u8", math.sqrt(0.5 * 255.0)),  # upper half: 128^2 ends at 255; lower half: 0
    ],
)
def test_checkerboard(name, expected):
    assert value(name, CHECKERBOARD) == pytest.approx(expected, rel=1e-12)


def test_saturating_spatial_frequency_counts_rising_steps_up_to_255():
    # 9 columns have 4 rising steps of 8, each square ends at 255: mean 127.5 along each axis.
    board = CHECKERBOARD[:9, :9]
    assert value("SF_u8", board) == pytest.approx(math.sqrt(2 * 127.5))
    assert value("SF_u8_vertical", board) == pytest.approx(math.sqrt(127.5))
    assert value("SF_u8", ramp(3)) == pytest.approx(3.0)
    assert value("SF_u8", np.ascontiguousarray(ramp(3)[:, ::-1])) == 0.0


@pytest.mark.parametrize("name", ["EN", "SD", "SF", "AG", "EI", "SD_u8", "SF_u8", "MI"])
def test_constant_image_carries_nothing(name):
    assert value(name, CONSTANT) == 0.0


def test_gradients_of_a_ramp():
    # Slope 2 along x alone: sqrt((2^2 + 0) / 2); Sobel gives 8 x 2, half of it at both borders.
    assert value("AG", ramp(2)) == pytest.approx(math.sqrt(2.0))
    assert value("EI", ramp(2)) == pytest.approx((10 * 16 + 2 * 8) / 12)
    assert value("SF", ramp(2)) == pytest.approx(2.0)


def test_identical_images():
    image = texture(1, (192, 200))
    scores = compute_all(image, (image, image))
    entropy_nats = scores["EN"] * math.log(2.0)
    assert scores["MI"] == pytest.approx(2.0 * entropy_nats)
    assert scores["MI_bits"] == pytest.approx(2.0 * scores["EN"])
    assert scores["NMI"] == pytest.approx(2.0)
    assert scores["VIF"] == pytest.approx(2.0, abs=1e-6)
    for name in ("SSIM", "SSIM_r2"):
        assert scores[name] == pytest.approx(2.0)
    for name in ("MS_SSIM", "Qcb"):
        assert scores[name] == pytest.approx(1.0)
    for name in ("NABF", "CE", "MSE", "Qcv", "RMSE_vifb"):
        assert scores[name] == pytest.approx(0.0, abs=1e-12)
    assert math.isnan(scores["SCD"])
    assert scores["PSNR"] == math.inf
    # .9994 x .9879 / (1 + e^-4.4) is the ceiling of the two sigmoids at perfect agreement.
    assert 0.97 < scores["Qabf"] <= 0.9994 * 0.9879 / (1 + math.exp(-4.4))


def test_scd_is_two_for_the_plain_sum_of_the_sources():
    a, b = texture(1, high=120), texture(2, high=120)
    assert value("SCD", a + b, a, b) == pytest.approx(2.0)


def test_cross_entropy_of_two_bins():
    source = np.array([[0, 0], [1, 1]], np.uint8)
    fused = np.array([[0, 1], [1, 1]], np.uint8)
    # .5 log2(.5 / .25) + .5 log2(.5 / .75), the same for both sources
    expected = 0.5 * math.log2(2.0) + 0.5 * math.log2(2.0 / 3.0)
    assert value("CE", fused, source, source) == pytest.approx(expected)


def test_stretched_mutual_information_merges_and_splits_no_bins_of_full_range_images():
    a, b, f = texture(1), texture(2), texture(3)
    assert value("MI_stretched", f, a, b) == pytest.approx(value("MI", f, a, b))
    assert value("MI_stretched", f // 2, a, b) <= value("MI", f, a, b)


def test_nonlinear_correlation_between_its_ends():
    # Correlation matrix of ones: eigenvalues 3, 0, 0. Identity: 1, 1, 1.
    even = np.arange(4096, dtype=np.uint16).astype(np.uint8).reshape(64, 64)
    assert value("NCIE", even) == pytest.approx(1.0)
    assert value("NCIE", CONSTANT) == pytest.approx(1.0 - math.log(3.0) / math.log(256.0))


def test_psnr_conventions():
    a = texture(3, high=200)
    fused = (a + 10).astype(np.uint8)
    mse = 0.5 * 100.0
    rmse = 0.5 * math.sqrt(100.0 * a.size) / a.size
    peak = float(fused.max())
    expected = {
        "MSE": mse / 255.0**2,
        "PSNR": 10 * math.log10(255.0**2 / mse),
        "PSNR_255_on_unit": 10 * math.log10(255.0**2 / mse) + 20 * math.log10(255.0),
        "RMSE_vifb": rmse,
        "PSNR_vifb": 10 * math.log10(255.0**2 / rmse),
        "PSNR_peak_fused": 10 * math.log10(peak**2 / mse),
    }
    assert compute_all(fused, (a, fused), expected) == pytest.approx(expected)


def test_artefacts_of_an_edge_that_no_source_has():
    flat = np.full((32, 40), 50, np.uint8)
    fused = flat.copy()
    fused[:, 20:] = 200
    # The two columns beside the step are artefacts with all weights .001, strength ratio 0 and
    # orientation similarity 0, so NABF = 2 (1 - Q) / width.
    quality = math.sqrt(0.9999 / (1 + math.exp(9.5)) * 0.9995 / (1 + math.exp(11.0)))
    assert value("NABF", fused, flat, flat) == pytest.approx(2 * (1 - quality) / 40)


def test_luminance_alone_in_multi_scale_and_exposure_ssim():
    a, b = np.full((200, 200), 100, np.uint8), np.full((200, 200), 150, np.uint8)
    c1 = (0.01 * 255) ** 2
    luminance = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    # Structure is 1 on flat images, and luminance enters at the fifth scale only.
    assert value("MS_SSIM", a, a, b) == pytest.approx(0.5 * (1 + luminance**0.1333))
    # Local and global mean are the same here: the weight is their Gaussian squared.
    wa, wb = (math.exp(-2 * (m / 255 - 0.5) ** 2 / 0.08) for m in (100, 150))
    target = (wa * 100 + wb * 150) / (wa + wb)
    expected = (2 * 100 * target + c1) / (100**2 + target**2 + c1)
    assert value("MEF_SSIM", a, a, b) == pytest.approx(expected)


def test_exposure_ssim_follows_the_source_of_more_contrast():
    a, b = texture(5, low=60, high=200), np.full((64, 64), 130, np.uint8)
    assert value("MEF_SSIM", a, a, b) > 0.97
    assert value("MEF_SSIM", b, a, b) < 0.3


def test_convention_gray_weights_follow_rgb_order():
    red, green, blue = (
        np.broadcast_to(np.array(colour, np.uint8), (4, 4, 3))
        for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))
    )
    # .299, .587 and .114 of 255, rounded
    assert [int(to_gray(np.ascontiguousarray(c))[0, 0]) for c in (red, green, blue)] == [
        76,
        150,
        29,
    ]


def test_convention_visual_information_takes_the_source_as_reference():
    # Sheikh and Bovik 2006: more contrast than the reference gives more than 1 per source.
    source = texture(4, low=90, high=150)
    stronger = (127.5 + 1.6 * (source - 120.0)).round().astype(np.uint8)
    assert value("VIF", stronger, source, source) > 2.1
    assert value("VIF", source, stronger, stronger) < 1.9


@pytest.mark.parametrize(
    ("name", "damage"),
    [("VIF", 0.8), ("Qabf", 0.8), ("SSIM", 0.8), ("MS_SSIM", 0.95), ("SCD", 0.99), ("Qcb", 0.9)],
)
def test_noise_lowers_fidelity(name, damage):
    a, b = texture(6, (192, 192), high=200), texture(7, (192, 192), high=200)
    mean = ((a.astype(int) + b) // 2).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 25, a.shape)
    noisy = np.clip(mean + noise, 0, 255).astype(np.uint8)
    assert value(name, noisy, a, b) < damage * value(name, mean, a, b)


def test_noise_raises_artefacts_and_visible_error():
    a, b = texture(6, high=200), texture(7, high=200)
    mean = ((a.astype(int) + b) // 2).astype(np.uint8)
    noisy = np.clip(mean + np.random.default_rng(0).normal(0, 25, a.shape), 0, 255)
    noisy = noisy.astype(np.uint8)
    assert value("NABF", noisy, a, b) > 10 * value("NABF", mean, a, b)
    assert value("Qcv", noisy, a, b) > value("Qcv", mean, a, b)


def test_saturating_visual_information_cuts_products_at_255():
    # Values up to 15 have products up to 225: nothing is cut.
    dark = [texture(seed, high=15) for seed in (6, 7, 8)]
    assert value("VIF_u8", *dark) == pytest.approx(value("VIF", *dark))
    # Values from 16 have products of 255 only: the first scale sees no variance, the others do.
    bright = [texture(seed, low=16) for seed in (6, 7, 8)]
    assert value("VIF_u8", *bright) != pytest.approx(value("VIF", *bright), rel=0.05)


@pytest.mark.parametrize("shape", [(2, 2), (9, 9), (47, 60), (180, 177)])
@pytest.mark.parametrize("kind", ["constant", "black", "random"])
def test_any_size_and_content_gives_numbers_without_warnings(shape, kind):
    rng = np.random.default_rng(0)
    images = {
        "constant": [np.full(shape, v, np.uint8) for v in (90, 90, 20)],
        "black": [np.zeros(shape, np.uint8)] * 3,
        "random": [rng.integers(0, 256, shape).astype(np.uint8) for _ in range(3)],
    }[kind]
    scores = compute_all(images[0], tuple(images[1:]), target=images[1])
    assert list(scores) == list(METRICS)
    assert all(isinstance(v, float) for v in scores.values())
    if kind == "random" and min(shape) >= 176:
        assert all(math.isfinite(v) for v in scores.values())


def test_images_of_another_kind_are_refused():
    with pytest.raises(EncodingError, match="first source is 64x32, the fused image 64x64"):
        compute_all(CONSTANT, (CONSTANT[:32], CONSTANT))
    with pytest.raises(EncodingError, match="float64"):
        compute_all(CONSTANT / 255.0, (CONSTANT, CONSTANT))
    with pytest.raises(EncodingError, match="8-bit"):
        to_gray(CONSTANT.astype(np.uint16))
    with pytest.raises(EncodingError, match=r"\(64, 64, 2\)"):
        to_gray(np.zeros((64, 64, 2), np.uint8))


def test_unknown_metric_is_named():
    with pytest.raises(UsageError, match="'VIFF'"):
        select_metrics(["EN", "VIFF"])


def test_headline_metrics_are_the_nine_of_the_tables():
    assert HEADLINE == ("EN", "SD", "SF", "AG", "MI", "SCD", "VIF", "Qabf", "SSIM")
    assert {name for name, metric in METRICS.items() if metric.better == "lower"} == {
        "NABF",
        "CE",
        "MSE",
        "RMSE_vifb",
        "Qcv",
    }


def test_metrics_of_a_target_need_one():
    a, b = texture(1), texture(2)
    assert "SSIM_target" not in compute_all(a, (a, b))
    assert compute_all(a, (a, b), ["PSNR_target"], target=a) == {"PSNR_target": math.inf}
    with pytest.raises(UsageError, match=r"'PSNR_target' needs a target; give data with gt/"):
        compute_all(a, (a, b), ["EN", "PSNR_target"])
    with pytest.raises(EncodingError, match="target is 64x32"):
        compute_all(a, (a, b), ["EN"], target=a[:32])


def test_sources_do_not_count_for_metrics_of_a_target():
    a, b, target = texture(1, (180, 180)), texture(2, (180, 180)), texture(3, (180, 180))
    names = ["PSNR_target", "SSIM_target", "MS_SSIM_target"]
    assert compute_all(a, (a, b), names, target) == compute_all(a, (b, b), names, target)
    # With both sources equal to the target the metrics of sources are those of the target.
    plain = compute_all(a, (target, target), ["PSNR", "SSIM", "MS_SSIM"])
    found = compute_all(a, (a, b), names, target)
    assert found["MS_SSIM_target"] == pytest.approx(plain["MS_SSIM"])
    assert found["SSIM_target"] == pytest.approx(plain["SSIM"] / 2)
