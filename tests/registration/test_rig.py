"""Reading, checking and writing of rig files."""

import copy
from pathlib import Path

import numpy as np
import pytest
import yaml

from fusion_core.errors import CalibrationError
from fusion_core.registration import Rig
from fusion_core.registration.warp import Warp

CAMERAS = yaml.safe_load("""
visible:
  image_width: 640
  image_height: 480
  distortion_model: plumb_bob
  distortion_coefficients: {rows: 1, cols: 5, data: [-0.3, 0.1, 0.001, -0.002, 0.01]}
  camera_matrix: {rows: 3, cols: 3, data: [500, 0, 319.5, 0, 500, 239.5, 0, 0, 1]}
thermal:
  image_width: 640
  image_height: 512
  distortion_model: equidistant
  distortion_coefficients: [0.05, -0.01, 0.002, -0.001]
  camera_matrix: [[760, 0, 319.5], [0, 760, 255.5], [0, 0, 1]]
T_thermal_rgb: [[1, 0, 0, 0.06], [0, 0, -1, 0.01], [0, 1, 0, 0], [0, 0, 0, 1]]
reference_depth_m: 10
""")
HOMOGRAPHY = yaml.safe_load("""
homography: [[0.5, 0, 1], [0, 0.5, 2], [0, 0, 1]]
visible_size: [64, 48]
thermal_size: [32, 24]
""")


def broken(change):
    data = copy.deepcopy(CAMERAS)
    change(data)
    return data


def put(*path):
    *keys, last, value = path

    def change(data):
        for key in keys:
            data = data[key]
        data[last] = value

    return change


@pytest.mark.parametrize("data", [CAMERAS, HOMOGRAPHY])
def test_save_and_load_give_the_same_rig(tmp_path, data):
    rig = Rig.from_mapping(data)
    path = tmp_path / "rig.yaml"
    rig.save(path)
    assert Rig.load(path).to_mapping() == rig.to_mapping()
    assert [p.name for p in tmp_path.iterdir()] == ["rig.yaml"]


@pytest.mark.parametrize("data", [CAMERAS, HOMOGRAPHY])
def test_time_offset_and_record_survive_and_may_be_left_out(data):
    more = {**data, "thermal_offset_ms": -37, "calibration": {"date": "2026-01-02"}}
    rig = Rig.from_mapping(more)
    assert rig.thermal_offset_ms == -37.0
    assert Rig.from_mapping(rig.to_mapping()).to_mapping() == rig.to_mapping()
    assert rig.to_mapping()["calibration"] == {"date": "2026-01-02"}
    assert Rig.from_mapping(data).thermal_offset_ms == 0.0
    assert "thermal_offset_ms" not in Rig.from_mapping(data).to_mapping()


def test_a_camera_info_file_fits_in_unchanged():
    # The layout that camera_calibration_parsers of ROS writes.
    text = """
    image_width: 640
    image_height: 512
    camera_name: boson
    camera_matrix: {rows: 3, cols: 3, data: [768.0, 0.0, 319.5, 0.0, 768.0, 255.5, 0.0, 0.0, 1.0]}
    distortion_model: plumb_bob
    distortion_coefficients: {rows: 1, cols: 5, data: [-0.3, 0.1, 0.0, 0.0, 0.0]}
    rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
    projection_matrix: {rows: 3, cols: 4, data: [768, 0, 319.5, 0, 0, 768, 255.5, 0, 0, 0, 1, 0]}
    """
    data = {**CAMERAS, "thermal": yaml.safe_load(text)}
    thermal = Rig.from_mapping(data).thermal
    assert (thermal.width, thermal.height) == (640, 512)
    assert thermal.k == (768.0, 0.0, 319.5, 0.0, 768.0, 255.5, 0.0, 0.0, 1.0)
    assert thermal.d == (-0.3, 0.1, 0.0, 0.0, 0.0)


