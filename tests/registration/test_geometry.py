"""Small homographies, corrected maps and similarity volumes, against OpenCV and by hand."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from pictures import H, W, scene_pair, thermal_through

from fusion_core.registration import Rig
from fusion_core.registration.calibration_map import CalibrationMap
from fusion_core.registration.descriptors import DescriptorMaps, compute_descriptors
from fusion_core.registration.homography_search import corner_deviation
from fusion_core.registration.likelihood import likelihood_model, log_likelihood
from fusion_core.registration.projective import (
    corners,
    jacobian,
    mapped,
    rescaled,
    to_matrix,
    to_parameters,
)
from fusion_core.registration.pyramid import average_descriptors
from fusion_core.registration.volumes import (
    SimilarityVolumes,
    correlate_blocks,
    extend_volumes,
    shifted_scores,
)
from fusion_core.registration.warp import map_pixels, pixel_grid

SIZE = (W, H)
SMALL = np.array([0.02, -0.03, 0.01, 0.004, -0.006, -0.02, 0.003, -0.002])


def test_parameters_and_matrix_are_the_same_map():
    np.testing.assert_allclose(to_parameters(to_matrix(SMALL, SIZE), SIZE), SMALL, atol=1e-12)
    np.testing.assert_allclose(to_matrix(np.zeros(8), SIZE), np.eye(3), atol=1e-12)
    # by hand: 0.02 of half the longer side (160 px) to the right
    shift = to_matrix(np.array([0.02, 0, 0, 0, 0, 0, 0, 0]), SIZE)
    np.testing.assert_allclose(shift, [[1, 0, 3.2], [0, 1, 0], [0, 0, 1]], atol=1e-12)


def test_jacobian_agrees_with_differences():
    points = np.array([[0.0, 0], [319, 0], [12, 200], [159.5, 119.5]])
    numeric = np.stack(
        [
            (mapped(to_matrix(step, SIZE), points) - mapped(to_matrix(-step, SIZE), points)) / 2e-6
            for step in 1e-6 * np.eye(8)
        ],
        axis=2,
    )
    np.testing.assert_allclose(jacobian(points, SIZE), numeric, atol=1e-4)


def test_convention_rescaled_maps_resized_pictures_centre_to_centre():
    matrix = to_matrix(SMALL, SIZE)
    half = rescaled(matrix, 0.5)
    points = corners(SIZE)
    # pixel areas halve: centre x goes to (x + 0.5) / 2 - 0.5
    halved = (points + 0.5) / 2 - 0.5
    expected = (mapped(matrix, points) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(mapped(half, halved), expected, atol=1e-9)


def test_a_corrected_map_is_the_rig_after_the_correction():
    camera = {
        "image_width": 320,
        "image_height": 240,
        "distortion_model": "plumb_bob",
        "distortion_coefficients": [-0.2, 0.05, 0, 0, 0],
        "camera_matrix": [300, 0, 160, 0, 300, 120, 0, 0, 1],
    }
    transform = np.eye(4)
    transform[0, 3] = 0.05
    rig = Rig.from_mapping(
        {
            "visible": camera,
            "thermal": camera,
            "T_thermal_rgb": transform.tolist(),
            "reference_depth_m": 8,
        }
    )
    matrix = to_matrix(SMALL, SIZE)
    y, x = np.mgrid[:H, :W].astype(np.float32)
    warp = CalibrationMap(rig, SIZE, SIZE, 30).corrected(matrix)
    # pictures of x and y say where each pixel was taken from
    found = np.stack((warp.apply(x), warp.apply(y)), axis=2)
    points = map_pixels(rig, mapped(matrix, pixel_grid(SIZE)), SIZE, SIZE).reshape(H, W, 2)
    inside = cv2.erode(warp.valid.astype(np.uint8), np.ones((5, 5))) > 0
    assert inside.mean() > 0.8
    assert np.abs(found - points)[inside].max() < 0.05


def test_blocks_fit_best_where_the_picture_has_moved_to():
    visible, thermal = scene_pair()
    # thermal content 3 px right and 2 px down
    thermal = thermal_through(thermal, np.broadcast_to((-3.0, -2.0), (H, W, 2)))
    gray = cv2.cvtColor(visible, cv2.COLOR_RGB2GRAY).astype(np.float32)
    everywhere = np.ones((H, W), bool)
    volumes = correlate_blocks(
        compute_descriptors(gray, everywhere),
        compute_descriptors(thermal.astype(np.float32), everywhere),
        5,
        16,
    )
    best = volumes.shifts[volumes.scores.argmax(axis=1)]
    assert volumes.seen.all()
    assert (np.linalg.norm(best - (3, 2), axis=1) <= 1).mean() > 0.8
    assert np.abs(volumes.scores).max() <= 1


def features_of(channels):
    energy = np.einsum("chw,chw->hw", channels, channels)
    return DescriptorMaps(channels, energy, np.ones(channels.shape[1:], np.float32))


def test_averages_and_every_second_pixel_of_doubled_descriptors_are_the_descriptors():
    # Each pixel repeated in a square of 2x2: the mean of a square is the pixel, and so is every
    # second one of them; displacements are twice as long.
    rng = np.random.default_rng(0)
    small = [features_of(rng.normal(size=(8, 24, 32)).astype(np.float32)) for _ in range(2)]
    large = [features_of(np.repeat(np.repeat(f.channels, 2, 1), 2, 2)) for f in small]
    for one, other in zip(small, large, strict=True):
        found = average_descriptors(other, 2)
        np.testing.assert_allclose(found.channels, one.channels, atol=1e-6)
        np.testing.assert_allclose(found.energy, one.energy, rtol=1e-5)
        assert (found.valid == 1).all()
    expected, found = correlate_blocks(*small, 2, 8), correlate_blocks(*large, 4, 16, step=2)
    even = (found.shifts % 2 == 0).all(axis=1)
    np.testing.assert_array_equal(found.shifts[even], 2 * expected.shifts)
    np.testing.assert_allclose(found.scores[:, even], expected.scores, atol=1e-6)
    np.testing.assert_allclose(found.centres, 2 * expected.centres + 0.5)


def make_volumes(scores, reach):
    side = np.arange(-reach, reach + 1)
    shifts = np.stack(np.meshgrid(side, side), axis=2).reshape(-1, 2).astype(float)
    count = len(scores)
    flat = np.asarray(scores, np.float32).reshape(count, -1)
    return SimilarityVolumes(np.zeros((count, 2)), (1, count), shifts, flat, np.ones(count, bool))


def test_scores_are_counted_from_another_displacement():
    scores = np.zeros((2, 5, 5))
    scores[0, 2, 3] = 1  # best one to the right
    scores[1, 3, 2] = 1  # best one down
    result = shifted_scores(make_volumes(scores, 2), np.array([[1.0, 0], [0, 0.5]])).reshape(
        2, 5, 5
    )
    assert result[0, 2, 2] == 1
    np.testing.assert_allclose(result[1, 2:4, 2], (0.5, 0.5))


def test_an_edge_pulls_across_and_not_along():
    x = np.arange(-4, 5)
    edge = np.broadcast_to(np.exp(-((x - 2) ** 2) / 2), (9, 9))  # best at x = 2, any y
    found = likelihood_model(make_volumes([edge, np.zeros((9, 9))], 4), np.zeros((2, 2)), 1.5)
    assert found.gradient[0, 0] > 0.3
    assert abs(found.gradient[0, 1]) < 1e-6
    assert found.precision[0, 1, 1] < 0.1 * found.precision[0, 0, 0]
    assert np.abs(found.precision[1]).max() < 0.1 * found.precision[0, 0, 0]  # a flat block


def test_flat_blocks_stay_where_they_are_up_to_the_end_of_the_displacements():
    # What fits everywhere alike has no slope anywhere. At 2 px from the end of displacements that
    # just stop, most of those under a Gaussian lie on the other side: its mean, cut off at one
    # standard deviation, is -0.2876 deviations (phi(1) / Phi(1) of the standard normal), which
    # for 2 px is a slope of -0.144. Displacements are whole: the cut is half a pixel further out.
    flat = make_volumes([np.full((9, 9), 0.3)], 4)
    at = np.array([[2.0, -2.0]])
    cut = likelihood_model(flat, at, 2.0).gradient
    assert -0.144 < cut[0, 0] < 0 < cut[0, 1] < 0.144
    assert (
        np.abs(likelihood_model(extend_volumes(flat, 4), at, 2.0).gradient).max() < 0.1 * cut[0, 1]
    )


def test_widened_volumes_keep_what_was_compared():
    scores = np.arange(9.0).reshape(3, 3)
    wide = extend_volumes(make_volumes([scores], 1), 2)
    assert wide.shifts.max() == 3
    # numpy's own padding, displacement by displacement
    np.testing.assert_array_equal(wide.scores[0].reshape(7, 7), np.pad(scores, 2, mode="edge"))


def test_support_counts_the_blocks_that_are_in_place():
    flat, peak = np.zeros((9, 9)), np.zeros((9, 9))
    peak[4, 4] = 0.5
    assert log_likelihood(make_volumes([flat, flat], 4), 1.0) == pytest.approx(0, abs=1e-9)
    # exp(12 * 0.5) = 403.4 in place instead of 1; the Gaussian of 1 px over whole displacements
    # sums up to 2.5066^2 = 6.283 (2 pi to four digits): log((403.4 + 5.283) / 6.283) = 4.175
    assert log_likelihood(make_volumes([peak], 4), 1.0) == pytest.approx(4.175, abs=0.002)


def test_corners_are_the_surer_the_more_blocks_say_where_they_are():
    # The precision of a peak is the same for each block; four times the blocks halve the deviation
    # where the prior says next to nothing.
    y, x = np.mgrid[-4:5, -4:5]
    peak = np.exp(-(x**2 + y**2) / 2.0)
    free = np.full(8, 1e3)
    places = np.stack(np.meshgrid(np.linspace(10, 90, 5), np.linspace(10, 90, 5)), 2).reshape(-1, 2)
    found = []
    for centres in (places, np.repeat(places, 4, axis=0)):
        volumes = replace(make_volumes([peak] * len(centres), 4), centres=centres)
        found.append(corner_deviation(volumes, (101, 101), free))
    first, second = found
    assert second == pytest.approx(first / 2, rel=1e-3)
