"""Refinement while streams run: what is corrected, how smoothly, and what is rejected."""

import threading

import numpy as np
import pytest
from pictures import H, W, scene_pair, thermal_through

from fusion_core.registration import Registrar, RegistrationConfig, Rig
from fusion_core.types import Frame, ThermalImage

STEP_NS = 100_000_000
IDENTITY_RIG = Rig.from_mapping(
    {
        "homography": np.eye(3).tolist(),
        "visible_size": [W, H],
        "thermal_size": [W, H],
    }
)


def shifted(thermal, shift):
    """Return thermal luminance in which everything has moved by ``shift`` pixels."""
    field = np.broadcast_to(-np.asarray(shift, float), (H, W, 2))
    return ThermalImage(thermal_through(thermal, field).astype(np.float32) / 255, None)


def run(registrar, pairs, step_ns=STEP_NS):
    results = []
    for number, (visible, thermal) in enumerate(pairs):
        frame = Frame(number * step_ns, "visible", visible, "rgb8")
        results.append(registrar.align(number * step_ns, frame, thermal))
    return results


def placed(registrar):
    """Where the correction takes the middle of the picture."""
    matrix = registrar.correction
    point = matrix @ (W / 2, H / 2, 1)
    return point[:2] / point[2] - (W / 2, H / 2)


def misalignment(registrar, shift):
    return float(np.linalg.norm(placed(registrar) - shift))


def test_a_misaligned_pair_is_found_and_reported():
    visible, thermal = scene_pair()
    moved = shifted(thermal, (5, -3))
    registrar = Registrar(None, RegistrationConfig(refine="on"))
    results = run(registrar, [(visible, moved)] * 40)
    assert misalignment(registrar, (5, -3)) < 0.5
    assert results[-1].confidence > 0.5
    assert results[0].residual_px is None
    # sqrt(5^2 + 3^2) = 5.8 before anything is corrected
    assert results[1].residual_px == pytest.approx(5.8, abs=0.8)
    assert results[-1].residual_px < 0.6
    truth = thermal_through(thermal, np.zeros((H, W, 2)))[20:-20, 20:-20] / 255
    error = np.abs(results[-1].thermal[20:-20, 20:-20] - truth)
    assert error.mean() < 0.25 * np.abs(moved.luminance[20:-20, 20:-20] - truth).mean()
    report = registrar.report()
    assert report["correction_px"] == pytest.approx(5.8, abs=0.6)
    assert 0 < report["accepted"] <= report["measured"] == 8


def test_registered_pictures_stay_where_they_are():
    visible, thermal = scene_pair(1)
    registrar = Registrar(None, RegistrationConfig(refine="on"))
    run(registrar, [(visible, shifted(thermal, (0, 0)))] * 20)
    assert misalignment(registrar, (0, 0)) < 0.3
    assert registrar.report()["accepted"] > 0


