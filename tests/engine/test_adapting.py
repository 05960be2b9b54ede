import itertools

import numpy as np
import pytest
import torch

from fusion_core.engine import Engine, SwitchingEngine
from fusion_core.engine.input_correction import InputCorrection
from fusion_core.engine.prior_fade import PriorFade
from fusion_core.engine.stream_follower import StreamFollower
from fusion_core.engine.switching import SceneSwitch
from fusion_core.errors import UsageError
from fusion_core.models import create_model, load_model
from fusion_core.types import AlignedPair, ScenePrior

FADE_FRAMES = 4


def prior(thermal=None, **visible):
    tokens = np.zeros((32, 128), np.float32)
    return ScenePrior(0, 0, "test", visible, thermal or {}, tokens, 1.0)


def pair(seed=0, shape=(48, 64)):
    rng = np.random.default_rng(seed)
    rows = np.linspace(0.2, 0.7, shape[0], dtype=np.float32)[:, None]
    thermal = np.repeat(rows, shape[1], 1)
    visible = np.repeat((200 * thermal[::-1]).astype(np.uint8)[..., None], 3, 2)
    visible[10:20, 20:40] = rng.integers(0, 255, 3, dtype=np.uint8)
    return AlignedPair(seed * 10**9, visible, thermal, np.ones(shape, bool))


def corrected(thermal, visible, told, *, by=None, stamp_ns=0):
    """Return both pictures of a frame corrected, by default as the first of a stream."""
    colour = visible if visible.ndim == 3 else np.repeat(visible[..., None], 3, 2)
    seen = AlignedPair(stamp_ns, colour, thermal, np.ones(thermal.shape, bool))
    return (by or Correcting()).correct(seen, thermal, visible, told)


class Correcting(InputCorrection):
    """A correction with the stream that it corrects."""

    def __init__(self, glare_only=False):
        super().__init__(glare_only)
        self._follower = StreamFollower()

    def correct(self, pair, thermal, visible, prior):
        return super().correct(self._follower.step(pair), thermal, visible, prior)


def engine(name, **options):
    torch.manual_seed(0)
    model = create_model(name, seed=0)
    with torch.no_grad():
        # An untrained head returns the mean of the sources whatever the network.
        part = model.head.conv if hasattr(model.head, "conv") else model.head.head
        part.weight.normal_(std=0.05)
    return Engine(model, None, **options)


@pytest.fixture(scope="module")
def engines():
    return engine("m2pn-edge"), engine("mdaif")


def test_scene_changes_model_with_hysteresis():
    """Enter at 0.6, leave below 0.45."""
    switch = SceneSwitch(fade_frames=1)
    told = [0.1, 0.55, 0.75, 0.5, 0.46, 0.44, 0.55, 0.6]
    shares = [switch.update(prior(haze=p)) for p in told]
    assert shares == [0, 0, 1, 1, 1, 0, 0, 1]


def test_what_the_restoring_model_cannot_undo_does_not_change_the_model():
    switch = SceneSwitch(fade_frames=1)
    assert switch.update(prior(low_light=1.0, jpeg=1.0)) == 0
    assert switch.update(prior(low_light=0.9, rain=0.9)) == 1
    assert switch.update(prior(rain=0.0)) == 0
    # 1 - 0.6 * 0.6: haze or smoke, whichever it is.
    assert switch.update(prior(haze=0.4, smoke=0.4)) == 1
    assert switch.update(None) == 1


def test_change_takes_as_many_frames_as_asked_for_and_turns_around_on_its_way():
    switch = SceneSwitch(FADE_FRAMES)
    assert switch.update(None) == 0
    assert [switch.update(prior(snow=1.0)) for _ in range(5)] == [0.25, 0.5, 0.75, 1, 1]
    assert [switch.update(prior(snow=p)) for p in (0.0, 0.0, 1.0)] == [0.75, 0.5, 0.75]


def test_first_picture_is_already_that_of_the_right_model():
    assert SceneSwitch(FADE_FRAMES).update(prior(smoke=1.0)) == 1


def test_outside_a_fade_the_picture_is_that_of_one_model(engines):
    clean, degraded = engines
    auto = SwitchingEngine(*engines, FADE_FRAMES)
    clear, hazy = prior(haze=0.0), prior(haze=1.0)
    first = auto.fuse(pair(), clear)
    assert np.array_equal(first.image, clean.fuse(pair(), clear).image)
    assert first.model == "m2pn-edge"
    for _ in range(4):
        last = auto.fuse(pair(), hazy)
    assert np.array_equal(last.image, degraded.fuse(pair(), hazy).image)
    assert (last.model, auto.name) == ("mdaif", "auto: mdaif")


