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

"""Names of camera topics, by the rule of image_transport."""

from __future__ import annotations

from dataclasses import dataclass

from rclpy.node import Node


@dataclass(frozen=True, slots=True)
class CameraTopics:
    """Full names of one camera's topics.

    Attributes:
        image: Images, with the suffix of their transport.
        info: Camera infos.
        metadata: What states exposure times.
    """

    image: str
    info: str
    metadata: str


def camera_topics(node: Node, base: str, transport: str = "raw") -> CameraTopics:
    """Return the topics of the camera ``base``, after remapping ``base/image_raw``.

    A transport's topic is ``IMAGE/TRANSPORT``, and the camera infos lie beside the images: for
    ``/front/image_rect`` on ``/front/camera_info``, metadata on ``/front/metadata``. A topic that
    is remapped itself goes first.
    """
    image = node.resolve_topic_name(f"{base}/image_raw")
    place = image.rpartition("/")[0]
    info, metadata = (
        _remapped(node, f"{base}/{name}") or f"{place}/{name}"
        for name in ("camera_info", "metadata")
    )
    if transport != "raw":
        suffixed = f"{base}/image_raw/{transport}"
        image = _remapped(node, suffixed) or f"{image}/{transport}"
    return CameraTopics(image, info, metadata)


def _remapped(node: Node, topic: str) -> str:
    """Return what a topic is remapped to, empty when it is not."""
    resolved = str(node.resolve_topic_name(topic))
    return resolved if resolved != node.resolve_topic_name(topic, only_expand=True) else ""
