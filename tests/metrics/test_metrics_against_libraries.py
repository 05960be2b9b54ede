"""Metrics beside scikit-image, SciPy and plain transcriptions of the published formulas."""

import math

import cv2
import numpy as np
import pytest
from scipy import ndimage, signal, stats
from skimage.measure import shannon_entropy
from skimage.metrics import (
    normalized_mutual_information,
    peak_signal_noise_ratio,
    structural_similarity,
)

from fusion_lab.metrics import compute_all


def texture(seed, shape=(70, 84)):
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.2)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return np.round(255 * smooth).astype(np.uint8)


A, B = texture(1), texture(2)
F = ((A.astype(int) + 2 * B + texture(3)) // 4).astype(np.uint8)
SCORES = compute_all(F, (A, B))


def check(name, expected, rel=1e-9):
    assert SCORES[name] == pytest.approx(expected, rel=rel)


def joint(x, y):
    return np.histogram2d(x.ravel(), y.ravel(), bins=256, range=((-0.5, 255.5),) * 2)[0]


def test_entropy_is_scikit_images():
    check("EN", shannon_entropy(F))


def test_deviation_and_spatial_frequency_are_numpys():
    x = F.astype(float)
    check("SD", math.sqrt(np.var(x)))
    dx, dy = x[:, 1:] - x[:, :-1], x[1:] - x[:-1]
    check("SF", math.sqrt(np.mean(dx**2) + np.mean(dy**2)))


def test_edge_intensity_is_scipys_sobel():
    x = F.astype(float)
    gx, gy = (ndimage.sobel(x, axis, mode="nearest") for axis in (0, 1))
    check("EI", np.hypot(gx, gy).mean())


def test_mutual_information_from_scipys_relative_entropy():
    def mutual(x, y):
        p = joint(x, y) / x.size
        return stats.entropy(p.ravel(), np.outer(p.sum(1), p.sum(0)).ravel())

    check("MI", mutual(F, A) + mutual(F, B))
    check("MI_bits", (mutual(F, A) + mutual(F, B)) / math.log(2))


def test_normalized_mutual_information_from_scikit_images():
    # scikit-image gives y = (Hx + Hy) / Hxy, so that 2 MI / (Hx + Hy) = 2 (1 - 1 / y).
    # Its bins span each image's own range, hence the stretch to 0..255 of the test images.
    images = [texture(seed) for seed in (4, 5, 6)]
    y = [normalized_mutual_information(images[0], s, bins=256) for s in images[1:]]
    ours = compute_all(images[0], tuple(images[1:]), ["NMI"])["NMI"]
    assert ours == pytest.approx(sum(2 * (1 - 1 / v) for v in y))


def test_cross_entropy_is_scipys_where_all_bins_are_filled():
    rng = np.random.default_rng(0)
    every = np.arange(256, dtype=np.uint8)
    f, a, b = (
        np.concatenate([every, rng.binomial(255, q, 3840).astype(np.uint8)]).reshape(64, 64)
        for q in (0.4, 0.5, 0.6)
    )
    pf, pa, pb = (np.bincount(x.ravel(), minlength=256) for x in (f, a, b))
    expected = 0.5 * (stats.entropy(pa, pf, base=2) + stats.entropy(pb, pf, base=2))
    assert compute_all(f, (a, b), ["CE"])["CE"] == pytest.approx(expected)


def test_correlations_of_differences_are_scipys_pearson():
    f, a, b = (x.astype(float).ravel() for x in (F, A, B))
    check("SCD", stats.pearsonr(f - b, a)[0] + stats.pearsonr(f - a, b)[0])


def test_ssim_is_scikit_images_with_the_window_of_wang():
    check(
        "SSIM",
        sum(
            structural_similarity(
                F, s, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
            )
            for s in (A, B)
        ),
    )


def test_ssim_of_range_two_is_scikit_images_default():
    f, a, b = (x.astype(float) for x in (F, A, B))
    expected = sum(structural_similarity(f, s, data_range=2.0) for s in (a, b))
    check("SSIM_r2", expected, rel=1e-7)


def test_psnr_is_scikit_images():
    mse = np.mean([10 ** (-peak_signal_noise_ratio(s, F, data_range=255) / 10) for s in (A, B)])
    check("PSNR", -10 * math.log10(mse))


def sobel_by_convolution(image, boundary, scale=1.0):
    x = image.astype(float)
    kx = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) * scale
    ky = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]]) * scale
    gx, gy = (signal.convolve2d(x, k, mode="same", boundary=boundary) for k in (kx, ky))
    return gx, gy, np.sqrt(gx**2 + gy**2)


