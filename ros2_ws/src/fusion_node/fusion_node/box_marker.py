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

"""Boxes as a marker of `visualization_msgs`, which image panels draw; it may be missing."""

from __future__ import annotations

from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA, Header

from fusion_core.types import Detection

MARKER: type | None = None
"""Type of the messages, None where visualization_msgs is not installed."""
try:
    from visualization_msgs.msg import ImageMarker
except ImportError:
    pass
else:
    MARKER = ImageMarker

_LINE_WIDTH_PX = 2.0
_COLOUR = ColorRGBA(r=1.0, g=0.85, b=0.1, a=1.0)


def boxes_message(detections: tuple[Detection, ...], header: Header) -> ImageMarker:
    """Return the outlines of all boxes as one list of lines, empty without detections."""
    message = ImageMarker(header=header, ns="fusion", type=ImageMarker.LINE_LIST)
    message.action = ImageMarker.ADD
    message.scale = _LINE_WIDTH_PX
    message.outline_color = _COLOUR
    for detection in detections:
        left, top, width, height = (float(value) for value in detection.box)
        right, bottom = left + width, top + height
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        for begin, end in zip(corners, corners[1:] + corners[:1], strict=True):
            message.points += [Point(x=begin[0], y=begin[1]), Point(x=end[0], y=end[1])]
    return message
