"""Rigs from other tools' files, and the meaning of what they say."""

import numpy as np
import pytest
import yaml

from fusion_core.cli.main import main
from fusion_core.registration import Rig

# The form that kalibr_calibrate_imu_camera writes.
CAMCHAIN = """
cam0:
  T_cam_imu:
  - [1.0, 0.0, 0.0, 0.01]
  - [0.0, 1.0, 0.0, 0.0]
  - [0.0, 0.0, 1.0, 0.0]
  - [0.0, 0.0, 0.0, 1.0]
  cam_overlaps: [1]
  camera_model: pinhole
  distortion_coeffs: [-0.1, 0.02, 0.001, -0.002]
  distortion_model: radtan
  intrinsics: [900.0, 901.0, 640.5, 360.5]
  resolution: [1280, 720]
  rostopic: /rgb/image_raw
  timeshift_cam_imu: 0.005
cam1:
  T_cam_imu:
  - [0.0, -1.0, 0.0, 0.0]
  - [1.0, 0.0, 0.0, 0.0]
  - [0.0, 0.0, 1.0, 0.0]
  - [0.0, 0.0, 0.0, 1.0]
  T_cn_cnm1:
  - [0.0, -1.0, 0.0, -0.08]
  - [1.0, 0.0, 0.0, 0.02]
  - [0.0, 0.0, 1.0, 0.03]
  - [0.0, 0.0, 0.0, 1.0]
  cam_overlaps: [0]
  camera_model: pinhole
  distortion_coeffs: [0.01, 0.02, 0.03, 0.04]
  distortion_model: equidistant
  intrinsics: [570.0, 571.0, 319.5, 255.5]
  resolution: [640, 512]
  rostopic: /thermal/image_raw
  timeshift_cam_imu: -0.032
"""
CAMERA_INFO = """
image_width: {0}
image_height: {1}
camera_name: cam
camera_matrix: {{rows: 3, cols: 3, data: [500.0, 0.0, 320.0, 0.0, 500.0, 240.0, 0.0, 0.0, 1.0]}}
distortion_model: plumb_bob
distortion_coefficients: {{rows: 1, cols: 5, data: [-0.3, 0.1, 0.0, 0.0, 0.0]}}
rectification_matrix: {{rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}}
projection_matrix: {{rows: 3, cols: 4, data: [500, 0, 320, 0, 0, 500, 240, 0, 0, 0, 1, 0]}}
"""


def imported(tmp_path, chain, *more):
    path, out = tmp_path / "camchain.yaml", tmp_path / "rig.yaml"
    path.write_text(chain if isinstance(chain, str) else yaml.safe_dump(chain))
    code = main(["calibrate", "--import-kalibr", str(path), "--out", str(out), "--force", *more])
    return code, (Rig.load(out) if out.exists() else None)


def test_convention_kalibr_cn_cnm1_maps_the_camera_before_into_camera_n(tmp_path):
    code, rig = imported(tmp_path, CAMCHAIN)
    assert code == 0
    # A point straight ahead of cam0, 2 m away, by hand from the matrix of cam1.
    assert np.allclose(rig.t_thermal_rgb @ [0, 0, 2, 1], [-0.08, 0.02, 2.03, 1])
    # One that lies 1 m to the right of cam0 lies 1 m below cam1's axis (plus the shift).
    assert np.allclose(rig.t_thermal_rgb @ [1, 0, 2, 1], [-0.08, 1.02, 2.03, 1])


def test_convention_kalibr_timeshifts_are_added_to_each_cameras_stamps(tmp_path):
    # t_imu = t_rgb + 5 ms = t_thermal - 32 ms, so t_rgb = t_thermal - 37 ms.
    _, rig = imported(tmp_path, CAMCHAIN)
    assert rig.thermal_offset_ms == pytest.approx(-37.0)


def test_kalibr_cameras_keep_their_lens_models(tmp_path):
    _, rig = imported(tmp_path, CAMCHAIN)
    assert rig.visible.distortion_model == "plumb_bob"
    assert rig.visible.d == (-0.1, 0.02, 0.001, -0.002)
    assert rig.visible.k == (900.0, 0.0, 640.5, 0.0, 901.0, 360.5, 0.0, 0.0, 1.0)
    assert rig.thermal.distortion_model == "equidistant"
    assert (rig.thermal.width, rig.thermal.height) == (640, 512)


