"""Radiometric JPEG files, made from the documentation of their fields."""

import math
import struct

import cv2
import numpy as np

PLANCK = {"r1": 16951.8, "b": 1435.1, "f": 1.0, "zero": -7142, "r2": 0.0142949}


def jpeg(image):
    return cv2.imencode(".jpg", image)[1].tobytes()


def with_segments(picture, marker, block, header):
    """Insert a block into a JPEG, in segments of at most 60 000 bytes."""
    size = 60_000
    parts = [block[start : start + size] for start in range(0, len(block), size)]
    segments = b""
    for number, part in enumerate(parts):
        payload = header(number, len(parts)) + part
        segments += bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload
    return picture[:2] + segments + picture[2:]


def flir_file(counts, *, visible=None, order="<", emissivity=1.0, png=False, geometry=None):
    """Return a radiometric JPEG with the fields that the documentation of ExifTool names."""
    height, width = counts.shape
    raw = struct.pack(order + "HHH", 2, width, height).ljust(32, b"\0")
    if png:  # the cameras write little-endian samples into it
        raw += cv2.imencode(".png", counts.byteswap())[1].tobytes()
    else:
        raw += counts.astype(order + "u2").tobytes()
    camera = bytearray(0x310)
    struct.pack_into(order + "H", camera, 0, 2)
    for offset, value in {
        0x20: emissivity,
        0x24: 0.0,
        0x28: 293.15,
        0x2C: 293.15,
        0x30: 293.15,
        0x34: 1.0,
        0x3C: 0.5,
        0x58: PLANCK["r1"],
        0x5C: PLANCK["b"],
        0x60: PLANCK["f"],
        0x80: 1.9,
        0x30C: PLANCK["r2"],
    }.items():
        struct.pack_into(order + "f", camera, offset, value)
    struct.pack_into(order + "i", camera, 0x308, PLANCK["zero"])
    records = [(0x01, raw), (0x20, bytes(camera))]
    if visible is not None:
        head = struct.pack(order + "HHH", 3, visible.shape[1], visible.shape[0]).ljust(32, b"\0")
        records.append((0x0E, head + jpeg(visible)))
    if geometry is not None:
        records.append((0x2A, struct.pack(order + "fhh", *geometry).ljust(32, b"\0")))
    offset = 64 + 32 * len(records)
    directory = body = b""
    for kind, record in records:
        place = offset + len(body)
        directory += struct.pack(">HHIIII", kind, 0, 100, 1, place, len(record)).ljust(32, b"\0")
        body += record
    head = b"FFF\0".ljust(20, b"\0") + struct.pack(">III", 100, 64, len(records))
    block = head.ljust(64, b"\0") + directory + body
    screen = jpeg(np.zeros((height, width, 3), np.uint8))

    def header(number, count):
        return b"FLIR\0\1" + bytes((number, count - 1))

    return with_segments(screen, 0xE1, block, header)


def counts_of(celsius):
    """Return the counts of a black body by Planck's formula, without air in between."""
    kelvin = celsius + 273.15
    return PLANCK["r1"] / (PLANCK["r2"] * (math.exp(PLANCK["b"] / kelvin) - 1)) - PLANCK["zero"]
