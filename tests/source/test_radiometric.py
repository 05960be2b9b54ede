"""Radiometric JPEG files: FLIR and DJI."""

import json
import math
import struct

import cv2
import numpy as np
import pytest

from fusion_core.errors import EncodingError, SourceError, UsageError
from fusion_core.registration import Registrar
from fusion_core.source import open_source
from fusion_core.source.flir import camera_of, flir_records, raw_counts, temperatures
from fusion_core.thermal import ThermalConfig, ThermalProcessor

PLANCK = {"r1": 16951.8, "b": 1435.1, "f": 1.0, "zero": -7142, "r2": 0.0142949}


def _jpeg(image):
    return cv2.imencode(".jpg", image)[1].tobytes()


def _with_segments(jpeg, marker, block, header):
    """Insert a block into a JPEG, in segments of at most 60 000 bytes."""
    size = 60_000
    parts = [block[start : start + size] for start in range(0, len(block), size)]
    segments = b""
    for number, part in enumerate(parts):
        payload = header(number, len(parts)) + part
        segments += bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload
    return jpeg[:2] + segments + jpeg[2:]


def _flir(counts, *, visible=None, order="<", emissivity=1.0, png=False, geometry=None):
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
        records.append((0x0E, head + _jpeg(visible)))
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
    screen = _jpeg(np.zeros((height, width, 3), np.uint8))

    def header(number, count):
        return b"FLIR\0\1" + bytes((number, count - 1))

    return _with_segments(screen, 0xE1, block, header)


def _counts_of(celsius):
    """Return the counts of a black body by Planck's formula, without air in between."""
    kelvin = celsius + 273.15
    return PLANCK["r1"] / (PLANCK["r2"] * (math.exp(PLANCK["b"] / kelvin) - 1)) - PLANCK["zero"]


def _write(folder, **files):
    folder.mkdir()
    for name, data in files.items():
        (folder / f"{name}.jpg").write_bytes(data)
    return folder


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("png", [False, True])
def test_temperatures_of_black_bodies(tmp_path, order, png):
    celsius = np.linspace(-20, 120, 200 * 300).reshape(200, 300)
    counts = np.vectorize(_counts_of)(celsius).round().astype(np.uint16)
    folder = _write(tmp_path / "ir", a=_flir(counts, order=order, png=png))
    with open_source(thermal=folder) as source:
        (frame,) = source.frames()
    assert (frame.encoding, frame.unit) == ("32FC1", "celsius")
    # Half a count is at most 0.01 K here.
    np.testing.assert_allclose(frame.image, celsius, atol=0.02)


def test_declared_orientation_holds_for_both_pictures(tmp_path):
    counts = np.full((24, 32), 15000, np.uint16)
    counts[0] = 16000
    visible = np.zeros((48, 64, 3), np.uint8)
    visible[:8] = 250
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    data = _with_segments(_flir(counts, visible=visible), 0xE1, exif, lambda *_: b"")
    folder = _write(tmp_path / "flir", a=data)
    with open_source(visible=folder, thermal=folder) as source:
        frames = {frame.modality: frame.image for frame in source.frames()}
    # Turned clockwise, the top row is the last column.
    assert frames["thermal"].shape == (32, 24)
    assert (frames["thermal"][:, -1] > frames["thermal"][:, 0]).all()
    assert frames["visible"].shape == (64, 48, 3)
    assert frames["visible"][:, -4].min() > 200
    assert frames["visible"][:, 4].max() < 50


def test_emissivity_and_reflection():
    """A body of the reflected temperature looks the same with any emissivity."""
    counts = np.full((4, 4), round(_counts_of(20.0)), np.uint16)
    for emissivity in (0.2, 0.95):
        records = flir_records(_flir(counts, emissivity=emissivity))
        read = temperatures(raw_counts(records.raw), camera_of(records.camera))
        np.testing.assert_allclose(read, 20.0, atol=0.05)


def test_temperatures_reach_the_thermal_image_without_settings(tmp_path):
    counts = np.full((24, 32), round(_counts_of(36.0)), np.uint16)
    folder = _write(tmp_path / "ir", a=_flir(counts))
    with open_source(thermal=folder) as source:
        (frame,) = source.frames()
    for config in (ThermalConfig(), ThermalConfig(unit="kelvin", scale=0.01)):
        image = ThermalProcessor(config).process(frame)
        np.testing.assert_allclose(image.temperature, 36.0, atol=0.02)