def test_no_frame_of_a_fade_jumps_by_more_than_its_part(engines):
    """The two pictures differ by d; each of four frames may move by d / 4, and rounding."""
    auto = SwitchingEngine(*engines, FADE_FRAMES)
    frames = [auto.fuse(pair(), prior(haze=0.0)).image]
    frames += [auto.fuse(pair(), prior(haze=1.0)).image for _ in range(6)]
    whole = np.abs(frames[-1].astype(int) - frames[0])
    assert whole.max() > 8
    for one, other in itertools.pairwise(frames):
        assert (np.abs(other.astype(int) - one) <= whole / 4 + 1).all()


def test_prior_that_the_network_cannot_read_is_refused(engines):
    with pytest.raises(UsageError, match="'blip2' gives tokens of width 2560, model 'mdaif' reads"):
        SwitchingEngine(*engines, FADE_FRAMES).check_prior("blip2", 2560)
    engines[0].check_prior("blip2", 2560)


def test_clean_sources_pass_bit_by_bit():
    """Below a probability of 0.6 nothing is touched."""
    told = prior({"noise": 0.59, "stripes": 0.1}, noise=0.59, over_exposure=0.59)
    seen = pair()
    luma = seen.visible[..., 0]
    thermal, visible = corrected(seen.thermal, luma, told)
    assert thermal is seen.thermal
    assert visible is luma
    with_correction, without = engine("m2pn-edge", correct_inputs=True), engine("m2pn-edge")
    assert np.array_equal(with_correction.fuse(seen, told).image, without.fuse(seen).image)


def test_noise_of_a_source_with_a_noisy_prior_falls_in_the_result():
    """Flat sources, white noise of 0.1: a Gaussian of sigma 1.2 leaves 0.24 of it."""
    rng = np.random.default_rng(1)
    flat = np.full((96, 96), 0.5, np.float32)
    noisy = np.clip(flat + rng.normal(0, 0.1, flat.shape), 0, 1).astype(np.float32)
    grey = np.full((96, 96, 3), 128, np.uint8)
    seen = AlignedPair(0, grey, noisy, np.ones(flat.shape, bool))
    told = prior({"noise": 1.0})
    clean, plain = (
        Engine(create_model("m2pn-edge", seed=0), None, correct_inputs=on)
        .fuse(seen, told)
        .image.std()
        for on in (True, False)
    )
    assert clean < 0.3 * plain
    thermal, _ = corrected(noisy, grey[..., 0], told)
    assert thermal.std() / noisy.std() == pytest.approx(0.24, abs=0.02)


def test_stripes_go_and_shapes_stay():
    rng = np.random.default_rng(2)
    thermal = np.full((120, 160), 0.3, np.float32)
    thermal[40:80, 60:100] = 0.8
    striped = (thermal + rng.normal(0, 0.05, (1, 160))).astype(np.float32)
    cleaned, _ = corrected(striped, np.zeros((120, 160), np.uint8), prior({"stripes": 1.0}))
    before, after = (np.abs(image - thermal).mean() for image in (striped, cleaned))
    assert after < 0.4 * before
    assert cleaned[45:75, 65:95].mean() - cleaned[:30].mean() > 0.4


def test_glare_is_dimmed_where_thermal_is_cold_and_both_pictures_become_the_same():
    """Clipped, thermal 0.25: 1 - 0.5 * 0.4 * 0.75 = 0.85, times 255; below 0.6 all stays."""
    thermal = np.full((4, 4), 0.25, np.float32)
    luma = np.full((4, 4), 255, np.uint8)
    luma[2:] = 100
    hot, dimmed = corrected(thermal, luma, prior(over_exposure=1.0))
    assert (dimmed[:2] == 217).all()
    assert (dimmed[2:] == 100).all()
    assert hot[:2] == pytest.approx(0.85)
    assert (hot[2:] == 0.25).all()


