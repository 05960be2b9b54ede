"""A run that is told to end completes its outputs, however often it is told."""

import json
import signal
import subprocess
import sys
import time

import av
import pytest
from rosbags.highlevel import AnyReader

SCENE = ["--bag", "synthetic://street?seed=1&registered=1", "--device", "cpu", "--prior", "none"]


def wait_for(condition, process, what):
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"no {what}"
        time.sleep(0.02)


def start(command, folder):
    return subprocess.Popen(
        [sys.executable, "-m", "fusion_core.cli.main", *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "signals",
    [
        (signal.SIGINT,),
        (signal.SIGTERM,),
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGINT, signal.SIGTERM, signal.SIGINT),
    ],
    ids=lambda signals: "+".join(number.name for number in signals),
)
def test_signals_end_a_run_with_all_outputs_complete(tmp_path, signals):
    outputs = ["--out", "a.mp4", "--out", "a.jsonl", "--out", "bag:drive", "--memory", "bank"]
    command = ["run", *SCENE, "--detector", "none", *outputs, "--report", "a.html"]
    process = start(command, tmp_path)
    log = tmp_path / "a.jsonl"
    wait_for(lambda: log.exists() and log.read_text().count("\n") >= 2, process, "second frame")
    for number in signals:
        process.send_signal(number)
        time.sleep(0.05)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert "Traceback" not in err
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(lines)
    with AnyReader([tmp_path / "drive"]) as bag:
        images = [each for each in bag.connections if each.topic == "/fusion/image"]
        assert sum(1 for _ in bag.messages(images)) == len(lines)
    summary = json.loads((tmp_path / "run.json").read_text())
    assert (summary["fused"], summary["error"]) == (len(lines), "")
    assert (tmp_path / "bank").stat().st_size > 0
    assert "</html>" in (tmp_path / "a.html").read_text()
    assert "a.mp4" in out


def test_a_live_run_that_waits_for_frames_ends_as_well(tmp_path):
    """Nobody publishes at these addresses."""
    inputs = ["--visible", "zmq://127.0.0.1:5/rgb", "--thermal", "zmq://127.0.0.1:5/ir"]
    command = ["run", *inputs, "--detector", "none", "--device", "cpu", "--out", "a.jsonl"]
    process = start(command, tmp_path)
    wait_for((tmp_path / "a.jsonl").exists, process, "output")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert json.loads((tmp_path / "run.json").read_text())["fused"] == 0
    assert "read     " in out
    assert "dropped  none" not in out


PRELUDE = """
import os, signal, time
from fusion_core.cli.stop_signal import StopSignal

def send(name):
    os.kill(os.getpid(), signal.Signals[name])
    time.sleep(0.01)  # for Python to take it

def interrupted(stop, work):
    try:
        with stop.interruptible():
            work()
    except KeyboardInterrupt:
        return True
    return False
"""


def say(code):
    """Return the lines of a process that sends itself signals."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_the_first_signal_interrupts_work_and_the_second_does_nothing(name):
    code = f"""
with StopSignal() as stop:
    print("first", interrupted(stop, lambda: send("{name}") or print("went on")), stop.requested)
    send("{name}")
    print("next", interrupted(stop, lambda: print("was begun")))
"""
    assert say(code) == ["first True True", "next True"]


def test_a_signal_while_outputs_are_written_waits_for_the_next_step():
    code = """
with StopSignal() as stop:
    print("undisturbed", interrupted(stop, lambda: None))
    send("SIGTERM")
    print("written", stop.requested)
    print("next", interrupted(stop, lambda: print("was begun")))
"""
    assert say(code) == ["undisturbed False", "written True", "next True"]


def test_without_a_signal_the_handlers_are_as_before():
    code = """
numbers = signal.SIGTERM, signal.SIGINT
before = [signal.getsignal(number) for number in numbers]
with StopSignal() as stop, stop.interruptible():
    print(any(signal.getsignal(number) == old for number, old in zip(numbers, before)))
print([signal.getsignal(number) for number in numbers] == before)
"""
    assert say(code) == ["False", "True"]
