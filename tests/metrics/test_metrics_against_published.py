"""Metrics beside the values that the authors of the VIFB benchmark computed in MATLAB.

VIFB (Zhang, Ye, Xiao 2020) scores colour images channel by channel and averages; the table holds
four pairs and four methods with five significant digits. Done channel by channel, our metrics must
give the same five digits, with three exceptions, each a definition of theirs that we do not share:

* Avg_gradient divides by (M - 1)(N - 1) instead of the number of pixels: corrected exactly here;
* Spatial_frequency lays the three channels side by side and divides both sums by their common
  size instead of the number of differences, a part of 1 / M at most: 0.3 %;
* Mutinf stretches each image first: our MI_stretched.
"""

import csv
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from fusion_lab.metrics import compute_all

DATA = Path(
    os.environ.get("FUSION_TEST_DATA", str(Path(__file__).resolve().parents[3] / "shared" / "data"))
)
FOLDER = DATA / "vifb_reference"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="vifb_reference not in FUSION_TEST_DATA"),
]

FIVE_DIGITS = 1e-4
OURS = {
    "Avg_gradient": ("AG", FIVE_DIGITS),
    "Cross_entropy": ("CE", FIVE_DIGITS),
    "Edge_intensity": ("EI", FIVE_DIGITS),
    "Entropy": ("EN", FIVE_DIGITS),
    "Mutinf": ("MI_stretched", FIVE_DIGITS),
    "Psnr": ("PSNR_vifb", FIVE_DIGITS),
    "Rmse": ("RMSE_vifb", FIVE_DIGITS),
    "Qabf": ("Qabf", FIVE_DIGITS),
    # A contrast near its pole, where the blurred image crosses zero, is sensitive to the last bit.
    "Qcb": ("Qcb", 1e-3),
    # A fifth power of gradients sums to rounding of 1e-4 in their five digits.
    "Qcv": ("Qcv", 3e-4),
    "Spatial_frequency": ("SF", 3e-3),
    "Ssim": ("SSIM", FIVE_DIGITS),
    "Variance": ("SD", FIVE_DIGITS),
}


def channels(path):
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    return [np.ascontiguousarray(image[:, :, k]) for k in range(3)]


def published():
    with (FOLDER / "published_values.csv").open() as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("image", ["carLight", "elecbike", "manCar", "walkingnight"])
def test_published_values(image):
    rows = [row for row in published() if row["image"] == image]
    thermal, visible = (channels(FOLDER / side / f"{image}.jpg") for side in ("ir", "vi"))
    for method in {row["method"] for row in rows}:
        fused = channels(FOLDER / "fused" / method / f"{image}.jpg")
        names = [name for name, _ in OURS.values()]
        scores = [
            compute_all(f, (t, v), names) for f, t, v in zip(fused, thermal, visible, strict=True)
        ]
        ours = {name: np.mean([s[name] for s in scores]) for name in names}
        height, width = fused[0].shape
        ours["AG"] *= height * width / ((height - 1) * (width - 1))
        side_by_side = np.hstack(fused)
        ours["SF"] = compute_all(side_by_side, (side_by_side, side_by_side), ["SF"])["SF"]
        for row in (row for row in rows if row["method"] == method):
            name, tolerance = OURS[row["metric"]]
            expected = pytest.approx(float(row["value"]), rel=tolerance)
            assert ours[name] == expected, f"{method} {row['metric']}"


def test_mef_ssim_2015_is_that_of_vf_benchs_code():
    """Values that the evaluation code of VF-Bench (2025-10-17) gives for these pictures."""
    first = np.random.default_rng(0).integers(0, 256, (60, 70), np.uint8)
    noise = np.random.default_rng(1).integers(0, 256, (60, 70), np.uint8)
    second = cv2.GaussianBlur(noise, (0, 0), 2)
    fused = ((first.astype(int) + second) // 2).astype(np.uint8)
    scores = compute_all(fused, (first, second), ["MEF_SSIM_2015"])
    assert scores["MEF_SSIM_2015"] == pytest.approx(0.8007261568863078, rel=1e-9)
