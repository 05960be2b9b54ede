"""Radiometric JPEG files: FLIR and DJI."""

import json

import cv2
import numpy as np
import pytest
from radiometric_files import counts_of, flir_file, jpeg, with_segments

from fusion_core.errors import EncodingError, SourceError, UsageError
from fusion_core.radiometry import temperatures
from fusion_core.registration import Registrar
from fusion_core.source import open_source
from fusion_core.source.flir import camera_of, flir_records, raw_counts
from fusion_core.thermal import ThermalConfig, ThermalProcessor


def _write(folder, **files):
    folder.mkdir()
    for name, data in files.items():
        (folder / f"{name}.jpg").write_bytes(data)
    return folder


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("png", [False, True])
def test_temperatures_of_black_bodies(tmp_path, order, png):
    celsius = np.linspace(-20, 120, 200 * 300).reshape(200, 300)
    counts = np.vectorize(counts_of)(celsius).round().astype(np.uint16)
    folder = _write(tmp_path / "ir", a=flir_file(counts, order=order, png=png))
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
    data = with_segments(flir_file(counts, visible=visible), 0xE1, exif, lambda *_: b"")
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
    counts = np.full((4, 4), round(counts_of(20.0)), np.uint16)
    for emissivity in (0.2, 0.95):
        records = flir_records(flir_file(counts, emissivity=emissivity))
        read = temperatures(raw_counts(records.raw), camera_of(records.camera))
        np.testing.assert_allclose(read, 20.0, atol=0.05)


def test_temperatures_reach_the_thermal_image_without_settings(tmp_path):
    counts = np.full((24, 32), round(counts_of(36.0)), np.uint16)
    folder = _write(tmp_path / "ir", a=flir_file(counts))
    with open_source(thermal=folder) as source:
        (frame,) = source.frames()
    for config in (ThermalConfig(), ThermalConfig(unit="kelvin", scale=0.01)):
        image = ThermalProcessor(config).process(frame)
        np.testing.assert_allclose(image.temperature, 36.0, atol=0.02)


def test_one_folder_gives_both_streams(tmp_path):
    visible = np.full((48, 64, 3), (200, 100, 20), np.uint8)
    counts = np.full((24, 32), 15000, np.uint16)
    folder = _write(tmp_path / "flir", a=flir_file(counts, visible=visible))
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
    folder = _write(tmp_path / "flir", a=flir_file(counts, visible=visible, geometry=(2.0, 10, -4)))
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
    folder = _write(tmp_path / "flir", a=flir_file(counts))
    with pytest.raises(UsageError, match="visible and in the thermal input"):
        open_source(visible=folder, thermal=folder)
    with (
        open_source(visible=folder) as source,
        pytest.raises(SourceError, match="without a visible picture"),
    ):
        list(source.frames())


def test_torn_records_are_named():
    whole = flir_file(np.full((24, 32), 15000, np.uint16))
    records = flir_records(whole)
    assert None not in {records.raw, records.camera}
    place = whole.index(b"FFF\0")
    # The place of the first record, beyond the end.
    torn = whole[: place + 64 + 12] + b"\x7f\xff\xff\xff" + whole[place + 64 + 16 :]
    with pytest.raises(EncodingError, match="records are torn"):
        flir_records(torn)


def test_dji_counts(tmp_path):
    counts = np.arange(512 * 640, dtype=np.uint32).reshape(512, 640).astype(np.uint16)
    screen = jpeg(np.zeros((1024, 1280, 3), np.uint8))
    named = with_segments(screen, 0xE1, b"maker DJI model", lambda *_: b"Exif\0\0")
    data = with_segments(named, 0xE3, counts.astype("<u2").tobytes(), lambda *_: b"")
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
