"""Losses against independent computations: scipy, scikit-image, plain loops, hand calculation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage.metrics import structural_similarity

from fusion_lab.training import losses
from fusion_lab.training.objective import SCENE_TERMS


@pytest.fixture
def images():
    rng = np.random.default_rng(3)
    return [ndimage.gaussian_filter(rng.random((23, 31)), 1.0) for _ in range(3)]


def as_tensor(*arrays):
    return torch.from_numpy(np.stack(arrays))[:, None]


def sobel_by_scipy(image):
    # scipy.ndimage.sobel with mode "nearest" repeats the border pixel.
    return sum(np.abs(ndimage.sobel(image, axis=axis, mode="nearest")) for axis in (0, 1))


def test_sobel_magnitude_is_scipys(images):
    expected = sobel_by_scipy(images[0])
    actual = losses.sobel_magnitude(as_tensor(images[0]))[0, 0].numpy()
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_gradient_loss_takes_the_larger_gradient(images):
    fused, thermal, visible = images
    target = np.maximum(sobel_by_scipy(thermal), sobel_by_scipy(visible))
    expected = np.abs(sobel_by_scipy(fused) - target).mean()
    actual = losses.gradient_loss(*(as_tensor(image) for image in images))
    assert actual.item() == pytest.approx(expected, rel=1e-9)


def test_overshoot_is_gradient_beyond_both_sources(images):
    fused, thermal, visible = images
    limit = np.maximum(sobel_by_scipy(thermal), sobel_by_scipy(visible))
    expected = np.maximum(sobel_by_scipy(fused) - limit, 0).mean()
    actual = losses.overshoot_loss(*(as_tensor(image) for image in images))
    assert actual.item() == pytest.approx(expected, rel=1e-9)


def test_a_copy_of_a_source_does_not_overshoot(images):
    fused = as_tensor(images[0])
    assert losses.overshoot_loss(fused, fused, as_tensor(images[1])).item() == 0


def test_halo_is_the_square_of_slopes_outside_those_of_the_sources(images):
    expected = 0
    for axis in (0, 1):
        f, t, v = (ndimage.sobel(image, axis=axis, mode="nearest") for image in images)
        inside = np.clip(f, np.minimum(0, np.minimum(t, v)), np.maximum(0, np.maximum(t, v)))
        expected += ((f - inside) ** 2).mean()
    actual = losses.halo_loss(*(as_tensor(image) for image in images))
    assert actual.item() == pytest.approx(expected, rel=1e-9)


def test_a_dark_rim_around_a_bright_disk_is_a_halo_and_the_disk_is_not():
    rows, columns = np.mgrid[:24, :24] - 11.5
    distance = np.hypot(rows, columns)
    thermal, visible = 0.2 + 0.7 * (distance < 6), np.full((24, 24), 0.6)
    disk = np.where(distance < 6, 0.9, 0.6)
    rim = np.where((distance >= 6) & (distance < 8), 0.5, disk)
    sources = as_tensor(thermal), as_tensor(visible)
    assert losses.halo_loss(as_tensor(disk), *sources).item() == 0
    assert losses.halo_loss(as_tensor(rim), *sources).item() > 0.01
    on_the_edge = [2 * losses.sobel_magnitude(as_tensor(x))[0, 0, 12, 17] for x in (disk, thermal)]
    assert on_the_edge[0] < on_the_edge[1]


def test_ssim_is_scikit_images(images):
    _, full = structural_similarity(
        images[0],
        images[1],
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        full=True,
    )
    expected = full[5:-5, 5:-5].mean()  # the region where the 11x11 window fits
    actual = losses.ssim(as_tensor(images[0]), as_tensor(images[1]))
    assert actual.item() == pytest.approx(expected, abs=1e-9)


def test_ssim_of_a_batch_is_the_mean_over_its_images(images):
    a, b, c = images
    together = losses.ssim(as_tensor(a, b), as_tensor(c, c))
    apart = [losses.ssim(as_tensor(image), as_tensor(c)).item() for image in (a, b)]
    assert together.item() == pytest.approx(np.mean(apart), abs=1e-9)


def test_saliency_by_loops(images):
    image = images[0]
    mean, deviation = image.mean(), image.std() + losses.EPS
    local_mean = ndimage.uniform_filter(image, 11, mode="nearest")
    logistic = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    standard = (image - mean) / deviation
    expected = logistic(standard + (image - local_mean) / deviation) * logistic(standard)
    actual = losses.saliency(as_tensor(image))[0, 0].numpy()
    np.testing.assert_allclose(actual, expected, atol=1e-9)


def selection_by_loops(thermal, visible, salient, k):
    """M2PN's energies, written as the paper has them, pixel by pixel."""
    height, width = thermal.shape
    p = np.zeros_like(thermal)
    for y in range(height):
        for x in range(width):
            p[y, x] = 1 / (1 + math.exp(visible[y, x] - thermal[y, x]))
    entropy = -np.mean(p * np.log(p + 1e-6) + (1 - p) * np.log(1 - p + 1e-6))
    weight = 1 / (1 + math.exp(-entropy))
    difference = np.zeros_like(thermal)
    for y in range(height):
        for x in range(width):
            factor = 1 + weight * p[y, x]
            difference[y, x] = factor * (1 - salient[y, x]) - factor * salient[y, x]
    return difference < k * difference.std()


