"""When priors are refreshed, and that frames never wait for it."""

import threading
import time

import numpy as np
import pytest

from fusion_core.priors import Assessment, PriorScheduler, PriorsConfig
from fusion_core.priors.change import ChangeDetector
from fusion_core.types import AlignedPair

SECOND = 1_000_000_000
H, W = 96, 128


def pair(stamp_s, level=100, thermal=0.3):
    """A textured pair around one gray level; its level identifies it."""
    ramp = np.linspace(-20, 20, W)[None, :, None] + np.zeros((H, 1, 3))
    visible = np.clip(level + ramp, 0, 255).astype(np.uint8)
    heat = None if thermal is None else np.full((H, W), thermal, np.float32)
    return AlignedPair(round(stamp_s * SECOND), visible, heat, np.ones((H, W), bool))


class Recorder:
    """A real provider of this module's protocol: reports the mean gray level as the quality."""

    name = "recorder"
    dim = 2

    def __init__(self):
        self.seen = []
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Event()
        self.error = None

    def assess(self, visible, thermal):
        self.started.set()
        assert self.gate.wait(30)
        if self.error:
            raise self.error
        level = float(visible.mean()) / 255
        self.seen.append(level)
        kinds = {"clean": level}
        return Assessment(kinds, kinds, np.full((1, 2), level, np.float32), level)


@pytest.fixture
def provider():
    return Recorder()


def make(provider, confirm_frames=5, **config):
    return PriorScheduler(provider, PriorsConfig(**config), confirm_frames=confirm_frames)


def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


class TestRecorded:
    def test_the_first_pair_has_its_own_prior(self, provider):
        with make(provider) as scheduler:
            prior = scheduler.update(pair(1), wait=True)
        assert (prior.scene_id, prior.stamp_ns, prior.provider) == (0, SECOND, "recorder")
        assert scheduler.health() == ()

    def test_age_by_stamp_decides(self, provider):
        with make(provider, refresh_s=2.0) as scheduler:
            stamps = [scheduler.update(pair(t / 10), wait=True).stamp_ns for t in range(50)]
        assert sorted(set(stamps)) == [0, 2 * SECOND, 4 * SECOND]

    def test_zero_means_on_change_and_request_only(self, provider):
        with make(provider, refresh_s=0.0) as scheduler:
            for t in range(50):
                scheduler.update(pair(t), wait=True)
            assert len(provider.seen) == 1
            scheduler.request()
            assert scheduler.update(pair(60), wait=True).stamp_ns == 60 * SECOND
        assert len(provider.seen) == 2

    def test_a_new_scene_has_a_new_number_and_prior(self, provider):
        with make(provider, refresh_s=0.0, confirm_frames=3) as scheduler:
            levels = [60] * 5 + [200] * 5
            found = [
                scheduler.update(pair(t / 10, level), wait=True) for t, level in enumerate(levels)
            ]
        assert [prior.scene_id for prior in found] == [0] * 7 + [1] * 3
        assert found[-1].quality == pytest.approx(200 / 255, abs=0.01)

    def test_after_a_clock_was_set_back_it_is_due(self, provider):
        with make(provider, refresh_s=100.0) as scheduler:
            scheduler.update(pair(1000), wait=True)
            assert scheduler.update(pair(5), wait=True).stamp_ns == 5 * SECOND

    def test_a_failing_provider_leaves_the_last_prior_and_is_named(self, provider, caplog):
        with make(provider, refresh_s=1.0) as scheduler:
            first = scheduler.update(pair(0), wait=True)
            provider.error = RuntimeError("out of memory")
            assert scheduler.update(pair(2), wait=True) is first
            assert scheduler.health() == ("prior_failed",)
            assert "out of memory" in scheduler.status()["problem"]
            assert "recorder" in caplog.text
            provider.error = None
            assert scheduler.update(pair(4), wait=True).stamp_ns == 4 * SECOND
            assert scheduler.health() == ()
        assert scheduler.status()["failures"] == 1

    def test_a_provider_over_its_limit_costs_it_once_and_is_reported(self, provider):
        with make(provider, refresh_s=1.0, timeout_s=0.2) as scheduler:
            first = scheduler.update(pair(0), wait=True)
            provider.gate.clear()
            for t in range(1, 20):
                assert scheduler.update(pair(t), wait=True) is first
            assert {"prior_timeout", "prior_stale"} == set(scheduler.health())
            assert "0.2 s" in scheduler.status()["problem"]
            provider.gate.set()
            wait_for(lambda: not scheduler.health())


