"""Texts over DDS: a real node with a network that reads them."""

from itertools import pairwise

from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from robot import repeat_until
from std_msgs.msg import String

SAID = "make it much brighter"


def text_of(node):
    found = node.call(GetParameters, "get_parameters", GetParameters.Request(names=["text"]))
    return found.values[0].string_value


def say(node, text):
    node.camera("fusion/text", String).publish(String(data=text))


def shown(node, images, ms):
    """Return the mean of the result of one pair, always of the same pictures."""
    message = node.fuse_pair(images, ms, 7)
    return sum(message.data) / len(message.data)


def start_reading(start):
    still = {"thermal.freeze_frames": 0, "thermal.dead_pixels": False}
    node = start(model="mmaif", prior="none", detector="none", temporal_smoothing=0.0, **still)
    return node, node.connect()


def test_a_published_text_changes_the_stream_without_a_jump(start):
    node, images = start_reading(start)
    plain = shown(node, images, 100)
    repeat_until(lambda: say(node, SAID), lambda: text_of(node) == SAID, "the text in force")
    levels = [plain, *(shown(node, images, 200 + 100 * index) for index in range(6))]
    assert levels[-1] > plain + 5
    steps = [b - a for a, b in pairwise(levels)]
    assert max(steps) < 0.7 * (levels[-1] - plain)
    node.wait_diagnostics("model", lambda _level, _text, values: values.get("text") == SAID)
    repeat_until(lambda: say(node, ""), lambda: text_of(node) == "", "no text")


def test_a_text_set_as_a_parameter_is_in_force(start):
    node, images = start_reading(start)
    plain = shown(node, images, 100)
    value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=SAID)
    request = SetParameters.Request(parameters=[Parameter(name="text", value=value)])
    assert node.call(SetParameters, "set_parameters", request).results[0].successful
    assert [shown(node, images, 200 + 100 * index) for index in range(5)][-1] > plain + 5


def test_a_text_for_a_model_that_reads_none_is_refused_and_named(start):
    node = start()
    images = node.connect()
    repeat_until(lambda: say(node, SAID), lambda: "text not used" in node.log, "the refusal")
    assert "reads none" in node.log
    assert text_of(node) == ""
    node.fuse_pair(images, 100, 1)
    assert node.diagnostics("model")[0] == 0