@pytest.mark.parametrize("k", [0.0, 0.1, 0.5])
def test_selection_by_loops(images, k):
    thermal, visible, salient = images
    expected = selection_by_loops(thermal, visible, salient, k)
    assert 0 < expected.mean() < 1
    actual = losses.select(*(as_tensor(image) for image in images), k)
    np.testing.assert_array_equal(actual.thermal[0, 0].numpy().astype(bool), expected)
    assert torch.equal(actual.visible, 1 - actual.thermal)


def test_larger_k_selects_more_thermal(images):
    tensors = [as_tensor(image) for image in images]
    shares = [losses.select(*tensors, k).thermal.mean().item() for k in (0.0, 0.1, 0.5)]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1]


def test_a_hot_target_is_selected_and_the_background_is_not():
    thermal = np.full((40, 40), 0.2)
    thermal[15:25, 15:20] = 0.9
    tensor = as_tensor(thermal)
    chosen = losses.select(tensor, torch.full_like(tensor, 0.6), losses.saliency(tensor), 0.1)
    np.testing.assert_array_equal(chosen.thermal[0, 0].numpy() == 1, thermal > 0.5)


def test_intensity_losses_by_hand():
    fused, thermal, visible = (
        torch.tensor([[[row]]]) for row in ([0.5, 0.5], [1.0, 0.2], [0.3, 0.6])
    )
    selection = losses.Selection(
        torch.tensor([[[[1.0, 0.0]]]]), *[torch.tensor([[[[0.0, 1.0]]]])] * 2
    )
    # (|1.0 - 0.5| + |0.6 - 0.5|) / 2
    assert losses.selected_intensity_loss(fused, thermal, visible, selection).item() == (
        pytest.approx(0.3)
    )
    # The first pixel is thermal's alone: (0 + |0.6 - 0.5|) / 2
    assert losses.brighter_intensity_loss(fused, thermal, visible, selection).item() == (
        pytest.approx(0.05)
    )


def test_complement_loss_is_numpys_sum_of_correlations_of_differences(images):
    fused, thermal, visible = images
    expected = 2.0 - sum(
        np.corrcoef((fused - one).ravel(), other.ravel())[0, 1]
        for one, other in ((visible, thermal), (thermal, visible))
    )
    actual = losses.complement_loss(*(as_tensor(i) for i in images)).item()
    # The floor under the variances lets flat crops give 0 instead of nan; here it is small.
    assert actual == pytest.approx(expected, abs=2e-3)


def test_complement_loss_of_a_flat_crop_is_finite():
    flat = torch.full((1, 1, 16, 16), 0.4, requires_grad=True)
    loss = losses.complement_loss(flat, flat.detach(), flat.detach())
    loss.backward()
    assert loss.item() == pytest.approx(2.0)
    assert flat.grad.isfinite().all()


