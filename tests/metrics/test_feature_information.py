"""FMI against values of the authors' code, and against its definition written out."""

import math

import numpy as np
import pytest

from fusion_lab.metrics import compute_all
from fusion_lab.metrics.features import feature_mutual_information


def waves():
    y, x = np.mgrid[:40, :52]
    first = (120 + 100 * np.sin(x / 5) * np.cos(y / 7)).astype(np.uint8)
    second = (130 + 90 * np.cos(x / 4 + y / 9)).astype(np.uint8)
    return first, second, np.where(x < 26, first, second // 2 + first // 2).astype(np.uint8)


def noise():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 256, (24, 30), np.uint8)
    other = first.astype(int) // 2 + rng.integers(0, 90, first.shape)
    second = np.clip(other, 0, 255).astype(np.uint8)
    fused = ((first.astype(int) + second) // 2).astype(np.uint8)
    fused[:, :8] = first[:, :8]
    fused[:8, 20:] = 255 - second[:8, 20:]  # against the source: the lower bound
    return first, second, fused


@pytest.mark.parametrize(
    ("pictures", "expected"), [(waves, 0.5164121818538627), (noise, 0.7106834658875116)]
)
def test_values_of_the_authors_code(pictures, expected):
    """The MATLAB code of Fast-FMI (feature 'none', window 3), followed loop by loop."""
    first, second, fused = pictures()
    assert feature_mutual_information(fused, first, second) == pytest.approx(expected, abs=1e-12)


def entropy(p):
    return -sum(v * math.log2(abs(v)) for v in np.ravel(p) if v)


def by_definition(window, other):
    p, q = (w.T.ravel() - w.min() for w in (window.astype(float), other.astype(float)))
    p, q = p / p.sum(), q / q.sum()
    cdfs = np.append(0, p.cumsum()), np.append(0, q.cumsum())
    grid = np.minimum.outer(*cdfs)
    rho = np.corrcoef(p, q)[0, 1]
    if rho < 0:
        grid = np.maximum(np.add.outer(*cdfs) - 1, 0)
    places = np.arange(1, 10)
    spread = np.prod([np.sqrt(v @ places**2 - (v @ places) ** 2) for v in (p, q)])
    covariance = (grid - np.outer(*cdfs)).sum()
    weight = rho * spread / covariance
    joint = weight * np.diff(np.diff(grid, axis=0), axis=1) + (1 - weight) * np.outer(p, q)
    return 2 * (entropy(p) + entropy(q) - entropy(joint)) / (entropy(p) + entropy(q))


@pytest.mark.parametrize("seed", range(6))
def test_one_window_by_its_definition(seed):
    fused, first, second = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), np.uint8)
    expected = (by_definition(fused, first) + by_definition(fused, second)) / 2
    assert feature_mutual_information(fused, first, second) == pytest.approx(expected, abs=1e-12)


def test_a_picture_tells_all_of_itself_and_nothing_of_a_flat_one():
    first = waves()[0]
    flat = np.full_like(first, 90)
    assert feature_mutual_information(first, first, first) == 1
    assert feature_mutual_information(flat, flat, flat) == 1
    assert feature_mutual_information(first, flat, flat) == 0
    spot = np.zeros((3, 3), np.uint8)
    spot[1, 1] = 200
    assert feature_mutual_information(spot, spot.T // 2, spot // 4) == 0  # no entropy to share


def test_it_has_its_name():
    first, second, fused = waves()
    assert compute_all(fused, (first, second), ["FMI"]) == {
        "FMI": pytest.approx(0.5164121818538627)
    }
