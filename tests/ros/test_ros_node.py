"""The node in a ROS graph: lifecycle, parameters, services, memory, transport."""

import dataclasses
import itertools
import os
import signal

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from robot import repeat_until, wait_for
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool, Trigger
from vision_msgs.msg import Classification

from fusion_core.config import Config
from fusion_core.priors import THERMAL_KINDS, VISIBLE_KINDS


def flat(block, prefix=""):
    """Return a configuration's values by dotted name."""
    values = {}
    for entry in dataclasses.fields(block):
        value = getattr(block, entry.name)
        if dataclasses.is_dataclass(value):
            values |= flat(value, f"{prefix}{entry.name}.")
        elif not isinstance(value, dict):
            values[prefix + entry.name] = ",".join(value) if isinstance(value, tuple) else value
    return values


def state(node):
    return node.call(GetState, "get_state").current_state.label


def change(node, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    return node.call(ChangeState, "change_state", request).success


def set_parameter(node, name, value):
    request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    return node.call(SetParameters, "set_parameters", request).results[0]


def test_the_lifecycle_step_by_step(start):
    node = start(autostart=False)
    assert state(node) == "unconfigured"
    assert change(node, Transition.TRANSITION_CONFIGURE)
    assert state(node) == "inactive"
    assert node.robot.node.count_subscribers(node.topic("rgb/image_raw")) == 0
    for _ in range(2):
        assert change(node, Transition.TRANSITION_ACTIVATE)
        assert state(node) == "active"
        node.connect().close()
        assert change(node, Transition.TRANSITION_DEACTIVATE)
        topic = node.topic("rgb/image_raw")
        wait_for(lambda t=topic: node.robot.node.count_subscribers(t) == 0, "no subscription")
    assert change(node, Transition.TRANSITION_CLEANUP)
    assert state(node) == "unconfigured"
    assert change(node, Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert state(node) == "finalized"


def test_parameters_are_the_configuration(start):
    node = start(autostart=False)
    listed = node.call(ListParameters, "list_parameters").result.names
    expected = flat(Config()) | {"threads": 1, "device": "cpu"}
    assert set(expected) <= set(listed)
    answer = node.call(GetParameters, "get_parameters", GetParameters.Request(names=list(expected)))
    kinds = {
        ParameterType.PARAMETER_BOOL: "bool_value",
        ParameterType.PARAMETER_INTEGER: "integer_value",
        ParameterType.PARAMETER_DOUBLE: "double_value",
        ParameterType.PARAMETER_STRING: "string_value",
    }
    for name, message in zip(expected, answer.values, strict=True):
        assert getattr(message, kinds[message.type]) == expected[name], name
    request = DescribeParameters.Request(
        names=["sync.max_skew_ms", "threads", "sync.master", "autostart"]
    )
    slack, threads, master, autostart = node.call(
        DescribeParameters, "describe_parameters", request
    ).descriptors
    limits = slack.floating_point_range[0]
    assert (limits.from_value, limits.to_value) == (0.0, 1000.0)
    assert "milliseconds" in slack.description
    assert (threads.integer_range[0].from_value, threads.integer_range[0].to_value) == (0, 256)
    assert master.additional_constraints == "one of: visible, thermal"
    assert autostart.read_only


def test_the_options_of_the_model_are_parameters(start):
    """Those of the model in force, with its ranges: CtrlFuse's gain goes from 0 to 10."""
    node = start(autostart=False, model="ctrlfuse", prior="none", **{"options.gain": 2})

    def options():
        names = node.call(ListParameters, "list_parameters").result.names
        return {name for name in names if name.startswith("options.")}

    assert options() == {"options.gain", "options.segmenter_weights"}
    request = DescribeParameters.Request(names=["options.gain"])
    (gain,) = node.call(DescribeParameters, "describe_parameters", request).descriptors
    limits = gain.floating_point_range[0]
    assert (limits.from_value, limits.to_value) == (0.0, 10.0)
    assert len(gain.description) > 20
    request = GetParameters.Request(names=["options.gain"])
    assert node.call(GetParameters, "get_parameters", request).values[0].double_value == 2.0
    assert not set_parameter(node, "options.gain", 11.0).successful
    assert set_parameter(node, "options.gain", 0.5).successful
    assert change(node, Transition.TRANSITION_CONFIGURE)
    assert set_parameter(node, "options.gain", 1.0).successful
    assert not set_parameter(node, "options.segmenter_weights", "elsewhere").successful
    assert change(node, Transition.TRANSITION_CLEANUP)
    assert set_parameter(node, "model", "m2pn-edge").successful
    assert change(node, Transition.TRANSITION_CONFIGURE)
    assert options() == set()


@pytest.mark.parametrize("value", [11.0, "strong"])
def test_a_bad_option_at_start_fails_to_configure(start, value):
    node = start(model="ctrlfuse", prior="none", **{"options.gain": value})
    _, message, _ = node.wait_diagnostics("node", lambda level, _m, _v: level == 2)
    assert f"gain = {value!r}" in message
    assert set_parameter(node, "options.gain", 0.5).successful
    assert change(node, Transition.TRANSITION_CONFIGURE)


def test_bad_values_are_refused_and_good_ones_wait_for_configuring(start):
    node = start(autostart=False)
    assert not set_parameter(node, "sync.max_skew_ms", 5000.0).successful
    refused = set_parameter(node, "sync.master", "sonar")
    assert not refused.successful
    assert "'visible' or 'thermal'" in refused.reason
    assert set_parameter(node, "sync.master", "thermal").successful
    assert change(node, Transition.TRANSITION_CONFIGURE)
    locked = set_parameter(node, "sync.master", "visible")
    assert not locked.successful
    assert "clean up first" in locked.reason


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("sync.max_skew_ms", 5000.0, "sync.max_skew_ms = 5000.0"),
        ("sync.slak_ms", 5.0, "unknown key 'sync.slak_ms'"),
        ("stability", 0.5, "'temporal_smoothing'"),
        ("model", "m3pn", "m3pn"),
        ("options.gain", 0.5, "options.gain: unknown to model 'm2pn-edge'"),
        ("calibration", "/nowhere/rig.yaml", "/nowhere/rig.yaml"),
    ],
)
def test_a_bad_value_at_start_fails_to_configure_with_the_reason(start, name, value, words):
    node = start(**{name: value})
    level, message, _ = node.wait_diagnostics("node", lambda level, _m, _v: level == 2)
    assert words in message, (level, message)
    assert words in node.log
    assert state(node) == "unconfigured"
    if name == "model":
        assert set_parameter(node, name, Config().model).successful
        assert change(node, Transition.TRANSITION_CONFIGURE)


