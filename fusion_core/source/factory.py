"""Open what a user names as a source of frames."""

from __future__ import annotations

import logging
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from fusion_core.errors import SourceError, UsageError
from fusion_core.plugins import SOURCES, load_plugin, load_plugins, plugin_names
from fusion_core.source.base import FrameReader, RecordedStream, Source, SourceKind
from fusion_core.types import Modality

_log = logging.getLogger(__name__)
_START_TOLERANCE_S: Final = 0.1
_CAMERA = re.compile(r"/dev/video[0-9]+")
_BAG_SUFFIXES: Final = frozenset({".bag", ".mcap", ".db3"})
_BAGS = "a ROS 1 .bag, a rosbag2 folder or an .mcap file"
_BOTH: tuple[Modality, ...] = ("visible", "thermal")


def open_source(
    path: str | Path | None = None,
    *,
    visible: str | Path | None = None,
    thermal: str | Path | None = None,
    visible_topic: str | None = None,
    thermal_topic: str | None = None,
    packed_counts: bool = False,
) -> Source:
    """Open one input that holds both streams, or one input per stream.

    An address ``NAME://...`` or a file ``*.NAME`` is opened by the entry point NAME of the group
    ``fusion.sources``, where there is one: ``zmq://host:port/topic``, ``synthetic://SCENE?seed=1``.

    Args:
        path: A bag (ROS 1 ``.bag``, rosbag2 folder, ``.mcap``), or an address of both streams.
        visible: A video file, a folder of images or a pattern of their names such as
            ``DIR/*_W.JPG``, ``/dev/videoN``, or an address.
        thermal: The same for the thermal stream.
        visible_topic: Topic of the visible images in a bag; found by type and name when None.
        thermal_topic: The same for the thermal images.
        packed_counts: The two bytes per pixel of a thermal video or camera in YUYV are one 16-bit
            count (setting ``thermal.yuyv_counts``).

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
        raise UsageError(f"no input: give a visible and a thermal input, each {_kinds()}; or a bag")
    live = {modality for modality, spec in inputs.items() if _is_live(spec)}
    if live and len(live) < len(inputs):
        raise UsageError(
            f"{' and '.join(inputs.values())}: one input is live and one recorded, their stamps "
            "share no clock; give two of a kind"
        )
    if live and len(set(inputs.values())) < len(inputs):
        raise UsageError(
            f"{visible} is given for both streams: it would be fused with itself; give the other "
            "camera's address"
        )
    return _open_live(inputs, packed_counts) if live else _open_recorded(inputs, packed_counts)


def _kind(spec: str) -> SourceKind | None:
    """Return the entry point that opens an address or file; None for what is built in."""
    scheme, separator, _ = spec.partition("://")
    name = scheme if separator else Path(spec).suffix[1:].lower()
    if name not in plugin_names(SOURCES):
        return None
    kind: SourceKind = load_plugin(SOURCES, name, SourceKind)
    return kind


def _is_live(spec: str) -> bool:
    kind = _kind(spec)
    return _CAMERA.fullmatch(spec) is not None if kind is None else kind.live


def _open_both(path: str, visible_topic: str | None, thermal_topic: str | None) -> Source:
    kind = _kind(path)
    if kind is not None:
        if visible_topic is not None or thermal_topic is not None:
            raise UsageError(f"{path} has no topics: leave out the visible and thermal topics")
        return _open_kind(kind, path)
    from fusion_core.source.recorded import RecordedSource

    bag = _existing(path)
    if not (bag.is_dir() or bag.suffix in _BAG_SUFFIXES):
        raise SourceError(f"{path}: not a bag; expected {_BAGS}")
    from fusion_core.source.bag import open_bag

    return RecordedSource(open_bag(bag, visible_topic, thermal_topic))


def _open_kind(kind: SourceKind, spec: str) -> Source:
    """Open an address that gives both streams."""
    if not kind.holds_both:
        raise UsageError(f"{spec} gives one stream: give it as the visible or the thermal input")
    if kind.live:
        from fusion_core.source.live import LiveSource

        return LiveSource([kind.open_live(spec, _BOTH)])
    from fusion_core.source.recorded import RecordedSource

    return RecordedSource([kind.open_recorded(spec, _BOTH)])


def _open_recorded(inputs: dict[Modality, str], packed_counts: bool) -> Source:
    from fusion_core.source.recorded import RecordedSource

    specs = list(inputs.values())
    kind = _kind(specs[0])
    if len(set(specs)) < len(specs) and kind is not None and kind.holds_both:
        return _open_kind(kind, specs[0])
    images = _open_images(inputs)
    with ExitStack() as stack:
        streams: list[RecordedStream] = []
        for modality, spec in inputs.items():
            stream = images.get(modality) or _open_stream(modality, spec, packed_counts)
            streams.append(stream)
            stack.callback(streams[-1].close)
        _compare_videos(streams)
        stack.pop_all()
    return RecordedSource(streams)


def _open_images(inputs: dict[Modality, str]) -> dict[Modality, RecordedStream]:
    """Return the streams of all inputs that are images; their times depend on each other."""
    from fusion_core.source.image_files import is_image_input

    specs = {
        modality: spec
        for modality, spec in inputs.items()
        if _kind(spec) is None and is_image_input(spec)
    }
    if not specs:
        return {}
    from fusion_core.source.images import ImageStream, time_images

    # The times of a video begin at zero.
    timed = time_images(list(specs.values()), relative=len(specs) < len(inputs))
    return {
        modality: ImageStream(images, modality)
        for modality, images in zip(specs, timed, strict=True)
    }


def _compare_videos(streams: list[RecordedStream]) -> None:
    """Say where two videos do not begin together.

    Raises:
        UsageError: Both are the same file.
    """
    from fusion_core.source.video import VideoStream

    videos = [stream for stream in streams if isinstance(stream, VideoStream)]
    if len(videos) < 2:
        return
    visible, thermal = videos
    if visible.path.samefile(thermal.path):
        raise UsageError(
            f"{visible.path} is given for both streams: it would be fused with itself; give the "
            "other camera's video"
        )
    late_s = (thermal.start_ns - visible.start_ns) / 1e9
    if abs(late_s) > _START_TOLERANCE_S:
        _log.warning(
            "%s begins at %.2f s and %s at %.2f s: pictures are paired by these times; if both "
            "began together set sync.thermal_offset_ms to %.0f",
            visible.path,
            visible.start_ns / 1e9,
            thermal.path,
            thermal.start_ns / 1e9,
            -late_s * 1e3,
        )


def _open_stream(modality: Modality, spec: str, packed_counts: bool) -> RecordedStream:
    kind = _kind(spec)
    if kind is not None:
        return kind.open_recorded(spec, (modality,))
    path = _existing(spec)
    if path.suffix in _BAG_SUFFIXES:
        raise UsageError(f"{spec} is a bag: give it as the bag, not as the {modality} input")
    from fusion_core.source.video import VideoStream

    return VideoStream(path, modality, packed_counts=packed_counts)


def _open_live(inputs: dict[Modality, str], packed_counts: bool) -> Source:
    from fusion_core.source.live import LiveSource

    with ExitStack() as stack:
        readers: list[FrameReader] = []
        for modality, spec in inputs.items():
            readers.append(_open_reader(modality, spec, packed_counts))
            stack.callback(readers[-1].close)
        stack.pop_all()
    return LiveSource(readers)


def _open_reader(modality: Modality, spec: str, packed_counts: bool) -> FrameReader:
    kind = _kind(spec)
    if kind is not None:
        return kind.open_live(spec, (modality,))
    from fusion_core.source.camera import CameraReader

    return CameraReader(str(_existing(spec)), modality, packed_counts=packed_counts)


def _kinds() -> str:
    """Return what an input may be, with an example of every address."""
    kinds = load_plugins(SOURCES, SourceKind).values()
    examples = list(dict.fromkeys(kind.example for kind in kinds))
    return " or ".join(
        [
            ", ".join(
                ["a video file", "a folder of images or a pattern", "/dev/videoN", *examples[:-1]]
            ),
            *examples[-1:],
        ]
    )


def _existing(spec: str) -> Path:
    """Return the path.

    Raises:
        UsageError: It does not exist, or is neither file nor folder; the message lists what an
            input may be.
    """
    if "://" in spec:
        raise UsageError(f"{spec}: unknown kind of address; expected {_kinds()}")
    path = Path(spec).expanduser()
    if not path.exists():
        raise UsageError(f"{spec}: does not exist; expected {_kinds()}; or for a bag, {_BAGS}")
    if not (path.is_file() or path.is_dir() or _CAMERA.fullmatch(spec)):
        raise UsageError(
            f"{spec}: is a pipe, socket or device that cannot be read as a file; write the stream "
            f"to a file first, or give {_kinds()}"
        )
    return path