def test_a_chain_that_starts_with_the_thermal_camera_is_inverted(tmp_path):
    chain = yaml.safe_load(CAMCHAIN)
    chain["cam0"]["rostopic"], chain["cam1"]["rostopic"] = "/thermal/image_raw", "/rgb/image_raw"
    _, turned = imported(tmp_path, chain)
    straight = np.array(chain["cam1"]["T_cn_cnm1"])
    assert np.allclose(turned.t_thermal_rgb @ straight, np.eye(4))
    assert turned.thermal_offset_ms == pytest.approx(37.0)


def test_a_third_camera_between_both_is_chained(tmp_path):
    chain = yaml.safe_load(CAMCHAIN)
    chain["cam2"] = {**chain["cam1"], "rostopic": "/boson/infrared"}
    chain["cam1"]["rostopic"] = "/depth/image"
    step = np.array(chain["cam1"]["T_cn_cnm1"])
    code, _ = imported(tmp_path, chain)
    assert code == 2  # rgb or depth?
    _, rig = imported(tmp_path, chain, "--visible-topic", "/rgb/image_raw")
    assert np.allclose(rig.t_thermal_rgb, step @ step)


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda c: c["cam1"].update(distortion_model="fov"), 1, ["cam1", "pinhole-fov", "radtan"]),
        (lambda c: c["cam0"].update(camera_model="omni"), 1, ["cam0", "omni-radtan"]),
        (lambda c: c["cam1"].pop("T_cn_cnm1"), 1, ["cam1", "'T_cn_cnm1'"]),
        (lambda c: c["cam0"].pop("intrinsics"), 1, ["cam0", "'intrinsics'"]),
        (lambda c: c.pop("cam1"), 1, ["two cameras"]),
        (lambda c: c.update(cam1=7), 1, ["cam1", "mapping", "int"]),
        (lambda c: c["cam1"].update(timeshift_cam_imu="soon"), 1, ["timeshift_cam_imu", "'soon'"]),
        (lambda c: c["cam1"].update(timeshift_cam_imu=99.0), 1, ["timeshift_cam_imu", "10", "99"]),
        (lambda c: c["cam0"].update(intrinsics=[1, 2]), 1, ["cam0.intrinsics", "4"]),
        (lambda c: c["cam0"].update(resolution=[0, 4]), 1, ["cam0.image_width", "0"]),
        (lambda c: c["cam1"].update(T_cn_cnm1="eye"), 1, ["cam1.T_cn_cnm1", "'eye'"]),
        (lambda c: c["cam1"].pop("rostopic"), 2, ["--visible-topic", "cam1"]),
    ],
)
def test_a_chain_that_cannot_be_used_is_refused(tmp_path, capsys, change, code, words):
    chain = yaml.safe_load(CAMCHAIN)
    change(chain)
    assert imported(tmp_path, chain) == (code, None)
    line = capsys.readouterr().err
    for word in words:
        assert word in line


def test_convention_the_pose_of_tf_maps_visible_points_into_the_thermal_frame(tmp_path):
    names = []
    for name, size in (("visible", (640, 480)), ("thermal", (640, 512))):
        names.append(tmp_path / f"{name}.yaml")
        names[-1].write_text(CAMERA_INFO.format(*size))
    out = tmp_path / "rig.yaml"
    # A quarter turn about the optical axis, as tf2_echo prints it, and 8 cm to the right:
    # x of the visible camera becomes y of the thermal one.
    turn = ["-0.08", "0", "0", "0", "0", "0.70711", "0.70711"]
    arguments = ["--import-camera-info", *map(str, names), "--pose", *turn]
    assert main(["calibrate", *arguments, "--out", str(out), "--time-offset", "-12.5"]) == 0
    rig = Rig.load(out)
    assert np.allclose(rig.t_thermal_rgb @ [1, 0, 5, 1], [-0.08, 1, 5, 1], atol=1e-5)
    assert (rig.visible_size, rig.thermal_size) == ((640, 480), (640, 512))
    assert rig.thermal_offset_ms == -12.5


def test_a_quaternion_of_another_length_is_bad_usage(tmp_path, capsys):
    path = tmp_path / "camera.yaml"
    path.write_text(CAMERA_INFO.format(640, 480))
    pose = ["--pose", "0", "0", "0", "1", "1", "0", "1"]
    arguments = ["--import-camera-info", str(path), str(path), *pose]
    assert main(["calibrate", *arguments, "--out", str(tmp_path / "rig.yaml")]) == 2
    assert "quaternion" in capsys.readouterr().err
