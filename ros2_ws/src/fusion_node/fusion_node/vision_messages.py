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

"""Detections and priors as messages of `vision_msgs`, which may be missing."""

from __future__ import annotations

from std_msgs.msg import Header

from fusion_core.types import Detection, ScenePrior
from fusion_node.conversions import stamp_from_ns, stamp_to_ns

DETECTIONS: type | None = None
"""Type of the messages with detections, None where vision_msgs is not installed."""
CLASSIFICATION: type | None = None
"""Type of the messages with priors, None likewise."""
try:
    from vision_msgs.msg import (
        Classification,
        Detection2D,
        Detection2DArray,
        ObjectHypothesis,
        ObjectHypothesisWithPose,
    )
except ImportError:
    pass
else:
    DETECTIONS, CLASSIFICATION = Detection2DArray, Classification


def detections_message(
    detections: tuple[Detection, ...], header: Header, age_ns: int = 0
) -> Detection2DArray:
    """Return detections as boxes by centre and size, the class name as ``class_id``.

    All boxes hold at the message's stamp. One that is predicted has the stamp of the picture in
    which the detector saw it, in the header of its own.

    Args:
        detections: The detections.
        header: Header of the source image.
        age_ns: How long before it the picture was taken that the detector saw.
    """
    message = Detection2DArray(header=header)
    earlier = Header(stamp=stamp_from_ns(stamp_to_ns(header.stamp) - age_ns))
    earlier.frame_id = header.frame_id
    for detection in detections:
        entry = Detection2D(header=earlier if detection.predicted else header)
        x, y, width, height = detection.box
        entry.bbox.center.position.x = x + width / 2
        entry.bbox.center.position.y = y + height / 2
        entry.bbox.size_x = float(width)
        entry.bbox.size_y = float(height)
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id = detection.label
        hypothesis.hypothesis.score = float(detection.score)
        entry.results = [hypothesis]
        entry.id = "" if detection.track_id is None else str(detection.track_id)
        message.detections.append(entry)
    return message


def degradation_message(prior: ScenePrior, header: Header) -> Classification:
    """Return a scene prior, likeliest first; kinds of the thermal image as ``thermal/KIND``.

    Args:
        prior: The prior; the message is stamped as the pair that it was computed on.
        header: Header of a source image, for the frame.
    """
    scores = dict(prior.visible)
    scores |= {f"thermal/{kind}": score for kind, score in prior.thermal.items()}
    message = Classification(header=Header(frame_id=header.frame_id))
    message.header.stamp = stamp_from_ns(prior.stamp_ns)
    message.results = [
        ObjectHypothesis(class_id=kind, score=float(score))
        for kind, score in sorted(scores.items(), key=lambda entry: -entry[1])
    ]
    return message


def detections_from_message(message: Detection2DArray) -> tuple[Detection, ...]:
    """Return boxes by centre and size as detections; the inverse of ``detections_message``."""
    return tuple(
        _detection(entry, predicted=entry.header.stamp != message.header.stamp)
        for entry in message.detections
    )


def _detection(entry: Detection2D, *, predicted: bool) -> Detection:
    box, best = entry.bbox, entry.results[0].hypothesis
    left = box.center.position.x - box.size_x / 2
    top = box.center.position.y - box.size_y / 2
    return Detection(
        label=best.class_id,
        score=best.score,
        box=(left, top, box.size_x, box.size_y),
        track_id=int(entry.id) if entry.id else None,
        predicted=predicted,
    )
