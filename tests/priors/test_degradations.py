"""The degradation bank: what each kind does to a picture, and that it is repeatable."""

import cv2
import numpy as np
import pytest

from fusion_core.errors import UsageError
from fusion_core.priors.kinds import KINDS, THERMAL_KINDS, VISIBLE_KINDS
from fusion_lab.training.degradations import ORDER, Degrader, sample_mixture


@pytest.fixture(scope="module")
def street():
    """A picture with sky, texture and colour, 120x160 in [0, 1]."""
    rng = np.random.default_rng(0)
    fine = cv2.GaussianBlur(rng.random((120, 160, 3), np.float32), (0, 0), 1.0)
    coarse = cv2.resize(rng.random((6, 8, 3)).astype(np.float32), (160, 120))
    picture = 0.55 * coarse + 0.8 * (fine - 0.5) + 0.15
    picture[:40] = [0.55, 0.65, 0.8]
    return np.clip(picture, 0, 1).astype(np.float32)


def detail(picture):
    """Mean absolute difference of neighbours."""
    return float(np.abs(np.diff(picture, axis=1)).mean())


def test_every_kind_of_the_contract_but_clean_can_be_made():
    assert set(ORDER) == set(KINDS) - {"clean"}
    assert set(VISIBLE_KINDS) | set(THERMAL_KINDS) == set(KINDS)


@pytest.mark.parametrize("kind", ORDER)
@pytest.mark.parametrize("colour", [True, False])
def test_each_kind_changes_more_with_severity_and_keeps_shape_and_range(street, kind, colour):
    picture = street if colour else street[..., 1]
    changes = []
    for severity in (0.02, 0.3, 1.0):
        result = Degrader({kind: severity}, seed=3).apply(picture)
        assert result.image.shape == picture.shape
        assert result.image.dtype == np.float32
        assert result.image.min() >= 0
        assert result.image.max() <= 1
        assert result.labels == {kind: severity}
        changes.append(float(np.abs(result.image - picture).mean()))
    assert changes[0] < changes[1] < changes[2]
    # Even at its best, quality 82, JPEG halves the chroma's resolution.
    assert changes[0] < (0.7 if kind == "jpeg" else 0.25) * changes[2]
    assert changes[2] > 0.01


@pytest.mark.parametrize("kind", ORDER)
def test_seeds_decide_everything(street, kind):
    first, second = (Degrader({kind: 0.6}, seed=5).apply(street, 0.4).image for _ in range(2))
    assert np.array_equal(first, second)
    if kind not in {"downsampling", "jpeg", "defocus", "gaussian_blur"}:
        other = Degrader({kind: 0.6}, seed=6).apply(street, 0.4).image
        assert not np.array_equal(first, other)


def test_severity_zero_is_clean(street):
    result = Degrader(dict.fromkeys(ORDER, 0.0), seed=1).apply(street)
    assert result.labels == {"clean": 1.0}
    assert np.array_equal(result.image, street)


def test_the_order_given_does_not_matter_the_physical_one_does(street):
    """Haze lies in front of the scene, noise is made behind it: haze must not veil the noise."""
    one = Degrader({"noise": 0.5, "haze": 1.0}, seed=2).apply(street)
    two = Degrader({"haze": 1.0, "noise": 0.5}, seed=2).apply(street)
    assert np.array_equal(one.image, two.image)
    assert list(one.labels) == ["haze", "noise"]
    noise_alone = detail(Degrader({"noise": 0.5}, seed=2).apply(street).image[:30])
    assert detail(one.image[:30]) > 0.9 * noise_alone


