# Copyright 2026 The fusion-core maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Record what the fusion node publishes: video, bag, JSON lines and a report."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from fusion_core.cli.summary import write_summary
from fusion_core.errors import EncodingError, FusionError, UsageError
from fusion_core.runtime.process import end_process
from fusion_core.sink import Sink, open_sink
from fusion_core.sink.report import HtmlReport
from fusion_core.types import AlignedPair, Frame, FramePair, FusedFrame
from fusion_node.conversions import frame_from_message, stamp_to_ns
from fusion_node.diagnostics import summary_from_report
from fusion_node.process import run_process, spin
from fusion_node.vision_messages import DETECTIONS, detections_from_message

# Stamps whose messages may still be incomplete; the oldest beyond that is given up.
_MOST_INCOMPLETE = 50
_MOST_WARNINGS, _LONGEST_REASON = 50, 300


@dataclass(slots=True)
class _StampedMessages:
    """The messages of one stamp that have arrived."""

    messages: dict[str, Any] = field(default_factory=dict)
    latency_ms: float | None = None


class Recorder(Node):
    """Join the node's topics by stamp and write them through the core's sinks."""

    def __init__(self) -> None:
        super().__init__("recorder")
        self.declare_parameter("out", [""])
        self.declare_parameter("report", "")
        self.declare_parameter("overlay", False)
        # Name of the node whose results are recorded, in this namespace.
        self._source = str(self.declare_parameter("node", "fusion").value)
        self._stack = ExitStack()
        self._sinks: list[Sink] = []
        self._report: HtmlReport | None = None
        self._incomplete: dict[int, _StampedMessages] = {}
        self._summary: dict[str, Any] = {}
        self._started_s = time.monotonic()
        self._recorded = 0
        self._dropped = dict.fromkeys(("incomplete", "invalid"), 0)
        self._topics: dict[str, type] = {"image": Image, "debug_image": Image}
        if DETECTIONS is not None:
            self._topics["detections"] = DETECTIONS
        self._open()
        for topic, kind in self._topics.items():
            callback = partial(self._on_message, topic)
            self.create_subscription(
                kind, f"{self._source}/{topic}", callback, QoSProfile(depth=10)
            )
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def finish(self, error: str) -> None:
        """Finish all outputs and write `run.json` beside the first one that is a file.

        Args:
            error: Why the recording ended early, empty when it did not.
        """
        self._dropped["incomplete"] += len(self._incomplete)
        self._incomplete.clear()
        elapsed_s = time.monotonic() - self._started_s
        self._summary |= {
            "recorded": self._recorded,
            "not_recorded": self._dropped,
            "elapsed_s": round(elapsed_s, 1),
            "error": error,
        }
        try:
            self._stack.close()
            if self._report is not None:
                self._report.close(self._summary)
        finally:
            self._write_summary()

    def _write_summary(self) -> None:
        outputs = (*self._sinks, self._report)
        files = [str(output.path) for output in outputs if output is not None and output.path]
        if files:
            write_summary(self._summary | {"outputs": files})
        self.get_logger().info(
            f"recorded {self._recorded} results; not recorded: {self._dropped['incomplete']} with"
            f" missing messages, {self._dropped['invalid']} unreadable"
        )

    def _open(self) -> None:
        outputs = [name for name in self.get_parameter("out").value if name]
        report = self.get_parameter("report").value
        if not outputs and not report:
            raise UsageError("nothing to write: set the parameter 'out' or 'report'")
        overlay = self.get_parameter("overlay").value
        self._sinks = [
            self._stack.enter_context(open_sink(name, overlay=overlay)) for name in outputs
        ]
        if report:
            self._report = HtmlReport(report)

    def _on_message(self, topic: str, message: Any) -> None:  # noqa: ANN401 - any of the topics
        stamp_ns = stamp_to_ns(message.header.stamp)
        arrived = self._incomplete.setdefault(stamp_ns, _StampedMessages())
        arrived.messages[topic] = message
        if topic == "image":
            arrived.latency_ms = (self.get_clock().now().nanoseconds - stamp_ns) / 1e6
        if len(arrived.messages) == len(self._topics):
            self._record(stamp_ns, self._incomplete.pop(stamp_ns))
        while len(self._incomplete) > _MOST_INCOMPLETE:
            self._incomplete.pop(next(iter(self._incomplete)))
            self._dropped["incomplete"] += 1

    def _record(self, stamp_ns: int, arrived: _StampedMessages) -> None:
        try:
            fused = self._fused(stamp_ns, arrived)
        except Exception as error:  # noqa: BLE001 - no message may end a recording
            self._dropped["invalid"] += 1
            if self._dropped["invalid"] <= _MOST_WARNINGS:
                reason = str(error)[:_LONGEST_REASON] or type(error).__name__
                self.get_logger().warning(f"result of stamp {stamp_ns} left out: {reason}")
            return
        self._write(fused)

    def _write(self, fused: FusedFrame) -> None:
        for sink in self._sinks:
            sink.write(fused)
        if self._report is not None:
            self._report.write(fused)
        self._recorded += 1

    def _fused(self, stamp_ns: int, arrived: _StampedMessages) -> FusedFrame:
        """Rebuild the result; the debug image shows the pair that it was made of."""
        image = frame_from_message(arrived.messages["image"], "visible")
        picture = frame_from_message(arrived.messages["debug_image"], "visible").image
        height, width = image.image.shape[:2]
        if picture.shape != (height, 3 * width, 3):
            raise EncodingError(
                f"the debug image of {picture.shape[1]}x{picture.shape[0]} does not show three "
                f"pictures of {width}x{height}; is it the node's own?"
            )
        colour, registered, _ = np.hsplit(picture, 3)
        grey = np.ascontiguousarray(registered[..., 0])
        visible = Frame(stamp_ns, "visible", colour, "rgb8", image.frame_id)
        thermal = Frame(stamp_ns, "thermal", grey, "mono8", image.frame_id)
        detections = arrived.messages.get("detections")
        latency = arrived.latency_ms
        # A side that was missing is black.
        sides = (visible if colour.any() else None, thermal if grey.any() else None)
        return FusedFrame(
            frame=self._recorded,
            stamp_ns=stamp_ns,
            image=image.image,
            pair=FramePair(stamp_ns, *sides, skew_ns=None),
            aligned=AlignedPair(
                stamp_ns,
                colour if sides[0] else None,
                grey.astype(np.float32) / np.float32(255) if sides[1] else None,
                valid=np.ones(grey.shape, np.bool_),
            ),
            detections=detections_from_message(detections) if detections is not None else (),
            timings={} if latency is None else {"end_to_end": latency},
            drops=self._summary.get("drops", {}),
        )

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        name = f"{self.get_namespace().rstrip('/')}/{self._source}"
        self._summary |= summary_from_report(message, name)


def _record(node: Recorder, stop: threading.Event) -> None:
    error = ""
    try:
        spin(node, stop)
    except FusionError as failure:
        error = str(failure)
        raise
    finally:
        node.finish(error)


def main(args: list[str] | None = None) -> int:
    """Record until a signal stops it; return the exit code."""
    return run_process("recorder", Recorder, _record, args)


def program() -> NoReturn:
    """Run the node as a program."""
    end_process(main())


if __name__ == "__main__":
    program()