def test_corrections_move_in_small_steps_and_follow_a_bump():
    visible, thermal = scene_pair(2)
    still, bumped = shifted(thermal, (0, 0)), shifted(thermal, (6, 5))
    registrar = Registrar(None, RegistrationConfig(refine="on"))
    places = []
    for number in range(60):
        frame = Frame(0, "visible", visible, "rgb8")
        registrar.align(number * STEP_NS // 3, frame, still if number < 10 else bumped)
        places.append(placed(registrar))
    assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() <= 0.5
    assert misalignment(registrar, (6, 5)) < 0.7


def test_what_is_beyond_the_range_is_not_followed():
    visible, thermal = scene_pair(3)
    registrar = Registrar(None, RegistrationConfig(refine="on", range_px=4))
    results = run(registrar, [(visible, shifted(thermal, (10, 0)))] * 30)
    assert misalignment(registrar, (0, 0)) < 0.1
    assert results[-1].confidence < 0.5


def test_pictures_without_a_common_edge_change_nothing():
    visible, _ = scene_pair(4)
    empty = ThermalImage(np.full((H, W), 0.4, np.float32), None)
    registrar = Registrar(None, RegistrationConfig(refine="on"))
    results = run(registrar, [(visible, empty)] * 15)
    assert results[-1].confidence < 0.1
    np.testing.assert_array_equal(results[-1].thermal, empty.luminance)


def test_pictures_too_small_to_compare_pass_unmeasured():
    visible, thermal = np.zeros((24, 32, 3), np.uint8), np.zeros((24, 32), np.float32)
    registrar = Registrar(None, RegistrationConfig(refine="on"))
    results = run(registrar, [(visible, ThermalImage(thermal, None))] * 12)
    assert [result.visible.shape for result in results] == [(24, 32, 3)] * 12
    assert not registrar.report().get("measured")


@pytest.mark.parametrize("policy", ["keep_last", "soften", "visible_only"])
def test_policy_at_low_confidence(policy):
    visible, _ = scene_pair(5)
    _, other = scene_pair(6)
    wrong = shifted(other, (0, 0))
    registrar = Registrar(None, RegistrationConfig(refine="on", on_low_confidence=policy))
    last = run(registrar, [(visible, wrong)] * 8)[-1]
    assert last.confidence < 0.5
    if policy == "visible_only":
        assert last.thermal is None
        assert not last.valid.any()
    elif policy == "keep_last":
        np.testing.assert_array_equal(last.thermal, wrong.luminance)
    else:
        assert last.thermal.mean() == pytest.approx(wrong.luminance.mean(), abs=0.01)
        assert last.thermal.std() < 0.9 * wrong.luminance.std()


def test_two_runs_over_the_same_pairs_are_identical():
    visible, thermal = scene_pair(7)
    pairs = [(visible, shifted(thermal, (0.2 * i, 0))) for i in range(15)]
    first, second = (
        run(Registrar(IDENTITY_RIG, RegistrationConfig(refine="on")), pairs) for _ in range(2)
    )
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.thermal, other.thermal)
        assert one.residual_px == other.residual_px


def test_the_correction_is_forgotten_when_sizes_or_time_jump():
    visible, thermal = scene_pair(8)
    registrar = Registrar(None, RegistrationConfig(refine="on"))
    run(registrar, [(visible, shifted(thermal, (5, 0)))] * 20)
    assert misalignment(registrar, (0, 0)) > 3
    run(registrar, [(visible, shifted(thermal, (0, 0)))])  # stamps begin again
    assert misalignment(registrar, (0, 0)) < 0.5
    small = ThermalImage(np.zeros((H // 2, W // 2), np.float32), None)
    half = np.ascontiguousarray(visible[::2, ::2])
    aligned = registrar.align(10**12, Frame(0, "visible", half, "rgb8"), small)
    assert aligned.valid.all()


@pytest.mark.parametrize(
    ("refine", "rig", "refined"),
    [
        ("auto", None, False),
        ("auto", IDENTITY_RIG, True),
        ("off", IDENTITY_RIG, False),
        ("on", None, True),
    ],
)
def test_refinement_is_on_where_a_rig_says_that_the_cameras_are_apart(refine, rig, refined):
    visible, thermal = scene_pair(9)
    registrar = Registrar(rig, RegistrationConfig(refine=refine))
    run(registrar, [(visible, shifted(thermal, (0, 0)))])
    assert bool(registrar.report()) == refined


def test_a_rig_and_its_correction_are_applied_one_after_the_other():
    # The rig says 20 px to the right; the pictures say 3 px further.
    visible, thermal = scene_pair(10)
    rig = Rig.from_mapping(
        {
            "homography": [[1, 0, 20], [0, 1, 0], [0, 0, 1]],
            "visible_size": [W, H],
            "thermal_size": [W, H],
        }
    )
    registrar = Registrar(rig, RegistrationConfig(refine="on"))
    run(registrar, [(visible, shifted(thermal, (23, 0)))] * 30)
    assert misalignment(registrar, (3, 0)) < 0.5


def test_in_the_background_the_newest_map_arrives_by_itself():
    visible, thermal = scene_pair(11)
    moved = shifted(thermal, (4, 0))
    waiter = threading.Event()
    with Registrar(None, RegistrationConfig(refine="on")) as registrar:
        registrar.start()
        for number in range(3000):
            registrar.align(number * STEP_NS, Frame(0, "visible", visible, "rgb8"), moved)
            if misalignment(registrar, (4, 0)) < 0.5:
                break
            waiter.wait(0.01)
        assert misalignment(registrar, (4, 0)) < 0.5
