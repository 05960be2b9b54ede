"""Detection as the last stage of the pipeline."""

import gc
import threading
import time
from itertools import islice

import numpy as np
import onnx_networks as networks
import pytest
from streams import SECOND, ListSource, stream, thermal, visible

from fusion_core.config import Config
from fusion_core.detection import DetectionRunner
from fusion_core.errors import DetectorError
from fusion_core.pipeline import Pipeline
from fusion_core.types import Frame, FramePair


def make(detector, **config):
    settings = {"device": "cpu", "threads": 1, "detector": detector, **config}
    return Pipeline(Config.from_dict(settings))


@pytest.fixture
def constant(tmp_path):
    """A detector that finds a person at the same place of every picture.

    Its input is 64 x 64; a picture of 128 x 96 covers columns 0 to 63, rows 8 to 55 of it, so the
    box (8, 16, 24, 40) there is (16, 16, 32, 48) in the picture.
    """
    rows = np.zeros((1, 5, 16), np.float32)
    rows[0, :, 0] = [16, 28, 16, 24, 0.8]
    metadata = {"names": "{0: 'person'}"}
    return networks.constant(tmp_path / "net.onnx", {"output0": rows}, metadata=metadata)


def test_every_result_carries_its_objects(constant):
    with make(constant) as pipeline:
        source = ListSource(stream(visible, 10, 1), stream(thermal, 10, 1))
        results = list(pipeline.stream(source))
        status = pipeline.status()
    assert len(results) == 10
    for index, fused in enumerate(results):
        (found,) = fused.detections
        assert found.box == pytest.approx((16, 16, 32, 48), abs=1e-4)
        assert found.track_id == (None if index == 0 else 1)
        assert fused.timings["detection"] > 0
        assert fused.timings["total"] > fused.timings["detection"] + fused.timings["fusion"]
    assert status.detector["detections"] == {"person": 10}
    assert status.detector["objects"] == {"person": 1}
    assert "detection" in status.latency_ms


def test_without_a_detector_there_is_no_such_stage():
    with make("none") as pipeline:
        (fused,) = pipeline.stream(ListSource([visible(SECOND)], [thermal(SECOND)]))
        assert pipeline.status().detector == {}
    assert fused.detections == ()
    assert "detection" not in fused.timings


def test_radiometric_cameras_give_objects_a_temperature(constant):
    """Centikelvin at 310.15 K everywhere, which is 37 degrees Celsius."""
    heat = np.full((96, 128), 31015, np.uint16)
    heat[::2, ::3] += 10
    frame = Frame(SECOND, "thermal", heat, "mono16", "ir")
    config = {"thermal": {"unit": "kelvin", "scale": 0.01}}
    with make(constant, **config) as pipeline:
        (fused,) = pipeline.stream(ListSource([visible(SECOND)], [frame]))
    assert fused.detections[0].temperature == pytest.approx(37.0, abs=0.2)


def test_a_hot_object_raises_an_alarm(constant):
    """Two seconds of a box at 80 C on a ground at 20 C, then it cools to 55 C."""

    def heat(index):
        image = np.full((96, 128), 29315, np.uint16)
        image[16:64, 16:48] = (80 if index < 20 else 55) * 100 + 27315
        image[0, index] += 1  # pictures that repeat exactly are those of a closed shutter
        return Frame((index + 10) * SECOND // 10, "thermal", image, "mono16", "ir", index)

    frames = [heat(index) for index in range(30)]
    config = {
        "thermal": {"unit": "kelvin", "scale": 0.01},
        "temperature": {"alarm_above_c": 60.0, "alarm_after_s": 1.0},
    }
    with make(constant, **config) as pipeline:
        results = list(pipeline.stream(ListSource(stream(visible, 10, 3), frames)))
        status = pipeline.status().temperature
    on = [bool(fused.alarms) for fused in results]
    # The identity comes with the second picture; a second later the alarm does.
    assert on == [False] * 11 + [True] * 9 + [False] * 10
    (alarm,) = results[15].alarms
    assert (alarm.kind, alarm.track_id, alarm.label) == ("above", 1, "person")
    assert alarm.temperature == pytest.approx(80, abs=0.1)
    assert results[15].detections[0].heat.maximum == pytest.approx(80, abs=0.1)
    assert (status["alarms"], status["raised"]) == ((), 1)


def test_a_missing_file_stops_the_start(tmp_path):
    with pytest.raises(DetectorError, match="no such file"):
        make(str(tmp_path / "none.onnx"))


def test_a_failing_detector_never_ends_a_live_stream(tmp_path):
    """Bright pictures make this network fail; the fused picture comes all the same."""
    path = networks.fails_on_bright(tmp_path / "net.onnx")
    results, arrived = [], threading.Event()

    def keep(fused):
        results.append(fused)
        arrived.set()

    def send(pipeline, index, value):
        arrived.clear()
        stamp = SECOND + index * SECOND // 10
        image = np.full((96, 128, 3), value, np.uint8)
        pipeline.submit(Frame(stamp, "visible", image, "rgb8"))
        noise = np.random.default_rng(index).integers(-5, 6, (96, 128))
        pipeline.submit(Frame(stamp, "thermal", (value + noise).astype(np.uint8), "mono8"))
        assert arrived.wait(30)

    with make(path, detection={"every": 1}) as pipeline:
        pipeline.start(keep)
        for index, value in enumerate((240, 240, 40, 40)):
            send(pipeline, index, value)
        assert pipeline.status().detector["failures"] == 2
    assert [fused.health for fused in results] == [("detector_failed",)] * 2 + [()] * 2
    assert [len(fused.detections) for fused in results] == [0, 0, 1, 1]


def test_the_detector_is_told_when_a_live_pair_was_formed(constant, monkeypatch):
    """Before its other stages: how long a frame may wait counts from there."""
    told, arrived = [], threading.Event()
    begin = DetectionRunner.begin

    def note(runner, *arguments, came_s, **options):
        told.append((came_s, time.perf_counter()))
        begin(runner, *arguments, came_s=came_s, **options)

    monkeypatch.setattr(DetectionRunner, "begin", note)
    with make(constant) as pipeline:
        pipeline.start(lambda _: arrived.set())
        before_s = time.perf_counter()
        pipeline.submit(visible(SECOND))
        pipeline.submit(thermal(SECOND))
        assert arrived.wait(30)
    ((came_s, begun_s),) = told
    assert before_s < came_s < begun_s


def test_a_detector_rests_while_its_results_are_not_used(constant):
    with make(constant) as pipeline:
        counts = []
        for index, wanted in enumerate((True, False, True)):
            pipeline.enable_detection(wanted)
            stamp = SECOND + index * SECOND // 10
            pair = FramePair(stamp, visible(stamp, index), thermal(stamp, index), 0)
            counts.append(len(pipeline.step(pair).detections))
    assert counts == [1, 0, 1]


def test_frames_are_freed_without_the_garbage_collector(constant):
    """Cycles would hold dozens of pictures, and freeing them at once a live frame."""
    with make(constant) as pipeline:
        results = pipeline.stream(ListSource(stream(visible, 30, 1), stream(thermal, 30, 1)))
        assert len(list(islice(results, 5))) == 5  # what the first ones load may be garbage
        gc.collect()
        gc.disable()
        try:
            assert len(list(islice(results, 10))) == 10
            assert gc.collect() == 0
        finally:
            gc.enable()
        results.close()
