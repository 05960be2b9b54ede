import threading
from dataclasses import replace

import numpy as np
import pytest
from streams import SECOND, ListSource, assert_accounted, merged, stream, thermal, visible

from fusion_core.config import Config
from fusion_core.errors import CalibrationError, MemoryBankError, SourceError, UsageError
from fusion_core.pipeline import Pipeline


def make(**config):
    return Pipeline(Config.from_dict({"device": "cpu", "threads": 1, **config}))


def run(pipeline, *streams, **options):
    with pipeline:
        return list(pipeline.stream(ListSource(*streams, **options)))


def test_every_pair_of_a_clean_recording_is_fused_in_order():
    pipeline = make()
    results = run(pipeline, stream(visible, 30, 1), stream(thermal, 30, 1))
    assert [fused.frame for fused in results] == list(range(30))
    assert [fused.pair.visible.sequence for fused in results] == list(range(30))
    status = pipeline.status()
    assert (status.pairs, status.fused, status.drops) == (30, 30, {})
    assert results[0].image.shape == (96, 128, 3)
    assert results[0].image.dtype == np.uint8


def test_the_same_recording_gives_the_same_pixels():
    streams = stream(visible, 10, 1), stream(thermal, 10, 1)
    first, second = (run(make(), *streams) for _ in range(2))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, second, strict=True))


def test_results_show_both_sources():
    """Neither a copy of the visible luma nor of the thermal image."""
    fused = run(make(), [visible(SECOND, 3)], [thermal(SECOND, 3)])[0]
    luma = fused.image.mean(axis=2)
    hot = fused.aligned.thermal > 0.8
    source = fused.pair.visible.image.mean(axis=2)
    assert luma[hot].mean() > source[hot].mean() + 10
    assert np.corrcoef(luma[~hot], source[~hot])[0, 1] > 0.7


def test_nine_hertz_thermal_serves_thirty_hertz_visible():
    pipeline = make()
    results = run(pipeline, stream(visible, 30, 3), stream(thermal, 9, 3))
    assert len(results) == 90
    assert sum(fused.pair.reused for fused in results) > 50
    assert all(fused.pair.thermal is not None for fused in results)


def test_a_thermal_gap_degrades_by_policy_and_recovers():
    gap = [f for f in stream(thermal, 10, 5) if not 2 * SECOND <= f.stamp_ns - SECOND < 4 * SECOND]
    results = run(make(), stream(visible, 10, 5), gap)
    assert len(results) == 50
    missing = [fused for fused in results if "thermal_missing" in fused.health]
    assert 15 <= len(missing) <= 20
    for fused in missing:
        assert np.array_equal(fused.image, fused.pair.visible.image)
    assert "thermal_missing" not in results[-1].health


def test_jitter_and_loss_are_accounted_for():
    rng = np.random.default_rng(7)

    def arrive(frames):
        """40 ms of delivery jitter and 5 % loss; capture stamps stay true."""
        kept = [frame for frame in frames if rng.random() > 0.05]
        return sorted((f.stamp_ns + rng.integers(0, 40_000_000), f.sequence, f) for f in kept)

    arrivals = sorted(
        (*arrive(stream(visible, 30, 4)), *arrive(stream(thermal, 30, 4))), key=lambda a: a[:2]
    )
    pipeline = make()
    results = []
    with pipeline:
        for *_, frame in arrivals:
            results.extend(pipeline._runner._fuse_all(pipeline._intake.pair_frame(frame)))
        results.extend(pipeline._runner._fuse_all(pipeline._intake.pair_pending()))
    status = pipeline.status()
    assert sum(status.read.values()) == len(arrivals)
    assert_accounted(status)
    assert status.fused == status.pairs == len(results) > 90
    stamps = [fused.stamp_ns for fused in results]
    assert stamps == sorted(set(stamps))
    two_sided = [fused for fused in results if fused.skew_ns is not None]
    assert len(two_sided) > 90
    for fused in two_sided:
        assert abs(fused.skew_ns) <= (150e6 if fused.pair.reused else 25e6)


def test_a_jump_back_in_time_starts_afresh():
    later = stream(visible, 10, 1, 100 * SECOND), stream(thermal, 10, 1, 100 * SECOND)
    earlier = stream(visible, 10, 1), stream(thermal, 10, 1)
    pipeline = make()
    results = []
    with pipeline:
        for run_of_frames in (later, earlier):
            for pair in zip(*run_of_frames, strict=True):
                for frame in pair:
                    results.extend(pipeline._runner._fuse_all(pipeline._intake.pair_frame(frame)))
    assert [fused.stamp_ns for fused in results[9:12]] == [
        100 * SECOND + 9 * SECOND // 10,
        SECOND,
        SECOND + SECOND // 10,
    ]
    assert "time_jump" in results[10].health
    assert "time_jump" not in results[11].health