def test_services(start, tmp_path):
    file = tmp_path / "bank.safetensors"
    node = start(**{"memory.file": file, "memory.mode": "online"})
    images = node.connect()
    saved = node.call(Trigger, "save_memory")
    assert saved.success
    assert str(file) in saved.message
    assert file.stat().st_size > 0
    node.wait_diagnostics("memory", lambda _l, _m, values: int(values["queries"]) > 0)
    assert node.call(Trigger, "reset_memory").success
    node.wait_diagnostics("memory", lambda _l, _m, values: values["queries"] == "0")
    assert node.call(SetBool, "enable", SetBool.Request(data=False)).success
    node.send_pair(100, 1)
    node.wait_diagnostics("node", lambda _l, message, _v: "disabled" in message)
    counters = node.counters()
    assert counters["visible received"] == counters["thermal received"] == 1
    assert counters["visible read"] == counters["thermal read"] == 0
    assert node.call(SetBool, "enable", SetBool.Request(data=True)).success
    node.fuse_pair(images, 200, 2)
    assert images.stamps == [node.at(200)]


def test_the_prior_is_published_when_refreshed_and_on_request(start):
    node = start()
    priors = node.listen(Classification, "degradation")
    node.connect()
    offsets = iter(range(1000, 1_000_000, 100))
    repeat_until(lambda: node.send_pair(next(offsets), 1), lambda: priors.messages, "a prior")
    first = priors.messages[0]
    found = {entry.class_id: entry.score for entry in first.results}
    assert set(found) == {*VISIBLE_KINDS, *(f"thermal/{kind}" for kind in THERMAL_KINDS)}
    assert all(0 <= score <= 1 for score in found.values())
    scores = [entry.score for entry in first.results]
    assert scores == sorted(scores, reverse=True)
    priors.forget()
    assert node.call(Trigger, "refresh_prior").success
    requested_at = next(offsets)
    repeat_until(lambda: node.send_pair(next(offsets), 1), lambda: priors.messages, "another")
    assert priors.stamps[0] > node.at(requested_at)
    _, message, values = node.wait_diagnostics("prior", lambda _l, _m, v: int(v["refreshes"]) > 1)
    assert values["provider"] == "embedded"
    assert "visible" in message or "thermal" in message


def test_refresh_without_a_provider_fails_with_the_reason(start):
    node = start(prior="none")
    node.camera("rgb/image_raw")
    answer = node.call(Trigger, "refresh_prior")
    assert not answer.success
    assert "none" in answer.message


