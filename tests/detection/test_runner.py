"""Detection as a stage: labels, and what happens when the detector fails or rests."""

import numpy as np
import onnx_networks as networks
import pytest

from fusion_core.detection import DetectionConfig, DetectionRunner, Detector
from fusion_core.errors import UsageError
from fusion_core.types import AlignedPair

SECOND = 1_000_000_000
DARK, BRIGHT = (np.full((64, 64, 3), value, np.uint8) for value in (90, 200))


def pair(image, stamp_ns=0, temperature=None):
    valid = np.ones(image.shape[:2], bool)
    thermal = np.zeros(image.shape[:2], np.float32)
    return AlignedPair(stamp_ns, image, thermal, valid, temperature)


@pytest.fixture
def detector(tmp_path):
    """Finds a person in the middle half, score 0.9; fails on bright pictures."""
    return Detector(networks.fails_on_bright(tmp_path / "net.onnx"))


def test_failure_costs_the_detections_only_and_is_counted(detector, caplog):
    stage = DetectionRunner(detector, DetectionConfig())
    assert [d.label for d in stage.run(DARK, pair(DARK))[0]] == ["person"]
    for _ in range(2):
        assert stage.run(BRIGHT, pair(BRIGHT)) == ((), ("detector_failed",))
    found, health = stage.run(DARK, pair(DARK))
    assert len(found) == 1
    assert health == ()
    status = stage.status()
    assert status["failures"] == 2
    assert "cannot be executed" in status["last_error"]
    assert len(caplog.records) == 1  # the same failure is told once
    assert status["detections"] == {"person": 2}


def test_identities_and_objects(detector):
    stage = DetectionRunner(detector, DetectionConfig())
    found = [stage.run(DARK, pair(DARK, i * SECOND // 10))[0][0].track_id for i in range(3)]
    assert found == [None, 1, 1]
    assert stage.status()["objects"] == {"person": 1}


def test_without_tracks_there_are_no_identities(detector):
    stage = DetectionRunner(detector, DetectionConfig(track=False))
    found = [stage.run(DARK, pair(DARK, i * SECOND // 10))[0][0].track_id for i in range(3)]
    assert found == [None, None, None]


def test_switched_off_it_does_nothing(detector):
    stage = DetectionRunner(detector, DetectionConfig())
    stage.active = False
    assert stage.run(BRIGHT, pair(BRIGHT)) == ((), ())


def test_threshold_of_the_configuration_wins(detector):
    stage = DetectionRunner(detector, DetectionConfig(score_threshold=0.95, track=False))
    assert stage.run(DARK, pair(DARK)) == ((), ())


def test_labels_to_keep(tmp_path):
    metadata = {"names": "['person', 'vehicle', 'cycle']"}
    detector = Detector(networks.colour_meter(tmp_path / "net.onnx", metadata=metadata))
    yellow = np.full((64, 64, 3), (255, 250, 0), np.uint8)
    stage = DetectionRunner(detector, DetectionConfig(labels="vehicle, cycle"))
    assert stage.run(yellow, pair(yellow)) == ((), ())
    with pytest.raises(UsageError, match="'car' is no class"):
        DetectionRunner(detector, DetectionConfig(labels="person,car"))


def test_a_frame_on_which_the_detector_rests(detector):
    """It is not even asked: on a bright picture it would fail."""
    stage = DetectionRunner(detector, DetectionConfig())
    assert stage.predict(pair(DARK)) == ()
    for i in range(2):
        stage.run(DARK, pair(DARK, i * SECOND // 10))
    (found,) = stage.predict(pair(BRIGHT, 2 * SECOND // 10))
    assert (found.label, found.track_id, found.predicted) == ("person", 1, True)
    assert found.box == pytest.approx((16, 16, 32, 32), abs=0.1)
    assert stage.status()["failures"] == 0
    untracked = DetectionRunner(detector, DetectionConfig(track=False))
    untracked.run(DARK, pair(DARK))
    assert untracked.predict(pair(DARK, SECOND // 10)) == ()
