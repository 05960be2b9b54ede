"""Message types of video in ROS, for bags that do not carry their definitions.

Fields and their order follow the messages' public documentation.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

FFMPEG_PACKET: Final = "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"
COMPRESSED_VIDEO: Final = "foxglove_msgs/msg/CompressedVideo"
VIDEO_MESSAGES: Final = MappingProxyType(
    {
        FFMPEG_PACKET: (
            "std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\n"
            "uint8 flags\nbool is_bigendian\nuint8[] data\n"
        ),
        COMPRESSED_VIDEO: (
            "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n"
        ),
    }
)
"""Message type -> its definition."""
