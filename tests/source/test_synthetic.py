"""The synthetic scene: what it promises about its frames and the truth they carry."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from fusion_core.errors import UsageError
from fusion_core.types import Frame
from fusion_lab.synthetic import SyntheticScene


def _pair(url: str) -> tuple[Frame, Frame]:
    """Return the first visible and the first thermal frame."""
    frames = list(itertools.islice(SyntheticScene.from_url(url).frames(), 2))
    frames.sort(key=lambda frame: frame.modality, reverse=True)
    return frames[0], frames[1]


def _short(name: str, **parameters: object) -> str:
    """Return the address of a scene just long enough for a frame of each stream."""
    query = {"seed": 3, "seconds": 0.1, "rgb_hz": 10, "thermal_hz": 10, **parameters}
    return f"synthetic://{name}?" + "&".join(f"{key}={value}" for key, value in query.items())


@pytest.fixture(scope="module")
def day() -> tuple[Frame, Frame]:
    return _pair(_short("day"))


@pytest.fixture(scope="module")
def smoke() -> tuple[Frame, Frame]:
    return _pair(_short("smoke"))


def _celsius(frame: Frame) -> np.ndarray:
    return frame.image.astype(np.float64) / 100 - 273.15


def _people_in_thermal(visible: Frame) -> np.ndarray:
    """Return the mask of people carried to the thermal grid by the truth's homography."""
    people = (visible.truth.mask == 1).astype(np.uint8)
    return cv2.warpPerspective(people, visible.truth.homography, (320, 256)) > 0


def test_frames_have_the_stated_layout(day):
    visible, thermal = day
    assert visible.image.shape == (480, 640, 3)
    assert (visible.image.dtype, visible.encoding) == (np.uint8, "rgb8")
    assert thermal.image.shape == (256, 320)
    assert (thermal.image.dtype, thermal.encoding) == (np.uint16, "mono16")
    assert (visible.camera.width, thermal.camera.width) == (640, 320)
    assert visible.frame_id != thermal.frame_id
    assert thermal.truth is None


def test_streams_are_merged_and_keep_their_rates():
    url = _short("day", seconds=0.4, rgb_hz=20)
    scene = SyntheticScene.from_url(url)
    frames = list(scene.frames())
    stamps = {
        modality: [frame.stamp_ns for frame in frames if frame.modality == modality]
        for modality in ("visible", "thermal")
    }
    assert scene.total == len(stamps["visible"]) == 8
    assert np.diff(stamps["visible"]).tolist() == [50_000_000] * 7
    assert np.diff(stamps["thermal"]).tolist() == [100_000_000] * 3
    assert stamps["visible"][0] == 1_700_000_000_000_000_000
    assert 0 < stamps["thermal"][0] - stamps["visible"][0] < 50_000_000
    assert sorted(frame.stamp_ns for frame in frames) == [frame.stamp_ns for frame in frames]
    assert [f.sequence for f in frames if f.modality == "thermal"] == [0, 1, 2, 3]


def test_same_seed_gives_same_bytes_and_another_seed_does_not(day):
    other = _pair(_short("day", seed=4))  # also makes the next line draw its textures anew
    again = _pair(_short("day"))
    for first, second, different in zip(day, again, other, strict=True):
        assert first.image.tobytes() == second.image.tobytes()
        assert first.image.tobytes() != different.image.tobytes()
    assert day[0].truth.boxes == again[0].truth.boxes


def test_every_labelled_pixel_lies_in_a_box_of_its_label(day):
    truth = day[0].truth
    numbers = {"person": 1, "car": 2}
    assert {label for label, _ in truth.boxes} == set(numbers)
    for label, number in numbers.items():
        covered = np.zeros(truth.mask.shape, bool)
        for name, (x, y, width, height) in truth.boxes:
            area = (slice(int(y), int(y + height)), slice(int(x), int(x + width)))
            if name == label:
                covered[area] = True
                edges = truth.mask[area] == number
                assert edges[0].any()
                assert edges[-1].any()
                assert edges[:, 0].any()
                assert edges[:, -1].any()
        assert covered[truth.mask == number].all()


def test_people_are_as_tall_as_the_pinhole_says(day):
    """1.75 m at 520 px focal length: between 6 and 45 m that is 152 to 20 px (h = f H / z)."""
    heights = [box[3] for label, box in day[0].truth.boxes if label == "person"]
    assert len(heights) >= 4
    assert all(10 <= height <= 160 for height in heights)
    assert max(heights) > 40


