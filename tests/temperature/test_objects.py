"""An object's own pixels: shapes whose temperatures are known, in boxes that hold more."""

import numpy as np
import pytest

from fusion_core.temperature.objects import object_heat
from fusion_core.types import AlignedPair
from fusion_lab.synthetic import SyntheticScene

ROWS, COLUMNS = np.mgrid[:120, :160]
BODY = ((COLUMNS - 80) / 16.0) ** 2 + ((ROWS - 60) / 40.0) ** 2 < 1
BOX = (64.0, 20.0, 32.0, 80.0)
NOISE = np.random.default_rng(5).normal(0, 0.05, BODY.shape)


def pair(field, valid=None):
    valid = np.ones(field.shape, bool) if valid is None else valid
    thermal = np.zeros(field.shape, np.float32)
    return AlignedPair(0, None, thermal, valid, field.astype(np.float32))


BACKGROUNDS = {
    "even": np.full(BODY.shape, 18.0),
    "sky above a street": np.where(ROWS < 45, -25.0, 24.0),
    "slope": 10.0 + 0.1 * ROWS,
}


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("celsius", [33.0, 8.0], ids=["warmer", "colder"])
def test_the_background_does_not_count(background, celsius):
    field = np.where(BODY, celsius, BACKGROUNDS[background]) + NOISE
    heat = object_heat(pair(field), BOX, 95)
    assert heat.mean == pytest.approx(celsius, abs=0.2)
    assert heat.maximum == pytest.approx(celsius, abs=0.5)
    assert heat.pixels == pytest.approx(BODY.sum(), rel=0.05)
    # The mean over the box is far off.
    assert abs(field[20:100, 64:96].mean() - celsius) > 1.0


def test_a_hot_spot_is_the_maximum_and_the_percentile_knows_its_share():
    """An engine at 90 C on a tenth of a car at 25 C."""
    field = np.full(BODY.shape, 15.0)
    field[40:80, 40:120] = 25.0
    field[60:80, 100:116] = 90.0
    found = {p: object_heat(pair(field + NOISE), (40, 40, 80, 40), p) for p in (50, 85, 95)}
    assert found[50].maximum == pytest.approx(90, abs=0.5)
    assert found[95].percentile == pytest.approx(90, abs=0.5)


def test_convention_the_mean_of_the_box_where_nothing_stands_out():
    """Columns 1 and 2, rows 1 and 2 of ``10 row + column`` hundredths: 11, 12, 21, 22."""
    field = (10 * ROWS[:4, :6] + COLUMNS[:4, :6]) / 100
    heat = object_heat(pair(field), (0.6, 1.4, 2.0, 2.0), 50)
    assert (heat.mean, heat.pixels) == (pytest.approx(0.165), 4)


def test_what_the_thermal_camera_does_not_see_does_not_count():
    field = np.where(BODY, 33.0, 18.0) + NOISE
    field[50:60] = np.nan
    valid = np.ones(BODY.shape, bool)
    valid[60:70] = False
    field[60:70] = 500.0
    heat = object_heat(pair(field, valid), BOX, 95)
    assert heat.mean == pytest.approx(33.0, abs=0.2)
    assert heat.maximum < 34
    assert object_heat(pair(field, valid), (64.0, 52.0, 32.0, 17.0), 95) is None
    assert object_heat(pair(field), (200.0, 0.0, 20.0, 20.0), 95) is None
    assert object_heat(pair(field), (-50.0, -50.0, 20.0, 20.0), 95) is None


def test_a_box_as_wide_as_the_picture():
    field = np.where(BODY, 33.0, 18.0)
    assert object_heat(pair(field), (-5.0, -5.0, 200.0, 150.0), 95).pixels == field.size


def test_without_a_measuring_camera():
    plain = AlignedPair(0, None, np.zeros((8, 8), np.float32), np.ones((8, 8), bool))
    assert object_heat(plain, (0.0, 0.0, 4.0, 4.0), 95) is None


def test_people_of_the_synthetic_street():
    """The scene knows which pixels are whose, and hundredths of a kelvin of each."""
    frames = list(SyntheticScene("day", 1, 0.1, rgb_hz=10, registered=True).frames())
    visible = next(frame for frame in frames if frame.modality == "visible")
    thermal = next(frame for frame in frames if frame.modality == "thermal")
    celsius = thermal.image / 100 - 273.15
    own_error, box_error = [], []
    for label, box in visible.truth.boxes:
        x, y, width, height = (int(edge) for edge in box)
        if label != "person" or height < 50:
            continue
        inside = np.s_[y : y + height, x : x + width]
        true = celsius[inside][visible.truth.mask[inside] == 1].mean()
        own_error.append(abs(object_heat(pair(celsius), box, 95).mean - true))
        box_error.append(abs(celsius[inside].mean() - true))
    assert len(own_error) >= 3
    assert np.median(own_error) < 0.5 * np.median(box_error)