MIRROR = np.diag([1.0, 1.0, -1.0, 1.0]).tolist()
SHEARED = (np.eye(4) + np.eye(4, k=1) * 0.1).tolist()
FAR = np.eye(4)
FAR[0, 3] = 60.0  # 60 mm given as metres
TRANSPOSED = np.eye(4)
TRANSPOSED[3, 0] = 0.1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.pop("thermal"), ["'thermal'", "missing"]),
        (put("refrence_depth_m", 3), ["'refrence_depth_m'", "reference_depth_m"]),
        (put("visible", "fx", 3), ["visible", "'fx'", "camera_matrix"]),
        (put("visible", "image_width", 0), ["visible.image_width", "0"]),
        (put("visible", "image_width", 640.0), ["visible.image_width"]),
        (put("visible", "distortion_model", "brown"), ["'brown'", "plumb_bob", "equidistant"]),
        (put("visible", "distortion_coefficients", [0.1]), ["plumb_bob", "4 or 5", "got 1"]),
        (put("visible", "camera_matrix", [1, 2, 3]), ["visible.camera_matrix", "3x3", "got 3"]),
        (put("visible", "camera_matrix", "eye"), ["visible.camera_matrix", "'eye'"]),
        (
            put(
                "visible",
                "camera_matrix",
                np.linalg.inv([[5e2, 0, 320], [0, 5e2, 240], [0, 0, 1]]).tolist(),
            ),
            ["visible.camera_matrix", "inverse"],
        ),
        (put("thermal", "camera_matrix", [[700, 0, 9e9], [0, 700, 1], [0, 0, 1]]), ["outside"]),
        (
            put("thermal", "camera_matrix", [[700, 2, 320], [0, 700, 255], [0, 0, 1]]),
            ["[fx, 0, cx]"],
        ),
        (put("T_thermal_rgb", MIRROR), ["T_thermal_rgb", "mirrors"]),
        (put("T_thermal_rgb", SHEARED), ["T_thermal_rgb", "rotation", "0.1"]),
        (put("T_thermal_rgb", FAR.tolist()), ["T_thermal_rgb", "60 m", "metres"]),
        (put("T_thermal_rgb", TRANSPOSED.tolist()), ["T_thermal_rgb", "last row"]),
        (put("T_thermal_rgb", np.full((4, 4), np.nan).tolist()), ["T_thermal_rgb", "finite"]),
        (put("reference_depth_m", -1), ["reference_depth_m", "-1"]),
        (put("reference_depth_m", True), ["reference_depth_m", "True"]),
        (put("thermal", 7), ["thermal", "int"]),
        (put("thermal_offset_ms", "37 ms"), ["thermal_offset_ms", "'37 ms'"]),
        (put("thermal_offset_ms", 37e13), ["thermal_offset_ms", "10000000000000"]),
        (put("calibration", "by hand"), ["calibration", "str"]),
        (put("visible", "image_width", 70_000), ["visible.image_width", "65535", "70000"]),
        (put("visible", "image_width", "wide" * 99), ["visible.image_width", "..."]),
        (put("visible", "camera_matrix", [[1, 2], [3]]), ["visible.camera_matrix", "equal"]),
        (put("visible", "camera_matrix", {"rows": 3}), ["visible.camera_matrix", "data"]),
        (put("visible", "distortion_coefficients", [1e300] * 4), ["1e+300", "limit 1e+12"]),
        (put("reference_depth_m", 1e300), ["reference_depth_m", "100000", "1e+300"]),
        (put("reference_depth_m", float("nan")), ["reference_depth_m", "nan"]),
        (put(7, "seven"), ["7", "strings"]),
    ],
)
def test_errors_name_the_key(change, words):
    with pytest.raises(CalibrationError) as error:
        Rig.from_mapping(broken(change))
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"homography": np.zeros((3, 3)).tolist()}, "singular"),
        ({"visible_size": [0, 4]}, "visible_size"),
        ({"visible": CAMERAS["visible"]}, "'visible'"),
        ({"thermal_size": "32x24"}, "thermal_size"),
        ({"thermal_size": [32, 24, 3]}, "thermal_size: expected .width, height."),
        ({"homography": (np.eye(3) * 1e300).tolist()}, "1e.300 .limit 1e.12"),
        ({"homography": [[1e300, 0, 0], [0, 1, 0], [0, 0, 1e-300]]}, "1e.300"),
        ({"homography": [10**400] * 9}, "homography: expected numbers"),
    ],
)
def test_homography_rig_is_checked(change, word):
    with pytest.raises(CalibrationError, match=word):
        Rig.from_mapping({**HOMOGRAPHY, **change})


@pytest.mark.parametrize("content", [b"{unclosed", b"just words", b"\xff\xfe\x00", b""])
def test_a_file_that_is_no_rig_is_refused(tmp_path, content):
    path = tmp_path / "rig.yaml"
    path.write_bytes(content)
    with pytest.raises(CalibrationError, match=r"rig\.yaml"):
        Rig.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CalibrationError, match=r"none\.yaml: cannot be read"):
        Rig.load(tmp_path / "none.yaml")


def test_a_rig_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CalibrationError, match="cannot be written"):
        Rig.from_mapping(CAMERAS).save(tmp_path / "file" / "rig.yaml")


SAMPLES = sorted((Path(__file__).parents[2] / "calibration").glob("*.yaml"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.name)
def test_the_sample_rigs_load_and_show_most_of_the_thermal_image(path):
    rig = Rig.load(path)
    width, height = rig.visible_size
    warp = Warp.build(rig, rig.visible_size, rig.thermal_size)
    assert warp.valid.shape == (height, width)
    assert warp.valid.mean() > 0.25


def test_there_are_sample_rigs():
    assert len(SAMPLES) >= 2
