"""Detection as a stage: labels, and what happens when the detector fails."""

import threading

import numpy as np
import onnx_networks as networks
import pytest

from fusion_core.detection import DetectionConfig, DetectionRunner, Detector
from fusion_core.errors import UsageError
from fusion_core.types import AlignedPair

SECOND = 1_000_000_000
LIMIT_S = 60
DARK, BRIGHT = (np.full((64, 64, 3), value, np.uint8) for value in (90, 200))


def pair(image, stamp_ns=0, temperature=None):
    valid = np.ones(image.shape[:2], bool)
    thermal = np.zeros(image.shape[:2], np.float32)
    return AlignedPair(stamp_ns, image, thermal, valid, temperature)


def look(stage, aligned, *, live=False):
    stage.begin(aligned, aligned.visible, live=live)
    return stage.finish(aligned, live=live)


@pytest.fixture
def detector(tmp_path):
    """Finds a person in the middle half, score 0.9; fails on bright pictures."""
    return Detector(networks.fails_on_bright(tmp_path / "net.onnx"))


def test_failure_costs_the_detections_only_and_is_counted(detector, caplog):
    stage = DetectionRunner(detector, DetectionConfig())
    assert [d.label for d in look(stage, pair(DARK))[0]] == ["person"]
    for _ in range(2):
        assert look(stage, pair(BRIGHT)) == ((), ("detector_failed",))
    found, health = look(stage, pair(DARK))
    assert len(found) == 1
    assert health == ()
    status = stage.status()
    assert status["failures"] == 2
    assert "cannot be executed" in status["last_error"]
    assert len(caplog.records) == 1  # the same failure is told once
    assert status["detections"] == {"person": 2}


def test_identities_and_objects(detector):
    stage = DetectionRunner(detector, DetectionConfig())
    found = [look(stage, pair(DARK, i * SECOND // 10))[0][0].track_id for i in range(3)]
    assert found == [None, 1, 1]
    assert stage.status()["objects"] == {"person": 1}


def test_without_tracks_there_are_no_identities(detector):
    stage = DetectionRunner(detector, DetectionConfig(track=False))
    found = [look(stage, pair(DARK, i * SECOND // 10))[0][0].track_id for i in range(3)]
    assert found == [None, None, None]


def test_switched_off_it_does_nothing(detector):
    stage = DetectionRunner(detector, DetectionConfig())
    stage.active = False
    assert look(stage, pair(BRIGHT)) == ((), ())


def test_threshold_of_the_configuration_wins(detector):
    stage = DetectionRunner(detector, DetectionConfig(score_threshold=0.95, track=False))
    assert look(stage, pair(DARK)) == ((), ())


def test_labels_to_keep(tmp_path):
    metadata = {"names": "['person', 'vehicle', 'cycle']"}
    detector = Detector(networks.colour_meter(tmp_path / "net.onnx", metadata=metadata))
    yellow = np.full((64, 64, 3), (255, 250, 0), np.uint8)
    stage = DetectionRunner(detector, DetectionConfig(labels="vehicle, cycle"))
    assert look(stage, pair(yellow)) == ((), ())
    with pytest.raises(UsageError, match="'car' is no class"):
        DetectionRunner(detector, DetectionConfig(labels="person,car"))


class TestLive:
    """A detector that answers when it is let, looking at a stream of 10 pairs a second."""

    @pytest.fixture
    def gate(self, detector, monkeypatch):
        """Lets the detector answer; every look takes one permit."""
        permits, detect = threading.Semaphore(0), detector.detect

        def slow(*arguments, **options):
            assert permits.acquire(timeout=LIMIT_S)
            return detect(*arguments, **options)

        monkeypatch.setattr(detector, "detect", slow)
        return permits

    @staticmethod
    def live(stage, number):
        found, health = look(stage, pair(DARK, number * SECOND // 10), live=True)
        assert health == ()
        return found

    @staticmethod
    def answered(stage):
        """Wait until the detector is done with what it was given."""
        assert stage._look.call.wait(LIMIT_S)

    def test_frames_do_not_wait_for_a_slow_detector_and_are_predicted(self, detector, gate):
        stage = DetectionRunner(detector, DetectionConfig())
        gate.release(2)
        for number in (0, 1):  # a track is made, and the detector known to take a second
            look(stage, pair(DARK, number * SECOND // 10))
            stage._pace.is_due(number * SECOND // 10, 0.0)
        stage._pace.end(0.0, 1.0)
        (found,) = self.live(stage, 2)
        assert (found.predicted, found.track_id) == (True, 1)
        (found,) = self.live(stage, 3)  # it is still at work on the pair before
        assert found.predicted
        assert stage.detected_ns == SECOND // 10
        gate.release()
        self.answered(stage)
        (found,) = self.live(stage, 4)
        assert found.predicted
        assert stage.detected_ns == 2 * SECOND // 10
        assert stage.status()["pairs"] == 3
        assert stage._look.stamp_ns == 4 * SECOND // 10  # it was free, and got the newest pair
        gate.release()
        stage.close()

    def test_the_pace_is_told_how_old_objects_would_be(self, detector, gate, monkeypatch):
        stage, ages = DetectionRunner(detector, DetectionConfig()), []
        gate.release()
        look(stage, pair(DARK, 0))
        monkeypatch.setattr(stage._pace, "patience_s", lambda *about: ages.append(about[4]) or 0.0)
        for number in (1, 2):  # the detector is at work on the first of them
            self.live(stage, number)
        assert ages == pytest.approx([0.1, 0.2])
        gate.release()
        stage.close()

    def test_a_failure_that_is_told_late_costs_one_frame_its_detections(self, detector, gate):
        stage = DetectionRunner(detector, DetectionConfig())
        gate.release(2)
        for number in (0, 1):
            look(stage, pair(DARK, number * SECOND // 10))
            stage._pace.is_due(number * SECOND // 10, 0.0)
        stage._pace.end(0.0, 1.0)
        assert look(stage, pair(BRIGHT, 2 * SECOND // 10), live=True)[1] == ()
        gate.release()
        self.answered(stage)
        assert look(stage, pair(DARK, 3 * SECOND // 10), live=True) == ((), ("detector_failed",))
        gate.release()
        assert look(stage, pair(DARK, 4 * SECOND // 10), live=True)[1] == ()
        assert stage.status()["failures"] == 1
        stage.close()

    def test_every_second_pair_is_waited_for(self, detector, gate):
        stage = DetectionRunner(detector, DetectionConfig(every=2))
        gate.release(3)
        found = [self.live(stage, number) for number in range(5)]
        assert [[each.predicted for each in objects] for objects in found] == [
            [False],
            [],  # seen once, it is no track yet
            [False],
            [True],
            [False],
        ]

    def test_a_recording_waits_for_every_pair(self, detector, gate):
        stage = DetectionRunner(detector, DetectionConfig(every=3))
        gate.release(4)
        found = [look(stage, pair(DARK, number * SECOND // 10))[0] for number in range(4)]
        assert all(not objects[0].predicted for objects in found)
        assert stage.status()["pairs"] == 4

    def test_without_tracks_every_live_pair_is_waited_for(self, detector, gate):
        stage = DetectionRunner(detector, DetectionConfig(track=False, every=3))
        gate.release(4)
        assert [len(self.live(stage, number)) for number in range(4)] == [1, 1, 1, 1]