def test_a_resolution_change_in_mid_stream_goes_on():
    changed = [
        make_frame(f.stamp_ns, f.sequence, height=64, width=80) if f.sequence >= 5 else f
        for make_frame in (visible, thermal)
        for f in stream(make_frame, 10, 1)
    ]
    results = run(make(), changed)
    assert [fused.image.shape[:2] for fused in results] == [(96, 128)] * 5 + [(64, 80)] * 5


def test_sizes_that_differ_without_a_rig_say_what_to_do():
    small = [thermal(SECOND, 0, height=64, width=80)]
    with pytest.raises(CalibrationError, match="calibration"):
        run(make(), [visible(SECOND)], small)


def test_a_broken_input_keeps_everything_read_before():
    pipeline = make()
    results = []
    source = ListSource(stream(visible, 10, 1), stream(thermal, 10, 1), broken="x.mp4: torn")
    with pytest.raises(SourceError, match="torn"), pipeline:
        results.extend(pipeline.stream(source))
    assert pipeline.status().fused == 10


def test_a_closed_shutter_counts_as_missing_thermal():
    frozen = [thermal(SECOND + i * SECOND // 10, 0) for i in range(10)]
    results = run(make(), stream(visible, 10, 1), frozen)
    assert "thermal_frozen" in results[-1].health
    assert np.array_equal(results[-1].image, results[-1].pair.visible.image)


def test_a_frozen_frame_is_dropped_when_the_policy_says_skip_and_visible_is_missing_too():
    frozen = [thermal(SECOND + i * SECOND // 10, 0) for i in range(20)]
    pipeline = make(sync={"on_missing_visible": "thermal_only"})
    results = run(pipeline, [visible(SECOND)], frozen)
    status = pipeline.status()
    assert status.drops.get("frozen", 0) == status.pairs - len(results) > 0


def test_unknown_model_lists_the_known():
    with pytest.raises(UsageError, match="m2pn-edge"):
        make(model="nonsense")


class TestMemory:
    def test_bank_comes_back_after_a_restart(self, tmp_path):
        file = tmp_path / "bank.safetensors"
        streams = stream(visible, 10, 2), stream(thermal, 10, 2)
        first = make(memory={"file": str(file), "mode": "online"})
        queries = np.random.default_rng(0).normal(size=(250, first._engine.bank.shape[1]))
        first._engine.bank.update(queries, np.linspace(0, 1, 250))
        run(first, *streams)
        learned = first._engine.bank.slots.copy()
        second = make(memory={"file": str(file)})
        assert np.array_equal(second._engine.bank.slots, learned)
        assert not np.array_equal(make()._engine.bank.slots, learned)
        second.close()

    def test_torn_file_is_refused_and_kept(self, tmp_path):
        file = tmp_path / "bank.safetensors"
        run(make(memory={"file": str(file)}), [visible(SECOND)], [thermal(SECOND)])
        torn = file.read_bytes()[:100]
        file.write_bytes(torn)
        with pytest.raises(MemoryBankError, match=r"bank\.safetensors"):
            make(memory={"file": str(file)})
        assert file.read_bytes() == torn

    def test_an_invalid_file_is_set_aside_and_reported_when_asked_for(self, tmp_path):
        file = tmp_path / "bank.safetensors"
        file.write_bytes(b"torn")
        config = Config.from_dict({"memory": {"file": str(file)}, "device": "cpu"})
        with Pipeline(config, reset_invalid_memory=True) as pipeline:
            assert pipeline.status().health == ("memory_fresh",)
            aside = tmp_path / "bank.safetensors.rejected"
            assert aside.read_bytes() == b"torn"
        assert file.exists()

    def test_frozen_bank_does_not_change(self):
        pipeline = make(memory={"mode": "frozen"})
        before = pipeline._engine.bank.slots.copy()
        run(pipeline, stream(visible, 10, 1), stream(thermal, 10, 1))
        assert np.array_equal(pipeline._engine.bank.slots, before)

    def test_saving_without_a_file_says_what_to_set(self):
        with make() as pipeline, pytest.raises(MemoryBankError, match=r"memory\.file"):
            pipeline.save_memory()


class TestLive:
    def collect(self, pipeline, frames, expected, timeout_s=60):
        results, done = [], threading.Event()

        def keep(fused):
            results.append(fused)
            if len(results) >= expected:
                done.set()

        pipeline.start(keep)
        for frame in frames:
            pipeline.submit(frame)
            if frame.modality == "thermal":
                self.settle(pipeline)
        assert done.wait(timeout_s), f"{len(results)} of {expected}"
        return results

    @staticmethod
    def settle(pipeline):
        """Let the worker take what was submitted, as a camera slower than the network would."""
        status = pipeline.status()
        waiter = threading.Event()
        for _ in range(2000):
            status = pipeline.status()
            done = status.fused + sum(status.drops.get(c, 0) for c in ("failed", "busy", "frozen"))
            if done >= status.pairs:
                return
            waiter.wait(0.005)

    def test_worker_fuses_submitted_frames(self):
        with make() as pipeline:
            frames = merged(stream(visible, 10, 1), stream(thermal, 10, 1))
            results = self.collect(pipeline, frames, 10)
        assert [fused.pair.visible.sequence for fused in results] == list(range(10))

    def test_newest_pair_wins_and_counters_add_up(self):
        gate = threading.Event()
        with make() as pipeline:
            pipeline.start(lambda _: gate.wait(30))
            for frame in merged(stream(visible, 30, 2), stream(thermal, 30, 2)):
                pipeline.submit(frame)
            gate.set()
            self.settle(pipeline)
            status = pipeline.status()
        assert status.pairs == 60
        assert status.drops["busy"] > 30
        assert status.fused + status.drops["busy"] == status.pairs
        assert status.health == ()

    def test_a_bad_pair_is_counted_and_the_stream_goes_on(self):
        frames = merged(stream(visible, 10, 1), stream(thermal, 10, 1))
        frames = [
            thermal(f.stamp_ns, f.sequence, height=50, width=50)
            if f.modality == "thermal" and f.sequence == 4
            else f
            for f in frames
        ]
        with make() as pipeline:
            self.collect(pipeline, frames, 9)
            status = pipeline.status()
        assert status.fused == 9
        assert status.drops == {"failed": 1}
        assert_accounted(pipeline.status())
        assert "50x50" in status.last_error

    def test_a_failing_output_does_not_end_the_stream(self):
        seen = []

        def fail(fused):
            seen.append(fused.frame)
            raise OSError("disk full")

        with make() as pipeline:
            pipeline.start(fail)
            for frame in merged(stream(visible, 10, 1), stream(thermal, 10, 1)):
                pipeline.submit(frame)
                self.settle(pipeline)
            status = pipeline.status()
        assert seen == list(range(10))
        assert "disk full" in status.last_error

    def test_rejected_messages_are_counted(self):
        with make() as pipeline:
            pipeline.count_invalid("thermal", "unknown_encoding")
            assert pipeline.status().drops == {"unknown_encoding": 1}


class TestRegistration:
    """Both streams show the same scene, the thermal one three pixels off."""

    def streams(self):
        rng = np.random.default_rng(0)
        small = rng.integers(0, 256, (24, 32), np.uint8)
        scene = np.kron(small, np.ones((8, 8), np.uint8))
        rgb = np.repeat(scene[..., None], 3, axis=2)
        heat = np.roll(255 - scene, 3, axis=1)
        return [
            [replace(frame, image=image) for frame in stream(make_frame, 10, 2)]
            for make_frame, image in ((visible, rgb), (thermal, heat))
        ]

    def pipeline(self):
        # identical frames are what a closed shutter gives
        return make(registration={"refine": "on"}, thermal={"freeze_frames": 0})

    def test_the_correction_is_reported_and_frozen_visible(self):
        runs = []
        for _ in range(2):
            pipeline = self.pipeline()
            runs.append((run(pipeline, *self.streams()), pipeline.status().registration))
        (first, status), (second, _) = runs
        assert status["correction_px"] == pytest.approx(3, abs=0.5)
        assert status["confidence"] == first[-1].aligned.confidence > 0.5
        assert first[-1].aligned.residual_px < 0.6
        assert all(np.array_equal(a.image, b.image) for a, b in zip(first, second, strict=True))

    def test_pictures_that_do_not_agree_are_named_in_health(self):
        pipeline = make(registration={"refine": "on"})
        results = run(pipeline, stream(visible, 10, 2), stream(thermal, 10, 2))
        assert "registration_low" in results[-1].health

    def test_without_a_rig_nothing_is_measured_unless_asked_for(self):
        pipeline = make()
        results = run(pipeline, stream(visible, 10, 1), stream(thermal, 10, 1))
        assert pipeline.status().registration == {}
        assert results[-1].aligned.residual_px is None
