"""A rig of known truth is found again from nothing but a recording of a board."""

from dataclasses import replace

import board_world
import cv2
import numpy as np
import pytest
import yaml
from board_world import part

from fusion_core.cli.main import main
from fusion_core.config import Config
from fusion_core.pipeline import Pipeline
from fusion_core.registration import Rig
from fusion_core.registration.warp import map_pixels
from fusion_core.source import open_source

LATE_MS = 37.0  # thermal stamps lag behind by this much in board_world.record


def calibrate(recording, out, *more):
    visible, thermal, spec = recording
    return main(
        [
            "calibrate",
            *("--visible", visible, "--thermal", thermal, "--target", spec),
            *("--out", str(out)),
            *map(str, more),
        ]
    )


def intrinsic_errors(camera, truth):
    found = np.array(camera.k)[[0, 4, 2, 5]]
    return np.abs(found / (truth.fx, truth.fy, truth.cx, truth.cy) - 1)


@pytest.mark.parametrize("kind", ["chessboard", "circles", "charuco"])
def test_a_moving_board_gives_the_whole_rig(rigs, kind):
    # 1280x720 colour and 640x512 inverted 16-bit thermal, both distorted, 8 cm apart, 15 and
    # 12.5 Hz, never at the same moment: all of that and the noise is in board_world.
    rig = Rig.load(rigs(kind)[0])
    assert intrinsic_errors(rig.visible, board_world.VISIBLE).max() < 0.005
    assert intrinsic_errors(rig.thermal, board_world.THERMAL).max() < 0.005
    rotation = rig.t_thermal_rgb[:3, :3] @ board_world.ROTATION.T
    assert np.degrees(np.linalg.norm(cv2.Rodrigues(rotation)[0])) < 0.1
    assert np.linalg.norm(rig.t_thermal_rgb[:3, 3] - board_world.TRANSLATION) < 0.004
    assert abs(rig.thermal_offset_ms + LATE_MS) < 3
    for which in ("visible", "thermal", "pose"):
        assert rig.calibration[which]["rms_px"] < 0.5


def test_the_rig_maps_pixels_as_the_true_one_does(rigs):
    rig = replace(Rig.load(rigs("chessboard")[0]), reference_depth_m=1.5)
    pixels = np.stack(np.meshgrid(np.arange(200, 1081, 80), np.arange(80, 641, 80)), -1)
    pixels = pixels.reshape(-1, 2).astype(np.float64)
    # By hand: ray of the pixel, met with the plane at 1.5 m, seen by the thermal camera.
    seen, warm = board_world.VISIBLE, board_world.THERMAL
    rays = cv2.undistortPoints(pixels.reshape(-1, 1, 2), seen.k, np.array(seen.d)).reshape(-1, 2)
    points = np.column_stack((rays, np.ones(len(rays)))) * 1.5
    turn = cv2.Rodrigues(board_world.ROTATION)[0]
    expected, _ = cv2.projectPoints(points, turn, board_world.TRANSLATION, warm.k, np.array(warm.d))
    found = map_pixels(rig, pixels, (1280, 720), (640, 512))
    inside = np.isfinite(found).all(axis=1)
    assert inside.mean() > 0.9
    assert np.abs(found - expected.reshape(-1, 2))[inside].max() < 1.0


def test_convention_the_offset_of_a_rig_pairs_what_was_seen_together(boards, rigs):
    visible, thermal, _ = boards("chessboard")
    config = Config.load(rigs("chessboard")[0], device="cpu")
    with Pipeline(config) as pipeline, open_source(visible=visible, thermal=thermal) as source:
        fused = next(f for f in pipeline.stream(source) if f.skew_ns is not None)
    true_skew = fused.pair.thermal.stamp_ns - LATE_MS * 1e6 - fused.pair.visible.stamp_ns
    assert abs(fused.skew_ns - true_skew) < 3e6


def test_known_intrinsics_are_kept_and_the_pose_is_measured(boards, rigs, tmp_path):
    rig = Rig.load(rigs("charuco")[0])
    recording = part(boards("charuco"), tmp_path, slice(5, 25))
    names = []
    for side in ("visible", "thermal"):
        names.append(tmp_path / f"{side}.yaml")
        names[-1].write_text(yaml.safe_dump(rig.to_mapping()[side]))
    given = ["--import-camera-info", *names, "--time-offset", -LATE_MS]
    out = tmp_path / "rig.yaml"
    assert calibrate(recording, out, *given) == 0
    again = Rig.load(out)
    assert (again.visible, again.thermal) == (rig.visible, rig.thermal)
    assert np.allclose(again.t_thermal_rgb, rig.t_thermal_rgb, atol=3e-3)
    assert again.thermal_offset_ms == -LATE_MS


def test_snapshots_are_paired_by_name_and_tell_no_offset(boards, tmp_path):
    # Every seventh picture of both cameras, at the same moments and numbered: no motion to follow.
    world = board_world
    eyes = world.Eye(world.VISIBLE), world.Eye(world.THERMAL, world.ROTATION, world.TRANSLATION)
    board, grain = world.chessboard(), world.Grain(3)
    for eye, name, paint in zip(
        eyes, ("vi", "ir"), (world.visible_picture, world.thermal_picture), strict=True
    ):
        (tmp_path / name).mkdir()
        background = world.scenery(eye.camera, 3)
        for index in range(13):
            picture = paint(eye.see(board, world.swing(1.7 * index)), background, grain)
            picture = picture[..., ::-1].copy() if picture.ndim == 3 else picture
            cv2.imwrite(str(tmp_path / name / f"{index:03}.png"), picture)
    recording = str(tmp_path / "vi"), str(tmp_path / "ir"), "chessboard:9x6:0.05"
    out = tmp_path / "rig.yaml"
    assert calibrate(recording, out) == 0
    rig = Rig.load(out)
    rotation = rig.t_thermal_rgb[:3, :3] @ board_world.ROTATION.T
    assert np.degrees(np.linalg.norm(cv2.Rodrigues(rotation)[0])) < 0.3
    assert rig.thermal_offset_ms == 0
    assert "time_offset" not in rig.calibration


def test_the_report_is_one_file_with_pictures_and_plots(rigs):
    page = rigs("circles")[1]
    text = page.read_text()
    assert text.count("<img ") == 12  # three moments: points in both, before, after
    assert text.count("<svg") == 6
    assert "http" not in text.replace("http://www.w3.org", "")
    assert page.stat().st_size < 2_000_000
