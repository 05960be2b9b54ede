"""Detection as a stage: temperatures, labels, and what happens when the detector fails."""

import numpy as np
import onnx_networks as networks
import pytest

from fusion_core.detection import DetectionConfig, DetectionRunner, Detector
from fusion_core.detection.runner import mean_temperature
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


class TestTemperature:
    """A field whose value is 10 * row + column, so means are easy by hand."""

    field = np.float32(10) * np.arange(4, dtype=np.float32)[:, None] + np.arange(
        6, dtype=np.float32
    )

    def aligned(self, valid=None):
        valid = np.ones((4, 6), bool) if valid is None else valid
        return AlignedPair(0, None, np.zeros((4, 6), np.float32), valid, self.field.copy())

    def test_convention_pixels_whose_middle_is_inside(self):
        # Columns 1 and 2, rows 1 and 2: 11, 12, 21, 22.
        assert mean_temperature(self.aligned(), (1.0, 1.0, 2.0, 2.0)) == 16.5
        assert mean_temperature(self.aligned(), (0.6, 1.4, 2.0, 2.0)) == 16.5
        assert mean_temperature(self.aligned(), (0.4, 1.0, 2.0, 2.0)) == 15.5  # columns 0 and 1

    def test_pixels_that_the_thermal_camera_does_not_see_do_not_count(self):
        valid = np.ones((4, 6), bool)
        valid[:, 2] = False
        assert mean_temperature(self.aligned(valid), (1.0, 1.0, 2.0, 2.0)) == 16.0
        assert mean_temperature(self.aligned(valid), (2.0, 1.0, 1.0, 2.0)) is None

    def test_pixels_without_a_value_do_not_count(self):
        aligned = self.aligned()
        aligned.temperature[:, 2] = [np.nan, np.nan, np.inf, np.nan]
        assert mean_temperature(aligned, (1.0, 1.0, 2.0, 2.0)) == 16.0
        assert mean_temperature(aligned, (2.0, 1.0, 1.0, 2.0)) is None

    def test_unknown_without_a_measuring_camera(self):
        assert mean_temperature(pair(DARK), (1.0, 1.0, 2.0, 2.0)) is None

    def test_detections_carry_it(self, detector):
        stage = DetectionRunner(detector, DetectionConfig())
        field = np.zeros((64, 64), np.float32)
        field[16:48, 16:48] = 36.5  # the middle half, where the person is found
        (found,), _ = stage.run(DARK, pair(DARK, temperature=field))
        assert found.temperature == pytest.approx(36.5)
