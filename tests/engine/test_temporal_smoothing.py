import numpy as np
import pytest

from fusion_core.engine.temporal_smoothing import TemporalSmoother

FRAME_NS = 33_000_000


def run(pictures, keep=0.7, step_ns=FRAME_NS):
    smoother = TemporalSmoother(keep)
    return [
        smoother.smooth(picture.astype(np.float32), index * step_ns).copy()
        for index, picture in enumerate(pictures)
    ]


def test_noise_of_a_still_picture_falls_as_a_recursive_filter_lets_it():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.004, (60, 64, 96))
    out = run(0.5 + noise)
    # First-order recursive filter, y = k y + (1 - k) x: var(y) = (1 - k) / (1 + k) var(x).
    # The small noise of the 4x4 means lowers k a little, by up to 4 %.
    assert np.var(out[-20:]) / np.var(noise) == pytest.approx(0.3 / 1.7, rel=0.12)


def test_what_moves_is_shown_as_it_is():
    pictures = []
    for index in range(6):
        picture = np.full((64, 96), 0.3)
        picture[20:44, 8 * index : 8 * index + 16] = 0.8
        pictures.append(picture)
    out = run(pictures)
    np.testing.assert_allclose(out[-1], pictures[-1], atol=1e-6)


def test_a_change_of_light_arrives():
    pictures = [np.full((32, 32), 0.5)] * 3 + [np.full((32, 32), 0.51)] * 30
    out = run(pictures)
    assert 0.5 < out[3].mean() < 0.508
    assert out[-1].mean() == pytest.approx(0.51, abs=2e-4)


@pytest.mark.parametrize("step_ns", [600_000_000, 0, -FRAME_NS])
def test_a_jump_in_time_starts_anew(step_ns):
    second = np.full((32, 32), 0.505, np.float32)
    out = run([np.full((32, 32), 0.5), second], step_ns=step_ns)
    np.testing.assert_array_equal(out[1], second)


def test_another_size_starts_anew():
    smoother = TemporalSmoother(0.7)
    smoother.smooth(np.zeros((32, 32), np.float32), 0)
    other = np.full((24, 32), 0.01, np.float32)
    np.testing.assert_array_equal(smoother.smooth(other, FRAME_NS), other)


def test_the_picture_given_is_not_changed():
    smoother = TemporalSmoother(0.7)
    first, second = np.zeros((16, 16), np.float32), np.full((16, 16), 0.01, np.float32)
    smoother.smooth(first, 0)
    smoother.smooth(second, FRAME_NS)
    assert first.max() == 0
    assert second.min() == np.float32(0.01)
