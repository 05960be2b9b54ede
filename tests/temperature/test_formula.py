"""The cameras' formula against the maker's own values and against itself, written out again."""

import json
import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from fusion_core.radiometry import corrected
from fusion_core.source.flir import camera_of, flir_records
from fusion_core.temperature import TemperatureConfig, TemperatureStage
from fusion_core.temperature.assumptions import BLACK_BODY
from fusion_core.types import ThermalImage

CHANGES = {
    "emissivity": ({"emissivity": 0.7}, {"emissivity": 0.7}),
    "reflection": ({"reflected_c": -5.0}, {"t_refl": -5.0}),
    "distance": ({"distance_m": 60.0, "humidity": 0.8}, {"distance": 60.0, "rh": 0.8}),
    "air": ({"air_c": 35.0, "distance_m": 200.0}, {"t_atm": 35.0, "distance": 200.0}),
    "all": (
        {"emissivity": 0.85, "reflected_c": 60.0, "distance_m": 12.0, "air_c": 2.0},
        {"emissivity": 0.85, "t_refl": 60.0, "distance": 12.0, "t_atm": 2.0},
    ),
}


def written_out(counts, camera):
    """FLIR's formula in the form in which it is published: counts to degrees Celsius."""
    h2o = camera["rh"] * math.exp(
        1.5587
        + 6.939e-2 * camera["t_atm"]
        - 2.7816e-4 * camera["t_atm"] ** 2
        + 6.8455e-7 * camera["t_atm"] ** 3
    )
    root = math.sqrt(camera["distance"])
    tau = camera["X"] * math.exp(-root * (camera["a1"] + camera["b1"] * math.sqrt(h2o)))
    tau += (1 - camera["X"]) * math.exp(-root * (camera["a2"] + camera["b2"] * math.sqrt(h2o)))

    def raw(celsius):
        body = math.exp(camera["B"] / (celsius + 273.15)) - camera["Fp"]
        return camera["R1"] / (camera["R2"] * body) - camera["O"]

    e = camera["emissivity"]
    attenuated = (1 - e) / e * raw(camera["t_refl"]) + (1 - tau) / e / tau * raw(camera["t_atm"])
    obj = counts.astype(np.float64) / e / tau - attenuated
    inside = camera["R1"] / (camera["R2"] * (obj + camera["O"])) + camera["Fp"]
    with np.errstate(invalid="ignore"):
        return camera["B"] / np.log(inside) - 273.15


@pytest.mark.data
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ["ax8", "b60_aqua_tower", "c2_afci", "e60_moving_car"])
def test_other_assumptions_on_real_files(name, change, recordings):
    """The maker's values, corrected, are what the formula gives for the file's raw counts."""
    folder = recordings / "flir_radiometric"
    camera = json.loads((folder / "meta" / f"{name}.json").read_text())["camera"]
    centikelvin, counts = (
        cv2.imread(str(folder / kind / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        for kind in ("centikelvin", "thermal16")
    )
    celsius = (centikelvin / 100 - 273.15).astype(np.float32)
    assert np.abs(written_out(counts, camera) - celsius).max() < 0.01
    records = flir_records((folder / "rjpeg" / f"{name}.jpg").read_bytes())
    settings, values = CHANGES[change]
    stage = TemperatureStage(TemperatureConfig(**settings))
    thermal = ThermalImage(np.zeros_like(celsius), celsius, (), None, camera_of(records.camera))
    found = stage.assume(thermal).temperature
    # A hundredth of a kelvin of the file's own steps grows with 1 / emissivity, and in the coldest
    # sky, where hardly a count is left of the signal.
    expected = written_out(counts, camera | values)
    known = np.isfinite(expected) & np.isfinite(found)
    assert known.mean() > 0.95
    error = np.abs(found - expected)[known]
    assert np.quantile(error, 0.99) < 0.03
    assert error.max() < 0.5


def test_a_camera_that_gives_temperatures_only():
    """Half of what a bar at 100 C sends out, half of what it reflects from a room at 20 C.

    Over a narrow band around 10 um, with Planck's second constant of 14388 um K.
    """

    def band(celsius):
        return 1 / (math.exp(1438.8 / (celsius + 273.15)) - 1)

    seen = 0.5 * band(100.0) + 0.5 * band(20.0)
    apparent = 1438.8 / math.log(1 + 1 / seen) - 273.15
    stage = TemperatureStage(TemperatureConfig(emissivity=0.5, reflected_c=20.0))
    field = np.full((4, 4), apparent, np.float32)
    found = stage.assume(ThermalImage(field, field)).temperature
    np.testing.assert_allclose(found, 100.0, atol=0.5)


def test_without_settings_nothing_changes():
    thermal = ThermalImage(np.zeros((2, 2), np.float32), np.full((2, 2), 36.6, np.float32))
    assert TemperatureStage(TemperatureConfig()).assume(thermal) is thermal
    plain = ThermalImage(np.zeros((2, 2), np.float32), None)
    assert TemperatureStage(TemperatureConfig(emissivity=0.5)).assume(plain) is plain


def test_there_and_back_and_unknown_pixels():
    celsius = np.array([[-20, 0, 36.6, 120, np.nan, np.inf]], np.float32)
    other = replace(BLACK_BODY, emissivity=0.9, distance=30.0)
    back = corrected(corrected(celsius, BLACK_BODY, other), other, BLACK_BODY)
    np.testing.assert_allclose(back[0, :4], celsius[0, :4], atol=0.01)
    assert np.isnan(back[0, 4])
    # Colder than any object can look in front of a warm reflection.
    cold = np.array([[-90.0]], np.float32)
    assert np.isnan(corrected(cold, BLACK_BODY, replace(other, reflected=330.0))).all()
