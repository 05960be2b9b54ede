"""The estimation process: real child processes, killed, stopped and orphaned."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pictures import H, W, scene_pair, thermal_through

from fusion_core.registration import Registrar, RegistrationConfig, Rig, process_backend
from fusion_core.registration.misalignment import EstimationTask
from fusion_core.registration.scene_pyramid import ScenePyramid
from fusion_core.types import Frame, ThermalImage

STEP_NS = 100_000_000
LIMIT_S = 120
CONFIG = RegistrationConfig(refine="on")


@pytest.fixture
def live():
    """Return a registrar that estimates in a child process."""
    with Registrar(None, CONFIG) as registrar:
        registrar.start()
        yield Stream(registrar)


class Stream:
    """Pairs of one scene, the thermal picture 4 px to the right."""

    def __init__(self, registrar):
        self.registrar = registrar
        visible, thermal = scene_pair(11)
        field = np.broadcast_to((-4.0, 0.0), (H, W, 2))
        luminance = thermal_through(thermal, field).astype(np.float32) / 255
        self.visible, self.thermal = visible, ThermalImage(luminance, None)
        self.frames = 0

    def until(self, condition):
        """Align frame after frame until something holds."""
        end = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < end
            self.align()
            time.sleep(0.01)

    def align(self):
        self.frames += 1
        frame = Frame(0, "visible", self.visible, "rgb8")
        return self.registrar.align(self.frames * STEP_NS, frame, self.thermal)

    def found(self):
        """Return whether the correction is nearer to the displacement than to none."""
        x, y, _ = self.registrar.correction @ (W / 2, H / 2, 1)
        return np.hypot(x - W / 2 - 4, y - H / 2) < 2

    def measured(self):
        return self.registrar.report().get("measured", 0)


def children():
    """Return the running child processes."""
    listed = (path.read_text() for path in Path("/proc/self/task").glob("*/children"))
    return [pid for text in listed for pid in map(int, text.split()) if is_running(pid)]


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for(condition):
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_estimate_arrives_and_corrects_the_map(live):
    live.until(live.found)
    aligned = live.align()
    # the thermal picture has been moved back to where that of an aligned pair is
    _, thermal = scene_pair(11)
    inner = slice(40, H - 40), slice(40, W - 40)
    expected = thermal[40:-40, 40:-40].astype(np.float32) / 255
    before = np.abs(live.thermal.luminance - expected)[inner].mean()
    assert np.abs(aligned.thermal - expected)[inner].mean() < before
    assert aligned.residual_px is not None
    assert live.registrar.health() == ()


def test_without_the_process_the_stream_goes_on_and_says_so(live, caplog):
    live.until(live.found)
    (pid,) = children()
    os.kill(pid, signal.SIGKILL)
    live.until(lambda: live.registrar.health() == ("registration_failed",))
    before = live.measured()
    for _ in range(50):
        assert live.align().thermal is not None
        time.sleep(0.01)
    assert live.found()
    assert live.measured() == before
    assert not children()
    (line,) = caplog.messages
    assert "the estimation process is lost" in line


def test_a_process_that_was_lost_is_replaced(live, monkeypatch):
    monkeypatch.setattr(process_backend, "_RESTART_S", 0.1)
    live.until(live.found)
    (lost,) = children()
    os.kill(lost, signal.SIGKILL)
    live.until(lambda: live.registrar.health() == ("registration_failed",))
    before = live.measured()
    live.until(lambda: live.measured() > before)
    assert live.registrar.health() == ()
    assert live.found()
    (new,) = children()
    assert new != lost


def test_a_process_that_does_not_answer_is_killed(live, monkeypatch):
    live.until(live.found)
    (pid,) = children()
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(process_backend, "_TIMEOUT_S", 0.5)
    live.until(lambda: live.registrar.health() == ("registration_failed",))
    assert not is_running(pid)


def test_an_error_on_one_pair_is_logged_and_the_next_pair_is_estimated(caplog):
    backend = process_backend.ProcessBackend(CONFIG)
    black = np.zeros((H, W), np.float32)
    scene = ScenePyramid(black, black, np.ones((H, W), bool))
    for applied in (None, np.eye(3)):
        backend.submit_scene(scene, EstimationTask(0, (W, H), 1, applied))
        end = time.monotonic() + LIMIT_S
        while not backend.is_idle() and time.monotonic() < end:
            estimate = backend.poll_estimate()
            time.sleep(0.01)
    backend.close()
    assert estimate.confidence < 0.5
    assert "refinement failed on a pair: Traceback" in caplog.text


def test_closing_leaves_no_process(live):
    live.until(lambda: live.measured() > 0)
    (pid,) = children()
    live.registrar.close()
    live.registrar.close()
    assert not is_running(pid)


PROGRAM = """
import sys, time
from fusion_core.registration.settings import RegistrationConfig
from fusion_core.registration.process_backend import ProcessBackend
backend = ProcessBackend(RegistrationConfig())
print(backend._process.pid, flush=True)
time.sleep({seconds})
"""


def test_the_process_ends_with_a_parent_that_is_killed(tmp_path):
    # run as a script that starts a child whenever it is imported: it must not be imported again
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.format(seconds=600))
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    wait_for(lambda: not is_running(pid))


def test_ctrl_c_is_for_the_parent():
    program = [sys.executable, "-c", PROGRAM.format(seconds=600)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        program, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as parent:
        pid = int(parent.stdout.readline())
        os.killpg(parent.pid, signal.SIGINT)  # what a terminal does
        _, errors = parent.communicate()
    wait_for(lambda: not is_running(pid))
    assert errors.count("KeyboardInterrupt") == 1


def test_the_estimation_process_imports_no_torch():
    code = "import sys, fusion_core.registration.process_backend; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_recording_needs_no_process():
    visible, thermal = scene_pair(12)
    rig = Rig.from_mapping(
        {"homography": np.eye(3).tolist(), "visible_size": [W, H], "thermal_size": [W, H]}
    )
    inner = np.ascontiguousarray(thermal[40:-40, 37:-43])
    with Registrar(rig, CONFIG) as registrar:
        frame = Frame(0, "visible", visible, "rgb8")
        registrar.align(0, frame, ThermalImage(inner.astype(np.float32) / 255, None))
        assert registrar.report()["measured"] == 1
        assert not children()