def test_save_memory_without_a_file_names_the_parameter(start):
    node = start()
    node.camera("rgb/image_raw")
    answer = node.call(Trigger, "save_memory")
    assert not answer.success
    assert "memory.file" in answer.message


def test_the_memory_bank_is_kept_when_the_node_is_killed(start, tmp_path):
    file = tmp_path / "bank.safetensors"
    node = start(**{"memory.file": file, "memory.mode": "online"})
    images = node.connect()
    for index in range(5):
        node.fuse_pair(images, index * 100, index)
    node.counters()
    learned = node.diagnostics("memory")[2]["queries"]
    assert node.call(Trigger, "save_memory").success
    node.kill()
    again = start(**{"memory.file": file})
    _, _, values = again.wait_diagnostics("memory", lambda _l, _m, _v: True)
    assert values["queries"] == learned
    assert int(learned) > 5


def test_a_torn_memory_bank_is_set_aside(start, tmp_path):
    file = tmp_path / "bank.safetensors"
    node = start(**{"memory.file": file})
    node.connect()
    node.signal(signal.SIGTERM)
    assert node.wait_exit() == 0, node.log
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    again = start(**{"memory.file": file})
    again.connect()
    level, message, _ = again.wait_diagnostics("memory", lambda level, _m, _v: level == 1)
    assert "fresh" in message, level
    assert (tmp_path / "bank.safetensors.rejected").read_bytes() == whole[: len(whole) // 2]
    assert "fresh bank" in again.log


def test_nothing_is_computed_without_subscribers(start):
    node = start()
    offsets = iter(range(0, 100_000, 100))

    def arrived():
        _, _, values = node.wait_diagnostics("input", lambda _l, _m, _v: True)
        return min(int(values["visible received"]), int(values["thermal received"])) >= 3

    repeat_until(lambda: node.send_pair(next(offsets), 0), arrived, "three pairs received")
    assert "idle" in node.diagnostics("node")[1]
    _, _, values = node.diagnostics("input")
    assert values["visible read"] == values["thermal read"] == "0"
    node.connect()
    node.wait_diagnostics("node", lambda _l, message, _v: message == "fusing")


def test_an_incompatible_subscriber_is_named_with_the_remedy(start):
    node = start()
    node.camera("rgb/image_raw")
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    node.listen(Image, "image", latched)
    level, message, _ = node.wait_diagnostics("transport", lambda level, _m, _v: level == 1)
    assert "DURABILITY" in message, level
    assert "subscribe volatile" in message
    assert "DURABILITY" in node.log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_even_twice_ends_the_node_cleanly(start, tmp_path, number):
    file = tmp_path / "bank.safetensors"
    node = start(**{"memory.file": file})
    node.connect()
    for index in range(5):
        node.send_pair(index * 100, index)
    node.signal(number)
    node.signal(number)
    assert node.wait_exit() == 0, node.log
    assert "Traceback" not in node.log
    assert file.exists()


def test_a_registration_that_is_no_longer_measured_is_reported(start):
    node = start(**{"registration.refine": "on"})
    images = node.listen(Image, "image")
    indices = itertools.count()

    def send():
        index = next(indices)
        node.send_pair(100 * index, index)

    def measured():
        status = node.diagnostics("registration")
        return status and int(status[2].get("measured", 0)) > 0

    repeat_until(send, measured, "a measurement", 0.1)
    (pid,) = node.children()
    os.kill(pid, signal.SIGKILL)

    def failed():
        return node.diagnostics("registration")[1].startswith("not measured")

    repeat_until(send, failed, "the loss in the diagnostics", 0.1)
    assert node.diagnostics("registration")[0] == 1
    before = len(images.messages)
    repeat_until(send, lambda: len(images.messages) > before, "a fused image")
    node.signal(signal.SIGINT)
    assert node.wait_exit() == 0, node.log
    assert "Traceback" not in node.log


def test_diagnostics_are_complete(start):
    node = start()
    node.camera("rgb/image_raw")
    node.wait_diagnostics("node", lambda level, _m, _v: level == 0)
    reports = node.robot.listen(DiagnosticArray, "/diagnostics")
    prefix = f"{node.namespace}/fusion: "

    def concerns():
        return {
            status.name.removeprefix(prefix)
            for message in list(reports.messages)
            for status in message.status
            if status.name.startswith(prefix)
        }

    wait_for(concerns, "a report")
    assert concerns() == {
        "node",
        "transport",
        "input",
        "synchronisation",
        "latency",
        "model",
        "detector",
        "temperature",
        "memory",
        "scene memory",
        "prior",
        "calibration",
        "registration",
    }
