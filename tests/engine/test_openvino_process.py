"""OpenVINO leaves the process as it is: nothing is forked or reported, signals are taken."""

import subprocess
import sys

import pytest

pytest.importorskip("openvino")
OPENING = """
import ctypes, os, signal, sys, threading
from fusion_core.engine.exported import exported_file
from fusion_core.inference import SessionConfig, open_session

def opened():
    return open_session(exported_file("m2pn-nano"), SessionConfig("openvino", 1, half=True))

class Stack(ctypes.Structure):
    _fields_ = [("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]
"""


def run(code, *arguments):
    """Return what a process says that has opened sessions; it must end in order."""
    command = [sys.executable, *arguments, "-c", OPENING + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout.strip()


def test_no_process_is_forked_and_nothing_reported():
    code = """
def fork():
    raise SystemExit("a process was forked")
os.fork = fork
opened()
print("openvino_telemetry" in sys.modules)
"""
    assert run(code) == "False"


def test_signals_are_taken_after_sessions_have_ended():
    """A plugin that was loaded in the main thread unmaps the stack on which Python takes them."""
    code = """
sessions = [opened(), opened()]
thread = threading.Thread(target=sessions.clear)
thread.start()
thread.join()
taken = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _frame: taken.append(number))
    signal.raise_signal(number)
print(*(signal.Signals(number).name for number in taken))
"""
    assert run(code) == "SIGINT SIGTERM"


@pytest.mark.skipif(sys.platform != "linux", reason="OpenVINO sets stacks for signals in Linux")
def test_no_thread_that_opens_a_session_is_given_a_stack_for_signals():
    """The main thread has one of faulthandler's."""
    code = """
def stack():
    values = Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(values))
    return values.start, values.flags, values.size

def show():
    before = stack()
    sessions.append(opened())
    print(stack() == before)

sessions = []
assert stack()[0]
for _ in range(2):
    thread = threading.Thread(target=show)
    thread.start()
    thread.join()
    show()
"""
    assert run(code, "-X", "faulthandler").split() == ["True"] * 4