def test_one_folder_gives_both_streams(tmp_path):
    visible = np.full((48, 64, 3), (200, 100, 20), np.uint8)
    counts = np.full((24, 32), 15000, np.uint16)
    folder = _write(tmp_path / "flir", a=_flir(counts, visible=visible))
    with open_source(visible=folder, thermal=folder) as source:
        frames = {frame.modality: frame for frame in source.frames()}
    assert frames["thermal"].image.shape == (24, 32)
    assert frames["visible"].stamp_ns == frames["thermal"].stamp_ns
    assert np.abs(frames["visible"].image.astype(int) - (20, 100, 200)).max() <= 3


def test_the_declared_geometry_registers_both_streams(tmp_path):
    """The thermal picture covers half of the visible one, right of and above its middle."""
    visible = np.full((48, 64, 3), 128, np.uint8)
    counts = np.full((24, 32), 15000, np.uint16)
    counts[12:, :16] = 17000
    folder = _write(tmp_path / "flir", a=_flir(counts, visible=visible, geometry=(2.0, 10, -4)))
    with open_source(visible=folder, thermal=folder) as source:
        frames = {frame.modality: frame for frame in source.frames()}
    thermal = ThermalProcessor(ThermalConfig()).process(frames["thermal"])
    pair = Registrar(None).align(0, frames["visible"], thermal)
    rows, columns = np.nonzero(pair.valid)
    # Middle (31.5 + 10, 23.5 - 4), 32 by 24 pixels.
    assert (columns.min(), columns.max()) == (26, 57)
    assert (rows.min(), rows.max()) == (8, 31)
    hot = pair.temperature > frames["thermal"].image.mean()
    assert hot[24, 30]
    assert not hot[[12, 12, 28], [30, 50, 50]].any()
    with open_source(thermal=folder) as source:
        (alone,) = source.frames()
    assert alone.from_visible is None


def test_a_file_without_a_visible_picture_is_no_visible_input(tmp_path):
    counts = np.full((24, 32), 15000, np.uint16)
    folder = _write(tmp_path / "flir", a=_flir(counts))
    with pytest.raises(UsageError, match="visible and in the thermal input"):
        open_source(visible=folder, thermal=folder)
    with (
        open_source(visible=folder) as source,
        pytest.raises(SourceError, match="without a visible picture"),
    ):
        list(source.frames())


def test_torn_records_are_named():
    whole = _flir(np.full((24, 32), 15000, np.uint16))
    records = flir_records(whole)
    assert None not in {records.raw, records.camera}
    place = whole.index(b"FFF\0")
    # The place of the first record, beyond the end.
    torn = whole[: place + 64 + 12] + b"\x7f\xff\xff\xff" + whole[place + 64 + 16 :]
    with pytest.raises(EncodingError, match="records are torn"):
        flir_records(torn)


def test_dji_counts(tmp_path):
    counts = np.arange(512 * 640, dtype=np.uint32).reshape(512, 640).astype(np.uint16)
    screen = _jpeg(np.zeros((1024, 1280, 3), np.uint8))
    named = _with_segments(screen, 0xE1, b"maker DJI model", lambda *_: b"Exif\0\0")
    data = _with_segments(named, 0xE3, counts.astype("<u2").tobytes(), lambda *_: b"")
    folder = _write(tmp_path / "dji", DJI_0001_T=data)
    with open_source(thermal=folder) as source:
        (frame,) = source.frames()
    assert (frame.encoding, frame.unit) == ("mono16", "counts")
    np.testing.assert_array_equal(frame.image, counts)


@pytest.mark.data
@pytest.mark.parametrize("name", ["ax8", "b60_aqua_tower", "c2_afci", "e60_moving_car"])
def test_temperatures_of_real_files(name, recordings):
    """The values beside the files come from the maker's formula, in steps of 0.01 K."""
    folder = recordings / "flir_radiometric"
    with open_source(thermal=folder / "rjpeg" / f"{name}.jpg") as source:
        (frame,) = source.frames()
    true = cv2.imread(str(folder / "centikelvin" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
    assert np.abs(frame.image - (true / 100 - 273.15)).max() < 0.006
    camera = json.loads((folder / "meta" / f"{name}.json").read_text())
    assert list(frame.image.shape) == camera["raw_size_hw"]