@pytest.mark.parametrize("probability", [0.7, 1.0])
@pytest.mark.parametrize("planes", [None, 3])
def test_brighter_never_becomes_darker_in_glare(probability, planes):
    """Over all lumas and temperatures: so no ring, no hole and no flicker beyond that of the input.

    A step of one grey level stays at most one, and one more by rounding.
    """
    luma = np.repeat(np.arange(256, dtype=np.uint8)[None], 11, 0)
    visible = luma if planes is None else np.repeat(luma[..., None], planes, 2)
    thermal = np.repeat(np.linspace(0, 1, 11, dtype=np.float32)[:, None], 256, 1)
    told = prior(over_exposure=probability)
    hot, dimmed = corrected(thermal, visible, told)
    flat = dimmed.astype(int).reshape(11, 256, -1)[..., 0]
    assert (np.diff(flat, axis=1) >= 0).all()
    assert (np.diff(flat, axis=1) <= 2).all()
    assert (np.diff(flat, axis=0) >= 0).all()
    assert hot.min() >= 0
    assert hot.max() <= 1
    assert (flat[-1] == np.arange(256)).all()  # what is hot stays as bright as it was


@pytest.mark.parametrize("name", ["m2pn-edge", "ctrlfuse", "mdaif"])
def test_sun_in_the_picture_gets_no_ring_and_no_hole_and_people_stand_out_before_it(name):
    """A halo that falls from white to mid grey, the hot disc in a cold sky, a person at its side.

    The networks sharpen every edge, which darkens its foot of two pixels, by 34 levels at most with
    m2pn-edge and by 12 with the others; beyond it nothing may be darker than the sky by 16.
    """
    y, x = np.mgrid[0:240, 0:320].astype(np.float32) / 2
    radius = np.hypot(x - 80, y - 50)
    halo = np.clip(1.3 - radius / 90, 0.45, 1)
    thermal = np.where(radius < 7, np.float32(1), np.float32(0.02))
    thermal[80:144, 192:208] = 0.9
    visible = np.repeat(np.uint8(255 * halo)[..., None], 3, 2)
    seen = AlignedPair(0, visible, thermal, np.ones(halo.shape, bool))
    fused = Engine(load_model(name), None, correct_inputs=True).fuse(seen, prior(over_exposure=1.0))
    luma = fused.image.astype(int).mean(2)
    sky = (thermal < 0.1) & (np.abs(x - 100) > 16)
    foot, rim = sky & (radius > 7) & (radius < 9), sky & (radius > 9) & (radius < 12)
    near = sky & (radius > 14) & (radius < 24)
    far = sky & (radius > 60) & (radius < 66)
    assert luma[foot].min() > luma[near].mean() - 35
    assert luma[rim].min() > luma[near].mean() - 16
    assert luma[near].min() > luma[far].mean()
    body = luma[88:136, 196:204].mean()
    assert body > luma[88:136, 224:236].mean() + 25


def flat(clipped, shape=(100, 100)):
    """Return a grey picture with so many rows of a hundredth clipped."""
    visible = np.full(shape, 120, np.uint8)
    visible[: round(clipped * shape[0])] = 255
    return visible


@pytest.mark.parametrize("planes", [None, 3])
@pytest.mark.parametrize("told", [None, prior(over_exposure=0.0)])
def test_glare_is_seen_in_the_picture_before_any_prior_tells_it(planes, told):
    """From 2 % of the picture on, fully from 4 % on: the first frame gets its gain at once."""
    cold = np.zeros((100, 100), np.float32)
    for share, gain in ((0.0, 0), (0.02, 0), (0.03, 0.5), (0.04, 1), (0.2, 1)):
        shape = (100, 100) if planes is None else (100, 100, planes)
        picture, correction = flat(share, shape), Correcting()
        _, seen = corrected(cold, picture, told, by=correction)
        assert correction.gains["glare"] == pytest.approx(gain)
        assert (seen is picture) == (gain == 0)


def glare_gains(shares, step_s, told=None):
    correction, gains, cold = Correcting(), [], np.zeros((100, 100), np.float32)
    for number, share in enumerate(shares):
        corrected(cold, flat(share), told, by=correction, stamp_ns=round(number * step_s * 1e9))
        gains.append(correction.gains["glare"])
    return gains


def test_a_clipped_share_that_sways_does_not_sway_the_picture():
    """Between 2 and 4 % in turn, frame by frame: by itself a picture would change by 51 levels."""
    cold, shares = np.zeros((100, 100), np.float32), [0.02, 0.04] * 30
    correction, shown = Correcting(), []
    for number, share in enumerate(shares):
        _, seen = corrected(cold, flat(share), None, by=correction, stamp_ns=number * 33_000_000)
        shown.append(int(seen[0, 0]))
    alone = [int(corrected(cold, flat(share), None)[1][0, 0]) for share in shares[:2]]
    assert alone == [255, 204]
    assert max(abs(one - other) for one, other in itertools.pairwise(shown)) <= 3
    assert np.mean(shown[-10:]) == pytest.approx(np.mean(alone), abs=3)