class TestLive:
    def test_frames_do_not_wait(self, provider):
        provider.gate.clear()
        with make(provider) as scheduler:
            assert scheduler.update(pair(0), wait=False) is None
            assert provider.started.wait(30)
            assert scheduler.update(pair(0.1), wait=False) is None
            provider.gate.set()
            wait_for(lambda: scheduler.update(pair(0.2), wait=False))

    def test_the_newest_pair_is_taken_when_the_provider_is_free(self, provider):
        provider.gate.clear()
        with make(provider, refresh_s=0.5) as scheduler:
            scheduler.update(pair(0, 50), wait=False)
            assert provider.started.wait(30)
            for t in range(1, 30):
                scheduler.update(pair(t / 10, 50 + t), wait=False)
            provider.gate.set()
            wait_for(lambda: len(provider.seen) == 2)
            newest = pair(2.9, 79).visible.mean() / 255
        assert provider.seen[1] == pytest.approx(newest)

    def test_a_prior_is_of_one_pair_of_one_scene(self, provider):
        """A result that arrives after the scene has changed keeps its own scene's number."""
        provider.gate.clear()
        with make(provider, refresh_s=0.0, confirm_frames=2) as scheduler:
            scheduler.update(pair(0, 60), wait=False)
            assert provider.started.wait(30)
            for t in range(1, 5):
                scheduler.update(pair(t, 200), wait=False)
            assert scheduler.status()["scene"] == 1
            provider.gate.set()
            seen = {}

            def done():
                prior = scheduler.update(pair(5, 200), wait=False)
                if prior is not None:
                    seen[prior.scene_id] = prior.quality, prior.visible["clean"], prior.tokens[0, 0]
                return 1 in seen

            wait_for(done)
        levels = {0: 60 / 255, 1: 200 / 255}
        for scene, values in seen.items():
            assert values == pytest.approx((levels[scene],) * 3, abs=0.01)

    def test_a_request_while_busy_is_not_lost(self, provider):
        provider.gate.clear()
        with make(provider, refresh_s=0.0) as scheduler:
            scheduler.update(pair(0), wait=False)
            assert provider.started.wait(30)
            scheduler.request()
            scheduler.update(pair(1), wait=False)
            provider.gate.set()
            wait_for(lambda: len(provider.seen) == 2)
            scheduler.update(pair(2), wait=False)
            assert scheduler.status()["refreshes"] == 2

    def test_closing_does_not_wait_for_a_blocked_provider(self, provider, monkeypatch):
        monkeypatch.setattr("fusion_core.priors.scheduler._JOIN_S", 0.05)
        provider.gate.clear()
        scheduler = make(provider)
        scheduler.update(pair(0), wait=False)
        assert provider.started.wait(30)
        scheduler.close()
        provider.gate.set()


class TestChange:
    def observe(self, pairs, threshold=0.1, confirm=3):
        detector = ChangeDetector(threshold, confirm)
        return [index for index, entry in enumerate(pairs) if detector.observe(entry)]

    def test_a_still_scene_with_noise_does_not_change(self):
        rng = np.random.default_rng(0)

        def noisy(t):
            entry = pair(t)
            noise = rng.normal(0, 8, entry.visible.shape)
            visible = np.clip(entry.visible + noise, 0, 255).astype(np.uint8)
            return AlignedPair(entry.stamp_ns, visible, entry.thermal, entry.valid)

        assert self.observe([noisy(t) for t in range(100)]) == []

    def test_a_cut_is_found_after_the_frames_that_confirm_it(self):
        pairs = [pair(t, 60 if t < 10 else 160) for t in range(30)]
        assert self.observe(pairs) == [12]

    def test_a_fade_is_one_change_at_its_end(self):
        levels = [60] * 10 + list(range(60, 210, 15)) + [210] * 20
        found = self.observe([pair(t, level) for t, level in enumerate(levels)], confirm=5)
        assert len(found) == 1
        assert 19 <= found[0] <= 24

    def test_a_single_flash_is_not_a_scene(self):
        assert self.observe([pair(t, 250 if t == 10 else 60) for t in range(30)]) == []

    def test_a_slow_drift_becomes_a_change_in_the_end(self):
        found = self.observe([pair(t, 40 + t) for t in range(150)])
        # 0.1 of the range of 256 levels: about every 26 levels, and the frames that confirm.
        assert 4 <= len(found) <= 6

    def test_detail_that_vanishes_at_equal_brightness_is_a_change(self):
        rng = np.random.default_rng(1)
        rough = rng.integers(60, 140, (H, W, 1), np.uint8).repeat(3, 2)
        smooth = np.sort(rough.reshape(H, -1), axis=1).reshape(H, W, 3)
        pairs = [
            AlignedPair(t, rough if t < 10 else smooth, None, np.ones((H, W), bool))
            for t in range(20)
        ]
        assert self.observe(pairs) == [12]

    def test_a_stream_that_comes_or_goes_is_a_change(self):
        pairs = [pair(t, thermal=None if 10 <= t < 20 else 0.3) for t in range(40)]
        assert self.observe(pairs) == [12, 22]

    def test_a_wavering_value_does_not_flicker(self):
        """Around the threshold, a change is told once, not with every swing."""
        levels = [100] * 5 + [128 if t % 2 else 124 for t in range(60)]
        assert len(self.observe([pair(t, level) for t, level in enumerate(levels)])) == 1
