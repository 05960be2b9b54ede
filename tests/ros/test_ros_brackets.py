"""A camera that alternates its exposure and says so on a topic beside its images."""

import itertools

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from robot import picture, repeat_until
from sensor_msgs.msg import Image


def exposure_message(stamp_ns, seconds):
    message = DiagnosticArray()
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    pair = KeyValue(key="exposure_time", value=str(seconds))
    message.status = [DiagnosticStatus(name="camera", values=[pair])]
    return message


def merged(node):
    """Return how many frames went into brackets of others."""
    values = {}
    for concern in ("input", "synchronisation"):
        status = node.diagnostics(concern)
        values |= status[2] if status else {}
    return sum(int(value) for key, value in values.items() if key.endswith("bracketed"))


def test_exposures_of_pictures_that_are_equally_bright_come_from_the_topic(start):
    node = start(**{"source.bracket": 2})
    exposures = node.camera("rgb/metadata", DiagnosticArray)
    node.camera("rgb/image_raw"), node.camera("thermal/image_raw")
    node.listen(Image, "image")
    numbers = itertools.count()

    def send():
        number = next(numbers)
        node.send_thermal(40 * number, picture((96, 80), number, 1))
        node.send_visible(40 * number, picture((96, 80), number))
        seconds = 0.001 if number % 2 else 0.008
        exposures.publish(exposure_message(node.at(40 * number), seconds))

    repeat_until(send, lambda: merged(node), "a bracket")
    assert f"exposure times come from {node.topic('rgb/metadata')}" in node.log
