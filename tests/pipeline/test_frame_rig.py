"""The calibration ``tf``: what a bag says of its cameras does what the same rig as a file does."""

import json
import time
from types import SimpleNamespace

import numpy as np
import pytest
from bag_maker import START, BagMaker

from fusion_core.cli.main import main
from fusion_core.config import Config
from fusion_core.errors import CalibrationError
from fusion_core.pipeline import Pipeline
from fusion_core.registration import FrameRig, Rig, transform_depth
from fusion_core.source import open_source
from fusion_core.types import CameraModel, Frame, FramePair

OPTICAL, NONE = (-0.5, 0.5, -0.5, 0.5), (0.0, 0.0, 0.0, 1.0)
K_RGB = (120.0, 0.0, 79.5, 0.0, 120.0, 59.5, 0.0, 0.0, 1.0)
K_LWIR = (100.0, 0.0, 63.5, 0.0, 100.0, 47.5, 0.0, 0.0, 1.0)
RGB, LWIR = (160, 120), (128, 96)
D = (-0.1, 0.01, 0.001, -0.002, 0.0)  # of the bag maker
TREE = [
    ("head", "rgb", (0.0, 0.0, 0.0), OPTICAL),
    ("head", "lwir", (0.0, -0.045, 0.0), OPTICAL),
]
# The thermal camera sits 45 mm to the right.
T_THERMAL_RGB = [[1, 0, 0, -0.045], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def camera(k, size, d=D):
    return CameraModel(*size, "plumb_bob", d, k)


def write_bag(path, kind="mcap", *, infos=("rgb", "thermal"), tree=TREE, frames=("rgb", "lwir")):
    bag = BagMaker(path, kind)
    rng = np.random.default_rng(0)
    if tree:
        bag.transforms(tree)
    for number in range(4):
        stamp = START + number * 10**8
        picture = rng.integers(0, 256, (*RGB[::-1], 3), np.uint8)
        heat = rng.integers(20_000, 24_000, LWIR[::-1]).astype(np.uint16)
        bag.image("/rgb/image_raw", stamp, picture, "rgb8", frame_id=frames[0])
        bag.image("/thermal/image_raw", stamp, heat, "mono16", frame_id=frames[1])
        for name, k, size in (("rgb", K_RGB, RGB), ("thermal", K_LWIR, LWIR)):
            if name in infos:
                bag.info(f"/{name}/camera_info", stamp, k, size)
    return bag.close()


def run(bag, calibration):
    settings = {"model": "m2pn-edge", "device": "cpu", "prior": "none", "detector": "none"}
    settings |= {"calibration": calibration, "registration": {"refine": "off"}}
    with Pipeline(Config.from_dict(settings)) as pipeline, open_source(bag) as source:
        return list(pipeline.stream(source)), pipeline.status()


@pytest.mark.parametrize("kind", ["mcap", "sqlite", "ros1"])
def test_a_bag_with_camera_infos_and_transforms_needs_no_rig_file(tmp_path, kind):
    bag = write_bag(tmp_path / "bag", kind)
    rig = Rig(
        RGB,
        LWIR,
        visible=camera(K_RGB, RGB),
        thermal=camera(K_LWIR, LWIR),
        t_thermal_rgb=np.array(T_THERMAL_RGB, float),
        reference_depth_m=4.0,
    )
    rig.save(tmp_path / "rig.yaml")
    expected, _ = run(bag, str(tmp_path / "rig.yaml"))
    found, status = run(bag, "tf:4")
    assert status.calibration_problem == ""
    assert len(found) == 4
    for one, other in zip(found, expected, strict=True):
        assert one.health == other.health
        np.testing.assert_array_equal(one.aligned.valid, other.aligned.valid)
        np.testing.assert_allclose(one.aligned.thermal, other.aligned.thermal, atol=1e-5)
        np.testing.assert_array_equal(one.image, other.image)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tree": ()}, "no transform between 'rgb' and 'lwir' on /tf_static (frames there: none)"),
        ({"tree": TREE[:1]}, "frames there: head, rgb"),
        ({"infos": ("rgb",)}, "no calibrated camera info fits the thermal images"),
        ({"frames": ("rgb", "")}, "the thermal images name no frame"),
        ({"tree": [TREE[0], (*TREE[1][:3], NONE)]}, "must name optical frames"),
        ({"tree": [TREE[0], ("head", "lwir", (9.0, 0.0, 0.0), OPTICAL)]}, "9 m apart"),
    ],
)
def test_what_is_missing_is_said_and_the_run_fails(tmp_path, capsys, options, words):
    bag = write_bag(tmp_path / "bag", **options)
    command = ["run", "--bag", str(bag), "--calibration", "tf", "--out", f"{tmp_path}/a.jsonl"]
    assert main([*command, "--device", "cpu", "--prior", "none", "--detector", "none"]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


def test_a_run_names_its_calibration(tmp_path):
    bag = write_bag(tmp_path / "bag")
    command = ["run", "--bag", str(bag), "--calibration", "tf", "--out", f"{tmp_path}/a.jsonl"]
    assert main([*command, "--device", "cpu", "--prior", "none", "--detector", "none"]) == 0
    assert json.loads((tmp_path / "run.json").read_text())["calibration"] == "tf"


def test_where_no_frames_are_known_it_is_refused(tmp_path, capsys):
    command = ["run", "--visible", "a.mp4", "--thermal", "b.mp4", "--calibration", "tf"]
    assert main([*command, "--out", f"{tmp_path}/a.jsonl"]) == 2
    assert "calibration tf: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "depth"), [("tf", 10.0), ("tf:4.5", 4.5), ("rig.yaml", None), ("", None)]
)
def test_the_form_of_the_setting(text, depth):
    assert transform_depth(text) == depth