class TestPhysics:
    def test_haze_takes_more_from_what_is_far(self, street):
        class Depth:
            def depth(self, picture):
                plane = np.full(picture.shape[:2], 0.1, np.float32)
                plane[:, :80] = 0.9
                return plane

        image = Degrader({"haze": 0.6}, 4, Depth()).apply(street).image
        far = image[60:, :70, 0].std() / street[60:, :70, 0].std()
        near = image[60:, 90:, 0].std() / street[60:, 90:, 0].std()
        # Koschmieder: contrast falls to exp(-beta d), beta = 3 * 0.6.
        assert far == pytest.approx(np.exp(-1.8 * 0.9), rel=0.05)
        assert near == pytest.approx(np.exp(-1.8 * 0.1), rel=0.05)

    def test_low_light_darkens_and_over_exposure_clips(self, street):
        dark = Degrader({"low_light": 0.6}, 1).apply(street).image
        bright = Degrader({"over_exposure": 0.8}, 1).apply(street).image
        assert dark.mean() < 0.35 * street.mean()
        assert (bright > 0.99).mean() > (street > 0.99).mean() + 0.1

    def test_low_contrast_is_exactly_the_formula(self, street):
        image = Degrader({"low_contrast": 0.5}, 1).apply(street).image
        inside = (image > 0) & (image < 1)
        slope = np.polyfit(street[inside], image[inside], 1)[0]
        assert slope == pytest.approx(np.exp(-1.6 * 0.5), rel=1e-3)

    def test_noise_has_the_deviation_of_its_severity(self):
        flat = np.full((200, 200), 0.5, np.float32)
        image = Degrader({"noise": 0.4}, 8).apply(flat).image
        assert image.std() == pytest.approx(50 * 0.4 / 255, rel=0.05)

    def test_convention_stripes_run_along_columns_or_rows_not_both(self):
        flat = np.full((100, 100), 0.5, np.float32)
        for seed in range(6):
            image = Degrader({"stripes": 0.5}, seed).apply(flat).image
            columns, rows = image.mean(0).std(), image.mean(1).std()
            assert max(columns, rows) > 8 * min(columns, rows)

    @pytest.mark.parametrize("kind", ["gaussian_blur", "motion_blur", "defocus", "downsampling"])
    def test_blur_takes_detail_and_keeps_the_mean(self, street, kind):
        image = Degrader({kind: 0.8}, 1).apply(street).image
        assert detail(image) < 0.5 * detail(street)
        assert image.mean() == pytest.approx(street.mean(), abs=0.01)

    def test_defocus_spreads_a_point_into_a_disc_of_its_radius(self):
        point = np.zeros((41, 41), np.float32)
        point[20, 20] = 1
        image = Degrader({"defocus": 0.5}, 1).apply(point).image
        reach = np.hypot(*(np.argwhere(image > 0) - 20).T)
        assert reach.max() == pytest.approx(4.0, abs=0.5)  # 8 px * 0.5

    def test_convention_rain_falls_downwards(self, street):
        """The picture a moment later is best explained by streaks moved down, not up."""
        grey = np.full((120, 160), 0.2, np.float32)
        rain = Degrader({"rain": 0.4}, 11)
        first, later = (rain.apply(grey, t).image for t in (0.0, 0.002))
        shifts = {
            shift: np.corrcoef(np.roll(first, shift, 0).ravel(), later.ravel())[0, 1]
            for shift in range(-6, 7)
        }
        assert max(shifts, key=shifts.get) > 0


class TestVideo:
    @pytest.mark.parametrize("kind", ["rain", "snow", "smoke", "low_light", "over_exposure"])
    def test_what_moves_moves_smoothly(self, street, kind):
        """Neighbouring moments differ, but less than moments far apart."""
        degrader = Degrader({kind: 0.6}, 9)
        now, soon, late = (degrader.apply(street, t).image for t in (1.0, 1.0005, 3.7))
        near, far = np.abs(now - soon).mean(), np.abs(now - late).mean()
        assert 0 < near < far

    @pytest.mark.parametrize("kind", ["haze", "defocus", "jpeg", "downsampling", "motion_blur"])
    def test_what_stands_stands(self, street, kind):
        degrader = Degrader({kind: 0.6}, 9)
        assert np.array_equal(degrader.apply(street, 0.0).image, degrader.apply(street, 2.0).image)

    def test_noise_is_new_in_every_frame_stripes_are_not(self):
        flat = np.full((80, 80), 0.5, np.float32)
        noise, stripes = Degrader({"noise": 0.5}, 1), Degrader({"stripes": 0.8}, 1)
        first, second = (noise.apply(flat, t).image - 0.5 for t in (0.0, 1 / 30))
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.05
        profiles = [stripes.apply(flat, t).image.mean(0) for t in (0.0, 1 / 30)]
        assert np.corrcoef(*profiles)[0, 1] > 0.95


class TestMixtures:
    @pytest.mark.parametrize("modality", ["visible", "thermal"])
    def test_mixtures_hold_what_the_modality_can_have(self, modality):
        rng = np.random.default_rng(0)
        drawn = [sample_mixture(rng, modality) for _ in range(3000)]
        known = VISIBLE_KINDS if modality == "visible" else THERMAL_KINDS
        assert set().union(*drawn) == set(known) - {"clean"}
        assert {len(mixture) for mixture in drawn} == {0, 1, 2, 3}
        assert all(0.2 <= s <= 1 for mixture in drawn for s in mixture.values())
        clean = np.mean([not mixture for mixture in drawn])
        assert clean == pytest.approx(0.1, abs=3 * np.sqrt(0.09 / 3000))

    def test_kinds_that_contradict_each_other_do_not_meet(self):
        rng = np.random.default_rng(1)
        for _ in range(2000):
            mixture = set(sample_mixture(rng, "visible"))
            assert len(mixture & {"low_light", "over_exposure"}) <= 1
            assert len(mixture & {"defocus", "gaussian_blur", "motion_blur"}) <= 1


@pytest.mark.parametrize(
    ("severities", "words"),
    [({"fog": 0.5}, ["'fog'", "haze"]), ({"haze": 1.5}, ["haze = 1.5", "[0, 1]"])],
)
def test_wrong_requests_are_named(severities, words):
    with pytest.raises(UsageError) as caught:
        Degrader(severities, 0)
    assert all(word in str(caught.value) for word in words)
