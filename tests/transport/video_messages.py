"""Packets of real encoders, in messages with the fields that ROS gives them."""

from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np

NS = 1_000_000_000


def scenes(count, size=(64, 96)):
    """Return pictures with a bright square that moves, so that their order can be told."""
    found = []
    for index in range(count):
        picture = np.full((*size, 3), (40, 80, 120), np.uint8)
        picture[20:40, 4 + 4 * index : 20 + 4 * index] = (220, 200, 60)
        found.append(picture)
    return found


def encode(pictures, codec="libx264", *, b_frames=0, pixel_format="yuv420p", layout="rgb24"):
    """Return the packets of the pictures, as Annex B, in order of decoding, with their number."""
    context = av.CodecContext.create(codec, "w")
    context.height, context.width = pictures[0].shape[:2]
    context.pix_fmt = pixel_format
    context.time_base = Fraction(1, 30)
    context.gop_size = 5
    context.max_b_frames = b_frames
    quiet = {"x265-params": "log-level=none:bframes=0"} if codec == "libx265" else {}
    context.options = {"crf": "12", **quiet}
    packets = []
    for index, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format=layout)
        frame.pts = index
        packets += context.encode(frame)
    packets += context.encode(None)
    return [(int(packet.pts), bytes(packet)) for packet in packets]


def stamp(stamp_ns):
    seconds, nanoseconds = divmod(stamp_ns, NS)
    return SimpleNamespace(sec=seconds, nanosec=nanoseconds)


def header(stamp_ns, frame_id="camera"):
    return SimpleNamespace(stamp=stamp(stamp_ns), frame_id=frame_id)