def test_contrastive_terms_by_hand():
    # Cosines are 1 on the diagonal and 0 off it; (1 + cos) / 2 gives 0.9995 (clamped) and 0.5.
    basis = torch.eye(2)
    near, far = -math.log(0.9995), -math.log(0.5)
    assert losses.attract(basis, basis).item() == pytest.approx(
        (near + far * math.exp(-0.25)) / 2, rel=1e-5
    )
    assert losses.spread(basis).item() == pytest.approx(far)
    assert losses.spread(basis[:1]).item() == 0
    assert losses.repel(basis, basis).item() == pytest.approx(
        (-math.log(1 - 0.9995) + far) / 2, rel=1e-3
    )


def test_scene_terms_are_those_of_equation_17_by_hand():
    """Refined vectors that are the other's features cost most, their own least."""
    east, north = torch.eye(2)[:1], torch.eye(2)[1:]
    near, far = -math.log(0.9995), -math.log(0.5)
    features = {"thermal": east, "visible": north, "fused": (east + north) / 2}
    own = {**features, "thermal_graph": east, "visible_graph": north}
    swapped = {**features, "thermal_graph": north, "visible_graph": east}
    assert SCENE_TERMS["contrast"](own).item() == pytest.approx(far + 2 * near, rel=1e-3)
    assert SCENE_TERMS["apart"](own).item() == pytest.approx(2 * far, rel=1e-3)
    assert SCENE_TERMS["contrast"](swapped).item() == pytest.approx(3 * far, rel=1e-3)
    most = -math.log(1 - 0.9995)
    assert SCENE_TERMS["apart"](swapped).item() == pytest.approx(2 * most, rel=1e-3)
    between = -math.log((1 + math.sqrt(0.5)) / 2)
    assert SCENE_TERMS["reading"](own).item() == pytest.approx(2 * between, rel=1e-3)


@given(angle=st.floats(0.3, 2.8))
def test_contrastive_terms_turn_vectors_the_right_way(angle):
    fixed = torch.tensor([[1.0, 0.0]])
    for loss, sign in ((losses.attract, 1), (losses.repel, -1)):
        turn = torch.tensor(angle, requires_grad=True)
        loss(torch.stack([turn.cos(), turn.sin()])[None], fixed).backward()
        assert turn.grad.item() * sign > 0


def test_opposite_vectors_still_have_a_gradient():
    vector = torch.tensor([[-1.0, 0.5]], requires_grad=True)
    losses.attract(vector, torch.tensor([[1.0, 0.0]])).backward()
    assert vector.grad.abs().sum() > 0


def test_contrast_guard_by_loops():
    rng = np.random.default_rng(5)
    thermal, visible = (ndimage.gaussian_filter(rng.random((50, 80)), 2) for _ in range(2))
    expected = np.zeros((50, 80), bool)
    for y in range(50):
        for x in range(80):
            inside = visible[max(0, y - 31) : y + 32, max(0, x - 31) : x + 32].mean()
            expected[y, x] = abs(thermal[y, x] - inside) >= abs(visible[y, x] - inside)
    actual = losses.adds_contrast(as_tensor(thermal), as_tensor(visible))
    assert 0.1 < expected.mean() < 0.9
    np.testing.assert_array_equal(actual[0, 0].numpy(), expected)


def test_guard_keeps_a_dark_silhouette_in_front_of_a_bright_sky():
    thermal, visible = np.full((80, 80), 0.1), np.full((80, 80), 0.9)
    thermal[30:50, 35:45], visible[30:50, 35:45] = 0.85, 0.1
    ir, vi = as_tensor(thermal), as_tensor(visible)
    person = torch.from_numpy(thermal > 0.5)
    for guard, expected in ((False, 1.0), (True, 0.0)):
        chosen = losses.select(ir, vi, losses.saliency(ir), 0.1, guard=guard)
        assert chosen.thermal[0, 0][person].mean() == expected
        assert chosen.either[0, 0][person].mean() == 0