def test_edge_preservation_transcribed_pixel_by_pixel():
    """Xydeas and Petrovic 2000, equations 1-7, with the constants of their published code."""
    edges = [sobel_by_convolution(x, "fill") for x in (F, A, B)]
    top = bottom = 0.0
    for row in range(F.shape[0]):
        for column in range(F.shape[1]):
            (fx, fy, gf), *sources = [[m[row, column] for m in e] for e in edges]
            af = math.pi / 2 if fx == 0 else math.atan(fy / fx)
            for sx, sy, gs in sources:
                angle = math.pi / 2 if sx == 0 else math.atan(sy / sx)
                ratio = gf if gf == gs else min(gf, gs) / max(gf, gs)
                aligned = 1 - abs(angle - af) / (math.pi / 2)
                quality = 0.9994 / (1 + math.exp(-15 * (ratio - 0.5)))
                quality *= 0.9879 / (1 + math.exp(-22 * (aligned - 0.8)))
                top += quality * gs
                bottom += gs
    check("Qabf", top / bottom)


def test_artefacts_transcribed_pixel_by_pixel():
    """Kumar 2013, with Td 2, Lg 1.5, minimal weight .001."""
    edges = [sobel_by_convolution(x, "symm", 1 / 8) for x in (F, A, B)]
    top = bottom = 0.0
    for row in range(F.shape[0]):
        for column in range(F.shape[1]):
            (fx, fy, gf), *sources = [[m[row, column] for m in e] for e in edges]
            artefact = gf > sources[0][2] and gf > sources[1][2]
            for sx, sy, gs in sources:
                weight = gs**1.5 if gs >= 2 else 0.001
                bottom += weight
                if artefact:
                    turned = abs(math.atan2(sy, sx) - math.atan2(fy, fx)) % math.pi
                    aligned = abs(turned - math.pi / 2) * 2 / math.pi
                    quality = 0.9999 / (1 + math.exp(-19 * (gs / gf - 0.5)))
                    quality *= 0.9995 / (1 + math.exp(-22 * (aligned - 0.5)))
                    top += (1 - math.sqrt(quality)) * weight
    # A source without gradient has no orientation; the choice moves the result by under 1e-4.
    check("NABF", top / bottom, rel=1e-4)


def test_visual_information_transcribed_with_full_two_dimensional_windows():
    """Sheikh and Bovik 2006, pixel domain, multi-scale, as in the authors' description."""

    def vif(reference, distorted):
        x, y = reference.astype(float), distorted.astype(float)
        top = bottom = 0.0
        for scale in range(1, 5):
            size = 2 ** (5 - scale) + 1
            axis = np.arange(size) - size // 2
            window = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * (size / 5) ** 2))
            window /= window.sum()

            def smooth(image, window=window):
                return signal.convolve2d(image, window, mode="valid")

            if scale > 1:
                x, y = smooth(x)[::2, ::2], smooth(y)[::2, ::2]
            mx, my = smooth(x), smooth(y)
            vx, vy = smooth(x * x) - mx**2, smooth(y * y) - my**2
            gain = (smooth(x * y) - mx * my) / (vx + 1e-10)
            noise = np.where(gain < 0, vy, vy - gain**2 * (vx + 1e-10))
            gain = np.maximum(gain, 0)
            top += np.log10(1 + gain**2 * vx / (np.maximum(noise, 1e-10) + 2)).sum()
            bottom += np.log10(1 + vx / 2).sum()
        return top / bottom

    check("VIF", vif(A, F) + vif(B, F), rel=1e-6)


def test_psnr_and_ssim_to_a_target_are_scikit_images():
    found = compute_all(F, (A, B), ["PSNR_target", "SSIM_target"], target=A)
    assert found["PSNR_target"] == pytest.approx(peak_signal_noise_ratio(A, F))
    _, ssim = structural_similarity(
        *(F, A), gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True,
        data_range=255,
    )  # fmt: skip
    assert found["SSIM_target"] == pytest.approx(ssim[5:-5, 5:-5].mean())