def test_a_depth_of_zero_is_refused():
    with pytest.raises(CalibrationError, match="above 0 m"):
        transform_depth("tf:0")


def test_live_results_show_the_visible_picture_until_the_transform_is_there():
    settings = {"model": "m2pn-edge", "device": "cpu", "prior": "none", "detector": "none"}
    results = []
    sides = (("visible", "rgb", K_RGB, RGB), ("thermal", "lwir", K_LWIR, LWIR))
    frames = iter(range(1, 10_000))

    def send(pipeline):
        number = next(frames)
        for name, frame, k, size in sides:
            shape = (*size[::-1], 3) if name == "visible" else size[::-1]
            image = np.random.default_rng(number).integers(0, 256, shape, np.uint8)
            encoding = "rgb8" if name == "visible" else "mono8"
            stamp = START + number * 10**8
            pipeline.submit(Frame(stamp, name, image, encoding, frame, camera=camera(k, size)))

    def send_until(pipeline, wanted):
        end = time.monotonic() + 60
        while not (results and results[-1].health == wanted):
            assert time.monotonic() < end, results and results[-1].health
            send(pipeline)
            time.sleep(0.02)

    with Pipeline(Config.from_dict(settings | {"calibration": "tf"})) as pipeline:
        pipeline.start(results.append)
        send_until(pipeline, ("uncalibrated",))
        status = pipeline.status()
        assert "no transform" in status.calibration_problem
        assert status.one_sided["visible_only"] == status.fused > 0
        np.testing.assert_array_equal(results[-1].image, results[-1].pair.visible.image)
        pipeline.add_transforms(tf_message())
        send_until(pipeline, ())
        assert pipeline.status().calibration_problem == ""
        assert results[-1].aligned.thermal is not None


def tf_message():
    """Return the tree as rclpy gives it."""
    stamped = [
        SimpleNamespace(
            header=SimpleNamespace(frame_id=parent),
            child_frame_id=child,
            transform=SimpleNamespace(
                translation=SimpleNamespace(**dict(zip("xyz", place, strict=True))),
                rotation=SimpleNamespace(**dict(zip("xyzw", turn, strict=True))),
            ),
        )
        for parent, child, place, turn in TREE
    ]
    return SimpleNamespace(transforms=stamped)


def test_a_camera_without_distortion_is_one():
    rig = FrameRig(10.0)
    for parent, child, _, _ in TREE:
        rig.transforms.add(parent, child, np.eye(4))
    sides = (("visible", "rgb", K_RGB, RGB), ("thermal", "lwir", K_LWIR, LWIR))
    frames = {
        name: Frame(0, name, np.zeros((1, 1), np.uint8), "mono8", frame, camera=camera(k, size, ()))
        for name, frame, k, size in sides
    }
    assert rig.find(FramePair(0, frames["visible"], frames["thermal"], 0)).visible.d == (0.0,) * 5
    assert rig.problem == ""