def test_glare_that_stays_is_dimmed_within_a_second_at_any_frame_rate_and_goes_entirely():
    slow, fast = (glare_gains([0, *[0.04] * n], 1 / n)[-1] for n in (5, 50))
    assert slow == pytest.approx(fast)
    assert 0.7 < fast < 0.8  # 1 - exp(-1 / 0.7)
    assert glare_gains([0.04, *[0] * 50], 0.1)[-1] == 0


def test_glare_begins_anew_at_a_cut_and_where_the_clock_does_not_go_forward():
    assert glare_gains([0, 0.04], 0) == [0, 1]
    assert glare_gains([0, 0.5], 0.03) == [0, 1]  # half of the picture


def test_a_network_that_uses_the_prior_gets_its_noise_and_stripes_uncorrected():
    """Only glare is beyond it: what is clipped is lost."""
    correction = Correcting(glare_only=True)
    luma = np.full((8, 8), 100, np.uint8)
    thermal = np.random.default_rng(3).random((8, 8), np.float32)
    told = prior({"noise": 1.0, "stripes": 1.0}, noise=1.0, over_exposure=1.0)
    hot, seen = corrected(thermal, luma, told, by=correction)
    assert np.array_equal(hot, thermal)
    assert np.array_equal(seen, luma)


def test_new_prior_does_not_show_as_a_jump():
    """After a time constant of 0.7 s what is told has 1 - 1 / e of its weight."""
    correction, dark = Correcting(), np.zeros((8, 8), np.uint8)
    gains = []
    for number, noise in enumerate([0.0, *[1.0] * 7]):
        told, stamp_ns = prior(noise=noise), number * 100_000_000
        corrected(dark.astype(np.float32), dark, told, by=correction, stamp_ns=stamp_ns)
        gains.append(correction.gains["noise"])
    assert gains[0] == 0
    assert gains[1] == pytest.approx(1 - np.exp(-1 / 7))
    assert gains[-1] == pytest.approx(1 - np.exp(-1))


def prior_of(value, tokens=2, scene=0):
    return ScenePrior(scene, 0, "test", {}, {}, np.full((tokens, 3), value, np.float32), 1.0)


def test_a_new_prior_comes_in_equal_steps():
    fade = PriorFade(4)
    one, other = prior_of(0.0), prior_of(1.0)
    seen = [fade.step(prior)[0, 0] for prior in [one, one, *[other] * 6]]
    assert seen == pytest.approx([0, 0, 0.25, 0.5, 0.75, 1, 1, 1])


def test_a_prior_that_comes_amid_a_fade_starts_from_where_it_is():
    fade = PriorFade(4)
    first, other, last = prior_of(0.0), prior_of(1.0), prior_of(-0.5)
    seen = [fade.step(prior)[0, 0] for prior in [first, other, other, *[last] * 4]]
    assert seen == pytest.approx([0, 0.25, 0.5, 0.25, 0, -0.25, -0.5])


def test_the_first_prior_and_one_of_another_width_count_at_once():
    fade = PriorFade(4)
    assert fade.step(prior_of(1.0))[0, 0] == 1
    assert fade.step(prior_of(-1.0, tokens=5)).tolist() == [[-1.0] * 3] * 5


def test_two_scenes_are_never_mixed():
    fade = PriorFade(4)
    told = [prior_of(0.0), prior_of(1.0), prior_of(-1.0, scene=1), prior_of(0.0, scene=1)]
    assert [fade.step(prior)[0, 0] for prior in told] == pytest.approx([0, 0.25, -1, -0.75])


def test_a_restoring_model_ends_at_what_the_new_prior_says():
    rng = np.random.default_rng(1)
    one, other = (
        ScenePrior(0, 0, "test", {}, {}, rng.standard_normal((32, 128), np.float32), 1.0)
        for _ in range(2)
    )
    faded = engine("mdaif", fade_frames=5)
    images = [faded.fuse(pair(), told).image for told in [one, *[other] * 5]]
    before, after = (engine("mdaif").fuse(pair(), told).image for told in (one, other))
    np.testing.assert_array_equal(images[0], before)
    np.testing.assert_array_equal(images[5], after)
    assert all((image != before).any() and (image != after).any() for image in images[1:5])
