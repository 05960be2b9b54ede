"""The operator's page of a real node: what it shows, and settings as parameters."""

import itertools
import re

import numpy as np
from page_client import viewer
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter
from robot import repeat_until, wait_for

_STEPS = itertools.count(1)


def start_with_page(start, tmp_path, **parameters):
    folder = {"view.folder": str(tmp_path / "recordings")}
    node = start(**{"view.serve": True, "view.port": 0, "prior": "none", **folder, **parameters})
    match = wait_for(
        lambda: re.search(r"operator's page: http://127\.0\.0\.1:(\d+)/", node.log),
        "the page's address",
    )
    return node, int(match[1])


def picture(node, client):
    """Send pairs until one of them is seen on the page."""
    found = []

    def send():
        node.send_pair(100 * next(_STEPS), 3)

    def seen():
        message = client.receive()
        found.extend([message] if isinstance(message, tuple) else [])
        return found

    repeat_until(send, seen, "a picture on the page")
    client.send(kind="drawn", frame=found[-1][0]["number"])
    return found[-1]


def parameter(node, name):
    answer = node.robot.call(
        GetParameters, node.topic("fusion/get_parameters"), GetParameters.Request(names=[name])
    )
    return answer.values[0]


def set_parameter(node, name, value):
    message = Parameter(name, value=value).to_parameter_msg()
    request = SetParameters.Request(parameters=[message])
    return node.robot.call(SetParameters, node.topic("fusion/set_parameters"), request).results[0]


def test_a_node_fuses_for_its_page_alone_and_is_steered_by_it(start, tmp_path):
    node, port = start_with_page(start, tmp_path, detector="none")
    node.wait_diagnostics("node", lambda _level, text, _values: text.startswith("idle"))
    with viewer(port) as client:
        header, pictures = picture(node, client)
        assert header["size"] == [160, 128]
        assert np.ptp(pictures["fused"]) > 50
        node.wait_diagnostics("node", lambda _level, text, _values: text == "fusing")
        client.send(kind="change", name="model", value="ctrlfuse")
        client.status(lambda status: status["model"] == "ctrlfuse")
        assert parameter(node, "model").string_value == "ctrlfuse"
        client.send(kind="change", name="options.gain", value=2)
        client.status(
            lambda status: any(
                (setting["name"], setting["value"]) == ("options.gain", 2.0)
                for setting in status["settings"]
            )
        )
        assert parameter(node, "options.gain").double_value == 2.0
        client.send(kind="mark", area=[0.2, 0.2, 0.3, 0.3])
        client.status(lambda status: status["marks"])
        node.wait_diagnostics("model", lambda *status: int(status[2].get("mask given", 0)) > 0)
        client.send(kind="change", name="model", value="m2pn-edge")
        client.status(lambda status: status["model"] == "m2pn-edge")
        assert set_parameter(node, "model", "ctrlfuse").successful
        assert parameter(node, "options.gain").double_value == 1.0  # as for every new model


def test_live_parameters_change_and_others_wait(start, tmp_path):
    node, port = start_with_page(start, tmp_path, detector="none", model="m2pn-edge")
    assert set_parameter(node, "temporal_smoothing", 0.25).successful
    refused = set_parameter(node, "sync.master", "thermal")
    assert not refused.successful
    assert "takes effect at the start" in refused.reason
    assert "deactivate and clean up first" in refused.reason
    assert parameter(node, "sync.master").string_value == "visible"
    with viewer(port) as client:
        values = {entry["name"]: entry["value"] for entry in client.status()["settings"]}
    assert values["temporal_smoothing"] == 0.25


def test_a_page_that_cannot_be_served_costs_the_page_only(start, tmp_path):
    _, port = start_with_page(start, tmp_path, detector="none")
    other = start(**{"view.serve": True, "view.port": port, "detector": "none", "prior": "none"})
    wait_for(lambda: f"view.port {port}" in other.log, f"the reason: {other.log}")
    assert other.connect()
