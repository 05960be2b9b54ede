"""Results as messages on Foxglove topics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.resources import files
from types import ModuleType
from typing import Any, Final, TypeAlias

from fusion_core.drawing import caption, label_colour
from fusion_core.errors import missing_extra
from fusion_core.sink.viewers.content import PICTURES, ViewerContent, jpeg, picture
from fusion_core.transport.camera_info import camera_info_fields
from fusion_core.types import CameraModel, Detection, FusedFrame

# The package is optional, and treated alike where it is installed and where it is not.
_Message: TypeAlias = Any
_Channel: TypeAlias = Any
_Context: TypeAlias = Any

_NS: Final = 1_000_000_000
_PLOT_GROUPS: Final = (
    "latency_ms",
    "drops",
    "registration",
    "quality",
    "prior_visible",
    "prior_thermal",
)
_LINE_PX: Final = 2.0
_FONT_PX: Final = 12.0


def import_foxglove(what: str) -> ModuleType:
    """Return the package ``foxglove``.

    Args:
        what: What needs it, for the message.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import foxglove
        import foxglove.channels
        import foxglove.messages
    except ImportError:
        raise missing_extra(what, "foxglove-sdk", "foxglove") from None
    module: ModuleType = foxglove
    return module


def layout_json() -> bytes:
    """Return the layout for these topics, as Foxglove imports it."""
    return (files("fusion_core.sink.viewers") / "foxglove_layout.json").read_bytes()


class FoxgloveTopics:
    """The topics ``/fusion/...`` in one context; a message is made where somebody takes it.

    Messages are logged with the stamp of the camera image that led the pair, in nanoseconds, and
    carry it where their schema has a place for it.

    Args:
        foxglove: The package.
        context: What binds the topics to a server or file.
    """

    def __init__(self, foxglove: ModuleType, context: _Context) -> None:
        self._messages = foxglove.messages
        # Nothing else keeps it, and without it topics lead nowhere.
        self._context = context
        channels = foxglove.channels
        self._health = ""
        self._pictures: dict[str, _Channel] = {
            name: channels.CompressedImageChannel(f"/fusion/{name}", context=context)
            for name in PICTURES
        }
        self._plots: dict[str, _Channel] = {
            group: foxglove.Channel(f"/fusion/{group}", schema=_plot_schema(group), context=context)
            for group in _PLOT_GROUPS
        }
        self._detections = channels.ImageAnnotationsChannel("/fusion/detections", context=context)
        self._camera = channels.CameraCalibrationChannel("/fusion/camera", context=context)
        self._log = channels.LogChannel("/fusion/health", context=context)

    @property
    def watched(self) -> bool:
        """Whether somebody takes any of the topics."""
        single = (self._detections, self._camera, self._log)
        channels = (*self._pictures.values(), *self._plots.values(), *single)
        return any(channel.has_sinks() for channel in channels)

    def log(self, fused: FusedFrame) -> int:
        """Log one result on every topic that somebody takes; return its stamp in nanoseconds."""
        content = ViewerContent.of(fused)
        stamp_ns = content.header.stamp_ns
        sec, nsec = divmod(stamp_ns, _NS)
        stamp = self._messages.Timestamp(sec, nsec)

        def log(channel: _Channel, make: Callable[[], _Message]) -> None:
            if channel.has_sinks():
                channel.log(make(), log_time=stamp_ns)

        for name, channel in self._pictures.items():
            log(channel, partial(self._picture, fused, name, stamp, content))
        for group, channel in self._plots.items():
            values = {"timestamp": {"sec": sec, "nsec": nsec}, **content.plots[group]}
            log(channel, partial(dict[str, Any], values))
        log(self._detections, lambda: self._annotations(content.detections, stamp))
        camera = content.header.camera
        if camera is not None:
            log(self._camera, lambda: self._calibration(camera, stamp, content))
        log(self._log, lambda: self._status(content.health, stamp))
        return stamp_ns

    def _picture(
        self, fused: FusedFrame, name: str, stamp: _Message, content: ViewerContent
    ) -> _Message:
        frame_id = content.header.frame_id
        if name == "thermal_source" and fused.pair.thermal is not None:
            frame_id = fused.pair.thermal.frame_id
        return self._messages.CompressedImage(
            timestamp=stamp, frame_id=frame_id, data=jpeg(picture(fused, name)), format="jpeg"
        )

    def _calibration(
        self, camera: CameraModel, stamp: _Message, content: ViewerContent
    ) -> _Message:
        fields = camera_info_fields(camera)
        return self._messages.CameraCalibration(
            timestamp=stamp,
            frame_id=content.header.frame_id,
            width=fields["width"],
            height=fields["height"],
            distortion_model=fields["distortion_model"],
            D=fields["d"],
            K=fields["k"],
            R=fields["r"],
            P=fields["p"],
        )

    def _annotations(self, detections: Sequence[Detection], stamp: _Message) -> _Message:
        """Return boxes with captions; an empty message removes those before it."""
        return self._messages.ImageAnnotations(
            timestamp=stamp,
            points=[self._box(found, stamp) for found in detections],
            texts=[self._caption(found, stamp) for found in detections],
        )

    def _box(self, found: Detection, stamp: _Message) -> _Message:
        left, top, width, height = (float(value) for value in found.box)
        right, bottom = left + width, top + height
        corners = ((left, top), (right, top), (right, bottom), (left, bottom))
        return self._messages.PointsAnnotation(
            timestamp=stamp,
            type=self._messages.PointsAnnotationType.LineLoop,
            points=[self._messages.Point2(x=x, y=y) for x, y in corners],
            outline_color=self._colour(found),
            thickness=_LINE_PX,
            metadata=[
                self._messages.KeyValuePair(key=key, value=value)
                for key, value in _facts(found).items()
            ],
        )

    def _caption(self, found: Detection, stamp: _Message) -> _Message:
        return self._messages.TextAnnotation(
            timestamp=stamp,
            position=self._messages.Point2(x=float(found.box[0]), y=float(found.box[1])),
            text=caption(found),
            font_size=_FONT_PX,
            text_color=self._messages.Color(r=0.0, g=0.0, b=0.0, a=1.0),
            background_color=self._colour(found),
        )

    def _colour(self, found: Detection) -> _Message:
        red, green, blue = (level / 255 for level in label_colour(found.label))
        return self._messages.Color(r=red, g=green, b=blue, a=1.0)

    def _status(self, health: str, stamp: _Message) -> _Message:
        levels = self._messages.LogLevel
        level = levels.Info if health.startswith("ok") else levels.Warning
        return self._messages.Log(timestamp=stamp, level=level, message=health, name="fusion")


def _plot_schema(group: str) -> dict[str, Any]:
    """Return the schema of a group of values, whose names are known only as they come."""
    whole = {"type": "integer"}
    return {
        "type": "object",
        "title": f"fusion.{group}",
        "properties": {
            "timestamp": {"type": "object", "properties": {"sec": whole, "nsec": whole}}
        },
        "additionalProperties": {"type": "number"},
    }


def _facts(found: Detection) -> dict[str, str]:
    """Return what is known of a detection, as texts for programs that read the boxes."""
    facts = {"label": found.label, "score": f"{found.score:.4f}"}
    if found.track_id is not None:
        facts["track_id"] = str(found.track_id)
    if found.temperature is not None:
        facts["temperature"] = f"{found.temperature:.2f}"
    return facts
