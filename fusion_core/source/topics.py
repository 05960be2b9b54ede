"""Which topics of a bag hold the two streams."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fusion_core.errors import SourceError
from fusion_core.transport.exposure import DIAGNOSTICS, EXPOSURE_TYPES
from fusion_core.transport.image_messages import IMAGE_TYPES
from fusion_core.types import Modality

CAMERA_INFO = "sensor_msgs/msg/CameraInfo"

_THERMAL = re.compile(r"thermal|infra|lwir|(?<![a-z])ir(?![a-z])")
_VISIBLE = re.compile(r"rgb|colou?r|visible|(?<![a-z])vis?(?![a-z])")
# Makers of thermal cameras, some of whom build visible ones too: weaker than the words above.
_MAKER = re.compile(r"boson|lepton|seek|optris|flir")
_TRANSPORTS = ("/compressed", "/compressedDepth", "/ffmpeg", "/foxglove", "/theora", "/zstd")
_THEORA = "theora_image_transport/msg/Packet"
_OTHER = re.compile(r"depth|disparity|mask|label|fused|fusion|debug")


def choose_topics(
    topics: Mapping[str, str], visible: str | None, thermal: str | None
) -> dict[Modality, str]:
    """Choose one image topic per modality, by type and name where none is given.

    Args:
        topics: Topic -> message type, of everything in the bag that has messages.
        visible: The visible topic when the user named it.
        thermal: The thermal topic when the user named it.

    Raises:
        SourceError: A topic is missing, is no image, or several would do.
    """
    images = {topic: kind for topic, kind in topics.items() if kind in IMAGE_TYPES}
    theora = {topic for topic, kind in topics.items() if kind == _THEORA}
    if theora and len(images) < 2:
        raise SourceError(
            f"{', '.join(sorted(theora))}: theora is not read; record the raw, compressed or "
            "ffmpeg topic"
        )
    chosen_thermal = _given(thermal, "thermal", topics, images) if thermal else None
    chosen_visible = _given(visible, "visible", topics, images) if visible else None
    if chosen_thermal is None:
        free = [topic for topic in images if topic != chosen_visible]
        named = [topic for topic in free if _THERMAL.search(topic.lower())]
        made = [t for t in free if _MAKER.search(t.lower()) and not _VISIBLE.search(t.lower())]
        chosen_thermal = _only(named or made, "thermal", images)
    if chosen_visible is None:
        free = [
            topic
            for topic in images
            if topic != chosen_thermal
            and not _THERMAL.search(topic.lower())
            and not _OTHER.search(topic.lower())
        ]
        named = [topic for topic in free if _VISIBLE.search(topic.lower())]
        chosen_visible = _only(named or free, "visible", images)
    return {"visible": chosen_visible, "thermal": chosen_thermal}


def camera_info_topic(image_topic: str) -> str:
    """Return the topic of the ``CameraInfo`` that goes with an image topic."""
    base = _untransported(image_topic).rpartition("/")[0]
    return f"{base}/camera_info"


def exposure_topic(image_topic: str, topics: Mapping[str, str]) -> str | None:
    """Return the topic beside an image topic that states its exposure times, None without one.

    Args:
        image_topic: The image topic.
        topics: Topic -> message type.
    """
    base = _untransported(image_topic).rpartition("/")[0]
    named = f"{base}/metadata"
    if topics.get(named) in EXPOSURE_TYPES:
        return named
    beside = sorted(
        topic
        for topic, kind in topics.items()
        if kind in EXPOSURE_TYPES and kind != DIAGNOSTICS and topic.rpartition("/")[0] == base
    )
    return beside[0] if beside else None


def _untransported(topic: str) -> str:
    """Return the topic of the raw images that an image transport's topic belongs to."""
    suffix = next((name for name in _TRANSPORTS if topic.endswith(name)), "")
    return topic.removesuffix(suffix)


def _given(
    name: str, modality: Modality, topics: Mapping[str, str], images: Mapping[str, str]
) -> str:
    topic = name if name in topics else f"/{name.lstrip('/')}"
    if topic not in topics:
        raise SourceError(f"{modality} topic {name!r} is not in the bag; {_listed(images)}")
    if topics[topic] == _THEORA:
        raise SourceError(
            f"{modality} topic {name!r}: theora is not read; record the raw, compressed or ffmpeg "
            f"topic; {_listed(images)}"
        )
    if topic not in images:
        raise SourceError(
            f"{modality} topic {name!r} holds {topics[topic]}, not images; {_listed(images)}"
        )
    return topic


def _only(candidates: list[str], modality: Modality, images: Mapping[str, str]) -> str:
    """Return the one candidate; copies of it by other transports do not count.

    The raw topic goes before copies, and among these the order of ``_TRANSPORTS`` counts.
    """
    groups: dict[str, list[str]] = {}
    for topic in candidates:
        groups.setdefault(_untransported(topic), []).append(topic)
    distinct = [min(group, key=_rank) for group in groups.values()]
    if len(distinct) == 1:
        return distinct[0]
    problem = (
        f"several topics could be the {modality} stream: {', '.join(sorted(distinct))}"
        if distinct
        else f"no topic is named like a {modality} stream"
    )
    raise SourceError(f"{problem}; choose one with --{modality}-topic; {_listed(images)}")


def _rank(topic: str) -> int:
    found = [index for index, name in enumerate(_TRANSPORTS) if topic.endswith(name)]
    return found[0] if found else -1


def _listed(images: Mapping[str, str]) -> str:
    if not images:
        return "the bag holds no image topics"
    found = ", ".join(f"{topic} ({kind})" for topic, kind in sorted(images.items()))
    return f"image topics in the bag: {found}"
