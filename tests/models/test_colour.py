"""Colour of tensors against OpenCV's of 8-bit pictures."""

import cv2
import numpy as np
import pytest
import torch

from fusion_core.models.colour import attach_luma, luma_of, split_planes


def tensor(image):
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255


def levels(planes):
    return (planes[0] * 255).round().permute(1, 2, 0).numpy().astype(np.uint8)


def test_convention_planes_are_those_of_opencv_to_the_bit():
    """A million colours, among them all with channels that are multiples of five."""
    steps = np.arange(0, 256, 5, dtype=np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 4, 3)
    noise = np.random.default_rng(0).integers(0, 256, (250_000, 4, 3), np.uint8)
    for image in (grid, noise):
        luma, chroma = split_planes(tensor(image))
        ycrcb = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
        assert np.array_equal(levels(luma)[..., 0], ycrcb[..., 0])
        assert np.array_equal(levels(chroma), ycrcb[..., 2:0:-1])


def test_planes_are_of_the_picture_rounded_to_levels():
    rgb = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for exact, rounded in zip(
        split_planes(rgb), split_planes((rgb * 255).round() / 255), strict=True
    ):
        assert torch.equal(exact, rounded)


def test_the_same_luma_leaves_the_picture_as_it_is():
    rgb = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(attach_luma(rgb, luma_of(rgb)), rgb, atol=1e-6, rtol=0)


def test_any_luma_survives_any_colour():
    generator = torch.Generator().manual_seed(2)
    rgb = torch.rand(1, 3, 64, 64, generator=generator)
    luma = torch.rand(1, 1, 64, 64, generator=generator)
    image = attach_luma(rgb, luma)
    assert 0 <= image.min() <= image.max() <= 1
    torch.testing.assert_close(luma_of(image), luma, atol=1e-5, rtol=0)


def test_convention_colour_shrinks_towards_gray_by_hand():
    """Luma 0.8 under blue, whose offset is 0.886: 0.2 of it fits."""
    blue = torch.tensor([0.0, 0.0, 1.0])[None, :, None, None]
    image = attach_luma(blue, torch.full((1, 1, 1, 1), 0.8)).flatten()
    share = 0.2 / 0.886
    assert image.tolist() == pytest.approx([0.8 - 0.114 * share, 0.8 - 0.114 * share, 1.0])


def test_given_chroma_that_fits_gives_what_opencv_gives():
    ycrcb = np.random.default_rng(3).integers(0, 256, (200, 200, 3), np.uint8)
    planes = tensor(ycrcb)
    made = levels(attach_luma(torch.zeros(1, 3, 200, 200), planes[:, :1], planes[:, [2, 1]]))
    expected = cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2RGB)
    fits = (expected.min(2) > 0) & (expected.max(2) < 255)
    assert fits.mean() > 0.15
    assert np.abs(made.astype(int) - expected)[fits].max() <= 1
