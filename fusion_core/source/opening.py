"""From what a user names to a source of frames."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from fusion_core.errors import SourceError, UsageError
from fusion_core.source.base import Source, Stream
from fusion_core.types import Modality

if TYPE_CHECKING:
    from fusion_core.source.live import FrameReader

_CAMERA = re.compile(r"/dev/video[0-9]+")
_SYNTHETIC = "synthetic://"
_ZMQ = "zmq://"
_KINDS = (
    "a video file, a folder of images, /dev/videoN, zmq://host:port/topic or "
    "synthetic://SCENE?seed=1"
)
_BAGS = "a ROS 1 .bag, a rosbag2 folder, an .mcap file or synthetic://SCENE?seed=1"


def open_source(
    path: str | Path | None = None,
    *,
    visible: str | Path | None = None,
    thermal: str | Path | None = None,
    visible_topic: str | None = None,
    thermal_topic: str | None = None,
) -> Source:
    """Open one input that holds both streams, or one input per stream.

    Args:
        path: A bag (ROS 1 ``.bag``, rosbag2 folder, ``.mcap``) or ``synthetic://SCENE?seed=1``.
        visible: A video file, a folder of images, ``/dev/videoN``, ``zmq://host:port/topic`` or
            ``synthetic://SCENE?seed=1``.
        thermal: The same for the thermal stream.
        visible_topic: Topic of the visible images in a bag; found by type and name when None.
        thermal_topic: The same for the thermal images.

    Returns:
        A source; use it as a context manager.

    Raises:
        UsageError: The arguments contradict each other, or a path does not exist.
        SourceError: An input is empty, torn, of an unknown kind, or lacks the topics.
    """
    if path is not None:
        if visible is not None or thermal is not None:
            raise UsageError(f"{path} holds both streams: leave out the visible and thermal inputs")
        return _open_both(str(path), visible_topic, thermal_topic)
    if visible_topic is not None or thermal_topic is not None:
        raise UsageError("a visible or thermal topic was given without a bag: give the bag as well")
    inputs: dict[Modality, str] = {}
    if visible is not None:
        inputs["visible"] = str(visible)
    if thermal is not None:
        inputs["thermal"] = str(thermal)
    if not inputs:
        raise UsageError(f"no input: give a visible and a thermal input, each {_KINDS}; or a bag")
    live = {modality for modality, spec in inputs.items() if _is_live(spec)}
    if live and len(live) < len(inputs):
        raise UsageError(
            f"{' and '.join(inputs.values())}: one input is live and one recorded, their stamps "
            "share no clock; give two of a kind"
        )
    return _open_live(inputs) if live else _open_recorded(inputs)


def _is_live(spec: str) -> bool:
    return spec.startswith(_ZMQ) or _CAMERA.fullmatch(spec) is not None


def _open_both(path: str, visible_topic: str | None, thermal_topic: str | None) -> Source:
    from fusion_core.source.recorded import RecordedSource

    if path.startswith(_SYNTHETIC):
        if visible_topic is not None or thermal_topic is not None:
            raise UsageError(f"{path} has no topics: leave out the visible and thermal topics")
        return RecordedSource([_synthetic(path, "visible", "thermal")])
    bag = _existing(path)
    if not (bag.is_dir() or bag.suffix in {".bag", ".mcap", ".db3"}):
        raise SourceError(f"{path}: not a bag; expected {_BAGS}")
    from fusion_core.source.bag import open_bag

    return RecordedSource(open_bag(bag, visible_topic, thermal_topic))


def _open_recorded(inputs: dict[Modality, str]) -> Source:
    from fusion_core.source.recorded import RecordedSource

    specs = list(inputs.values())
    if len(specs) == 2 and specs[0] == specs[1] and specs[0].startswith(_SYNTHETIC):
        return RecordedSource([_synthetic(specs[0], "visible", "thermal")])
    order = None
    if len(specs) == 2 and all(Path(spec).is_dir() for spec in specs):
        from fusion_core.source.images import common_order

        order = common_order(Path(specs[0]), Path(specs[1]))
    with ExitStack() as stack:
        streams = []
        for modality, spec in inputs.items():
            streams.append(_open_stream(modality, spec, order))
            stack.callback(streams[-1].close)
        stack.pop_all()
    return RecordedSource(streams)


def _open_stream(modality: Modality, spec: str, order: dict[str, int] | None) -> Stream:
    if spec.startswith(_SYNTHETIC):
        return _synthetic(spec, modality)
    path = _existing(spec)
    if path.is_dir():
        from fusion_core.source.images import ImageStream

        return ImageStream(path, modality, order)
    if path.suffix in {".bag", ".mcap", ".db3"}:
        raise UsageError(f"{spec} is a bag: give it as the bag, not as the {modality} input")
    from fusion_core.source.video import VideoStream

    return VideoStream(path, modality)


def _synthetic(url: str, *modalities: Modality) -> Stream:
    from fusion_core.source.scene import SceneStream

    return SceneStream(url, modalities)


def _open_live(inputs: dict[Modality, str]) -> Source:
    from fusion_core.source.live import LiveSource

    with ExitStack() as stack:
        readers = []
        for modality, spec in inputs.items():
            readers.append(_open_reader(modality, spec))
            stack.callback(readers[-1].close)
        stack.pop_all()
    return LiveSource(readers)


def _open_reader(modality: Modality, spec: str) -> FrameReader:
    if spec.startswith(_ZMQ):
        from fusion_core.source.wire import WireReader

        return WireReader(spec, modality)
    from fusion_core.source.camera import CameraReader

    return CameraReader(str(_existing(spec)), modality)


def _existing(spec: str) -> Path:
    """Return the path, or say what could be meant instead."""
    if "://" in spec:
        raise UsageError(f"{spec}: unknown kind of address; expected {_KINDS}")
    path = Path(spec).expanduser()
    if not path.exists():
        raise UsageError(f"{spec}: does not exist; expected {_KINDS}; or for a bag, {_BAGS}")
    return path
