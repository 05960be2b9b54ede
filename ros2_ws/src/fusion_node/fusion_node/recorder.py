"""Record what the fusion node publishes: video, bag, JSON lines and a report."""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from fusion_core.errors import UsageError
from fusion_core.runtime.files import atomic_path
from fusion_core.sink import Sink, open_sink
from fusion_core.sink.report import HtmlReport
from fusion_core.types import AlignedPair, Frame, FramePair, FusedFrame
from fusion_node.conversions import frame_from_message, stamp_to_ns
from fusion_node.diagnostics import summary_from_report
from fusion_node.outputs import Detection2DArray, detections_from_message
from fusion_node.process import run_process, spin

_NODE = "fusion"
_KEPT = 50


@dataclass(slots=True)
class _Parts:
    """What has arrived of one stamp."""

    messages: dict[str, Any] = field(default_factory=dict)
    latency_ms: float | None = None


class Recorder(Node):
    """Join the node's topics by stamp and write them through the core's sinks."""

    def __init__(self) -> None:
        super().__init__("recorder")
        self.declare_parameter("out", [""])
        self.declare_parameter("report", "")
        self.declare_parameter("overlay", False)
        self._stack = ExitStack()
        self._sinks: list[Sink] = []
        self._report: HtmlReport | None = None
        self._parts: dict[int, _Parts] = {}
        self._summary: dict[str, Any] = {}
        self._started_s = time.monotonic()
        self.recorded = 0
        self._topics: dict[str, type] = {"image": Image, "debug_image": Image}
        if Detection2DArray is not None:
            self._topics["detections"] = Detection2DArray
        self._open()
        for topic, kind in self._topics.items():
            callback = partial(self._on_message, topic)
            self.create_subscription(kind, f"{_NODE}/{topic}", callback, QoSProfile(depth=10))
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def destroy_node(self) -> None:
        """Finish all outputs and write `run.json` beside the first of them."""
        elapsed_s = time.monotonic() - self._started_s
        self._summary |= {"recorded": self.recorded, "elapsed_s": round(elapsed_s, 1)}
        self._stack.close()
        if self._report is not None:
            self._report.close(self._summary)
        with atomic_path(self._folder / "run.json") as temporary:
            temporary.write_text(json.dumps(self._summary, indent=2) + "\n", encoding="utf-8")
        super().destroy_node()

    def _open(self) -> None:
        outputs = [name for name in self.get_parameter("out").value if name]
        report = self.get_parameter("report").value
        if not outputs and not report:
            raise UsageError("nothing to write: set the parameter 'out' or 'report'")
        first = (outputs or [report])[0].removeprefix("bag:").rstrip("/")
        self._folder = Path(first).parent
        overlay = self.get_parameter("overlay").value
        self._sinks = [
            self._stack.enter_context(open_sink(name, overlay=overlay)) for name in outputs
        ]
        if report:
            self._report = HtmlReport(report)

    def _on_message(self, topic: str, message: Any) -> None:  # noqa: ANN401 - any of the topics
        stamp_ns = stamp_to_ns(message.header.stamp)
        parts = self._parts.setdefault(stamp_ns, _Parts())
        parts.messages[topic] = message
        if topic == "image":
            parts.latency_ms = (self.get_clock().now().nanoseconds - stamp_ns) / 1e6
        if len(parts.messages) == len(self._topics):
            self._write(self._fused(stamp_ns, self._parts.pop(stamp_ns)))
        while len(self._parts) > _KEPT:
            self._parts.pop(next(iter(self._parts)))

    def _write(self, fused: FusedFrame) -> None:
        for sink in self._sinks:
            sink.write(fused)
        if self._report is not None:
            self._report.write(fused)
        self.recorded += 1

    def _fused(self, stamp_ns: int, parts: _Parts) -> FusedFrame:
        """Put the result together again; the debug image shows what it was made of."""
        image = frame_from_message(parts.messages["image"], "visible", None)
        picture = frame_from_message(parts.messages["debug_image"], "visible", None).image
        colour, registered, _ = np.hsplit(picture, 3)
        grey = np.ascontiguousarray(registered[..., 0])
        visible = Frame(stamp_ns, "visible", colour, "rgb8", image.frame_id)
        thermal = Frame(stamp_ns, "thermal", grey, "mono8", image.frame_id)
        found = parts.messages.get("detections")
        latency = parts.latency_ms
        # A side that was missing is black.
        sides = (visible if colour.any() else None, thermal if grey.any() else None)
        return FusedFrame(
            frame=self.recorded,
            stamp_ns=stamp_ns,
            image=image.image,
            pair=FramePair(stamp_ns, *sides, skew_ns=None),
            aligned=AlignedPair(
                stamp_ns,
                colour if sides[0] else None,
                grey.astype(np.float32) / 255 if sides[1] else None,
                valid=np.ones(grey.shape, np.bool_),
            ),
            detections=detections_from_message(found) if found is not None else (),
            timings={} if latency is None else {"end_to_end": latency},
            drops=self._summary.get("drops", {}),
        )

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self._summary |= summary_from_report(message, f"{self.get_namespace().rstrip('/')}/{_NODE}")


def main(args: list[str] | None = None) -> int:
    """Record until told to stop; return the exit code."""
    return run_process("recorder", Recorder, spin, args)


if __name__ == "__main__":
    sys.exit(main())
