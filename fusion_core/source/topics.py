"""Which topics of a bag hold the two streams."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fusion_core.errors import SourceError
from fusion_core.types import Modality

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"

_THERMAL = re.compile(r"thermal|infra|lwir|(?<![a-z])ir(?![a-z])")
_VISIBLE = re.compile(r"rgb|colou?r|visible|(?<![a-z])vis?(?![a-z])")
# Makers of thermal cameras, some of whom build visible ones too: weaker than the words above.
_MAKER = re.compile(r"boson|lepton|seek|optris|flir")
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
    images = {
        topic: kind
        for topic, kind in topics.items()
        if kind in {IMAGE, COMPRESSED} and not topic.endswith("/compressedDepth")
    }
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
    base = image_topic.removesuffix("/compressed").rpartition("/")[0]
    return f"{base}/camera_info"


def _given(
    name: str, modality: Modality, topics: Mapping[str, str], images: Mapping[str, str]
) -> str:
    topic = name if name in topics else f"/{name.lstrip('/')}"
    if topic not in topics:
        raise SourceError(f"{modality} topic {name!r} is not in the bag; {_listed(images)}")
    if topic not in images:
        raise SourceError(
            f"{modality} topic {name!r} holds {topics[topic]}, not images; {_listed(images)}"
        )
    return topic


def _only(candidates: list[str], modality: Modality, images: Mapping[str, str]) -> str:
    """Return the one candidate; a compressed copy of a raw topic does not count."""
    distinct = [
        topic
        for topic in candidates
        if not (topic.endswith("/compressed") and topic.removesuffix("/compressed") in candidates)
    ]
    if len(distinct) == 1:
        return distinct[0]
    problem = (
        f"several topics could be the {modality} stream: {', '.join(sorted(distinct))}"
        if distinct
        else f"no topic is named like a {modality} stream"
    )
    raise SourceError(f"{problem}; choose one with --{modality}-topic; {_listed(images)}")


def _listed(images: Mapping[str, str]) -> str:
    if not images:
        return "the bag holds no image topics"
    found = ", ".join(f"{topic} ({kind})" for topic, kind in sorted(images.items()))
    return f"image topics in the bag: {found}"