@pytest.mark.parametrize("name", ["day", "night", "smoke"])
def test_people_are_warmer_than_the_ground_around_them(name):
    visible, thermal = _pair(_short(name))
    celsius, people = _celsius(thermal), _people_in_thermal(visible)
    core = cv2.erode(people.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    around = cv2.dilate(people.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    ground = around & ~cv2.dilate(people.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool)
    assert celsius[core].mean() > celsius[ground].mean() + 3.0
    assert 15 < np.percentile(celsius[core], 95) < 37


def test_convention_homography_maps_visible_to_thermal_pixels_like_the_rig():
    """A point at the reference depth, projected by hand with the rig's plain numbers."""
    scene = SyntheticScene.from_url(_short("day"))
    rig = scene.rig()
    visible, _ = _pair(_short("day"))
    k_visible = np.array(rig["visible"]["camera_matrix"]["data"]).reshape(3, 3)
    k_thermal = np.array(rig["thermal"]["camera_matrix"]["data"]).reshape(3, 3)
    transform = np.array(rig["T_thermal_rgb"])
    point = np.array([1.5, 0.4, rig["reference_depth_m"]])
    seen = k_visible @ point
    expected = k_thermal @ (transform @ (*point, 1.0))[:3]
    mapped = visible.truth.homography @ (seen / seen[2])
    np.testing.assert_allclose(mapped[:2] / mapped[2], expected[:2] / expected[2], atol=1e-9)
    assert np.allclose(transform[:3, :3] @ transform[:3, :3].T, np.eye(3))


def test_convention_homography_fits_the_rendered_pictures(day):
    """Edges of the far scene coincide after warping, and no longer do when shifted by 4 px."""
    visible, thermal = day
    sky_line = slice(40, 190)
    gray = cv2.cvtColor(visible.image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(
        _celsius(thermal).astype(np.float32), visible.truth.homography, (640, 480), flags=flags
    )

    def edges(image: np.ndarray) -> np.ndarray:
        smooth = cv2.GaussianBlur(image, (0, 0), 1.2)
        size = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
        return np.sqrt(size[sky_line, 60:580])

    reference = edges(gray)

    def score(shift_x: int, shift_y: int) -> float:
        moved = edges(np.roll(warped, (shift_y, shift_x), (0, 1)))
        return float(np.corrcoef(reference.ravel(), moved.ravel())[0, 1])

    shifts = list(itertools.product(range(-6, 7, 2), repeat=2))
    best = max(shifts, key=lambda shift: score(*shift))
    assert max(abs(best[0]), abs(best[1])) <= 2


def test_registered_scene_shares_one_grid():
    scene = SyntheticScene.from_url(_short("day", registered=1))
    visible, thermal = list(scene.frames())
    assert thermal.image.shape == visible.image.shape[:2] == (480, 640)
    assert thermal.stamp_ns == visible.stamp_ns
    np.testing.assert_allclose(visible.truth.homography, np.eye(3), atol=1e-9)
    people = visible.truth.mask == 1
    core = cv2.erode(people.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    celsius = _celsius(thermal)
    assert celsius[core].mean() > np.median(celsius[300:]) + 3.0


def _contrast(image: np.ndarray, people: np.ndarray) -> float:
    """Return the mean difference between people and a ring around them, on edges of the mask."""
    inside = cv2.erode(people.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    near = cv2.dilate(people.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    ring = near & ~(cv2.dilate(people.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.0)
    background = cv2.boxFilter(smooth * ring, -1, (25, 25)) / np.maximum(
        cv2.boxFilter(ring.astype(np.float32), -1, (25, 25)), 1e-6
    )
    return float(np.abs(smooth - background)[inside].mean())


def test_smoke_hides_people_from_the_visible_camera_only(day, smoke):
    people = day[0].truth.mask == 1
    clear = _contrast(cv2.cvtColor(day[0].image, cv2.COLOR_RGB2GRAY), people)
    hidden = _contrast(cv2.cvtColor(smoke[0].image, cv2.COLOR_RGB2GRAY), people)
    assert hidden < clear / 8
    warm = _people_in_thermal(day[0])
    assert _contrast(_celsius(smoke[1]), warm) > 0.75 * _contrast(_celsius(day[1]), warm)


def test_degradations_look_like_their_names(day, smoke):
    images = {name: _pair(_short(name))[0].image for name in ("night", "haze", "glare")}
    assert images["night"].mean() < 0.3 * day[0].image.mean()
    assert (images["glare"] == 255).all(axis=2).mean() > 0.01
    assert (day[0].image == 255).all(axis=2).mean() < 0.002
    far = (slice(150, 230), slice(200, 400))
    assert images["haze"][far].std() < 0.5 * day[0].image[far].std()
    assert smoke[0].image.std() < 0.6 * day[0].image.std()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("day", "clean"), ("night", "low_light"), ("smoke", "smoke"), ("haze", "haze"),
        ("glare", "over_exposure"), ("rain", "rain"), ("snow", "snow"),
    ],
)  # fmt: skip
def test_single_scenes_name_their_degradation(name, label):
    from fusion_lab.synthetic.timeline import conditions_at

    assert conditions_at(name, 0.0, 1.0).labels() == {label: 1.0}


def test_street_goes_through_its_episodes_without_a_jump():
    from fusion_lab.synthetic.timeline import conditions_at

    moments = [conditions_at("street", index / 30, 12.0) for index in range(360)]
    kinds = [max(moment.labels(), key=moment.labels().get) for moment in moments]
    order = [kind for kind, _ in itertools.groupby(kinds)]
    assert order == ["clean", "low_light", "smoke", "haze", "over_exposure"]
    nights = np.array([moment.night for moment in moments])
    assert np.abs(np.diff(nights)).max() < 0.1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("synthetic://beach", "known scenes: street, day"),
        ("synthetic://", "unknown scene ''"),
        ("synthetic://day?speed=2", "known parameters: seed, seconds"),
        ("synthetic://day?seconds=0", "seconds = '0'"),
        ("synthetic://day?seed=one", "expected a whole number"),
        ("synthetic://day?rgb_hz=nan", "from 1 to 120"),
        ("file:///tmp", "not a synthetic scene"),
    ],
)
def test_wrong_addresses_name_what_is_known(url, words):
    with pytest.raises(UsageError) as caught:
        SyntheticScene.from_url(url)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_thermal_camera_sees_all_that_the_visible_camera_sees(day):
    """Corners of the visible image fall into the thermal image, so registration leaves no gap."""
    corners = np.array([[[0, 0], [639, 0], [639, 479], [0, 479]]], np.float64)
    mapped = cv2.perspectiveTransform(corners, day[0].truth.homography)[0]
    assert (mapped >= 0).all()
    assert (mapped <= (319, 255)).all()
