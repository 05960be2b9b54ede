"""House fronts: plaster and brick, storeys of windows, doors, cornices; some windows lit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusion_core.types import FloatImage
from fusion_lab.synthetic.canvas import Texture
from fusion_lab.synthetic.noise import fractal_noise

HEIGHT_M = 13.0
_STOREY_M = 3.1
_PLASTER = ((196, 176, 140), (178, 182, 178), (202, 150, 116), (176, 166, 150), (150, 164, 172))
_BRICK = ((142, 78, 60), (124, 84, 68), (158, 104, 78))


@dataclass(slots=True)
class _Sheet:
    """The layers that a row of houses is drawn on."""

    per_m: float
    rgb: FloatImage
    heat: FloatImage
    coverage: FloatImage
    emission: FloatImage

    def area(self, left: float, bottom: float, width: float, height: float) -> tuple[slice, slice]:
        """Return the pixels of a rectangle given in metres from the left end and the ground."""
        rows, columns = self.coverage.shape
        top = rows - round((bottom + height) * self.per_m)
        low = rows - round(bottom * self.per_m)
        start, stop = round(left * self.per_m), round((left + width) * self.per_m)
        return (slice(max(top, 0), max(low, 0)), slice(max(start, 0), min(stop, columns)))


def build_facade(
    rng: np.random.Generator, length_m: float, per_m: float, wall_heat: float
) -> Texture:
    """Return a row of houses, ``length_m`` long and 13 m high with sky above the lower roofs.

    Args:
        rng: Source of randomness.
        length_m: Length of the row in metres.
        per_m: Pixels per metre.
        wall_heat: Mean temperature of the walls over the air in K by day.
    """
    shape = (round(HEIGHT_M * per_m), round(length_m * per_m))
    layers = [np.zeros((*shape, 3), np.float32)] + [np.zeros(shape, np.float32) for _ in range(3)]
    sheet = _Sheet(per_m, layers[0], layers[1], layers[2], layers[3])
    left, number = 0.0, int(rng.integers(0, 2))
    while left < length_m:
        width = min(float(rng.uniform(9, 15)), length_m - left)
        _house(rng, sheet, left, width, wall_heat, brick=number % 2 == 0)
        left, number = left + width, number + 1
    return Texture.build(sheet.rgb, sheet.heat, sheet.coverage, sheet.emission, levels=1)


def _house(
    rng: np.random.Generator,
    sheet: _Sheet,
    left: float,
    width: float,
    wall_heat: float,
    *,
    brick: bool,
) -> None:
    """Draw one house."""
    storeys = int(rng.integers(3, 5))
    height = min(0.5 + storeys * _STOREY_M + 0.4, HEIGHT_M - 0.05)
    area = sheet.area(left, 0.0, width, height)
    rows, columns = sheet.coverage[area].shape
    if min(rows, columns) < 8:
        return
    base = _BRICK[int(rng.integers(len(_BRICK)))] if brick else _PLASTER[int(rng.integers(5))]
    wall = _brick(rng, rows, columns, sheet.per_m) if brick else _plaster(rng, rows, columns)
    sheet.rgb[area] = wall[..., None] * np.array(base, np.float32)
    offset = float(rng.normal(0, 0.5))
    sheet.heat[area] = wall_heat + offset + 0.3 * fractal_noise(rng, rows, columns, 120, 4)
    sheet.coverage[area] = 1.0
    plinth = sheet.area(left, 0.0, width, 0.55)
    sheet.rgb[plinth] = sheet.rgb[plinth] * 0.3 + 62
    sheet.heat[plinth] -= 0.8
    _band(sheet, left, height - 0.35, width, 0.3)
    pitch = float(rng.uniform(2.1, 2.9))
    count = max(1, int((width - 1.0) / pitch))
    first = left + (width - (count - 1) * pitch) / 2
    door = int(rng.integers(0, count))
    for storey in range(storeys):
        floor = 0.5 + storey * _STOREY_M
        if storey == 1:
            _band(sheet, left, floor - 0.22, width, 0.16)
        for place in range(count):
            middle = first + place * pitch
            if storey == 0 and place == door:
                _door(rng, sheet, middle)
            else:
                _window(rng, sheet, middle, floor + 0.9)
    _downpipe(sheet, left + 0.12, height)


def _plaster(rng: np.random.Generator, rows: int, columns: int) -> FloatImage:
    """Return the tone of plaster: blotches, fine grain, streaks below the roof."""
    tone = 1.0 + 0.045 * fractal_noise(rng, rows, columns, 150, 5)
    tone += 0.03 * rng.standard_normal((rows, columns), dtype=np.float32)
    streak = fractal_noise(rng, 1, columns, 18, 3)
    fade = np.linspace(1, 0, rows, dtype=np.float32)[:, None] ** 2
    return np.asarray(tone - 0.09 * np.clip(streak, 0, 2) * fade, np.float32)


def _brick(rng: np.random.Generator, rows: int, columns: int, per_m: float) -> FloatImage:
    """Return the tone of running-bond brickwork, each brick a little different."""
    course, length = max(3.0, 0.1 * per_m), max(7.0, 0.26 * per_m)
    y, x = np.arange(rows, dtype=np.float32), np.arange(columns, dtype=np.float32)
    row = (y / course).astype(int)
    shifted = x[None, :] + (row[:, None] % 2) * np.float32(length / 2)
    column = (shifted / np.float32(length)).astype(int)
    tints = rng.normal(1.0, 0.13, (row[-1] + 1, int(column.max()) + 1)).astype(np.float32)
    tone = tints[row[:, None], column]
    mortar = (y % course < 1)[:, None] | (shifted % np.float32(length) < 1)
    tone = np.where(mortar, np.float32(1.22), tone)
    tone += 0.06 * fractal_noise(rng, rows, columns, 140, 4)
    return np.asarray(tone, np.float32)


def _band(sheet: _Sheet, left: float, bottom: float, width: float, height: float) -> None:
    """Draw a cornice or string course with its shadow line."""
    area = sheet.area(left, bottom, width, height)
    sheet.rgb[area] = 0.39 * sheet.rgb[area] + 114
    sheet.heat[area] += 0.5
    shade = sheet.area(left, bottom - 0.12, width, 0.12)
    sheet.rgb[shade] *= 0.62


def _window(rng: np.random.Generator, sheet: _Sheet, middle: float, bottom: float) -> None:
    """Draw one window: frame, panes that reflect the sky, curtains, sill; warm where heat leaks."""
    width, height = 1.1, 1.55
    frame = sheet.area(middle - width / 2 - 0.09, bottom - 0.09, width + 0.18, height + 0.18)
    shadow = sheet.area(middle - width / 2 - 0.12, bottom - 0.42, width + 0.24, 0.3)
    sheet.rgb[shadow] *= 0.78
    sheet.heat[shadow] += 0.9
    sheet.rgb[frame] = (206, 202, 194)
    sheet.rgb[sheet.area(middle - width / 2 - 0.15, bottom - 0.16, width + 0.3, 0.09)] = 214
    lit = rng.uniform() < 0.38
    leaky = rng.uniform() < 0.2
    for side in (-1, 1):
        pane = sheet.area(middle + (side - 1) * 0.25 - 0.02 * (side < 0), bottom, 0.51, height)
        rows, columns = sheet.coverage[pane].shape
        if min(rows, columns) < 1:
            continue
        fade = np.linspace(1.0, 0.0, rows, dtype=np.float32)[:, None, None]
        mirror = np.array([52, 62, 72], np.float32) + fade * np.array([66, 84, 104], np.float32)
        pattern = 0.9 + 0.2 * rng.uniform()
        glass = np.broadcast_to(mirror * pattern, (rows, columns, 3))
        if lit:
            folds = 1 + 0.12 * np.sin(np.arange(columns, dtype=np.float32) * 1.9)[None, :, None]
            glass = 0.3 * glass + 0.7 * folds * np.array([240, 188, 112], np.float32)
            sheet.emission[pane] = 0.75
        sheet.rgb[pane] = glass
        sheet.heat[pane] = (5.5 if leaky else 1.6 if lit else -1.8) + 0.8 * fade[..., 0]
    bar = sheet.area(middle - width / 2, bottom + 1.05, width, 0.06)
    sheet.rgb[bar] = 200
    sheet.emission[bar] = 0


def _door(rng: np.random.Generator, sheet: _Sheet, middle: float) -> None:
    """Draw an entrance with steps and a lit pane above."""
    frame = sheet.area(middle - 0.68, 0.1, 1.36, 2.75)
    sheet.rgb[frame] = 190
    leaf = sheet.area(middle - 0.55, 0.12, 1.1, 2.1)
    wood = np.array(((92, 50, 34), (40, 66, 58), (58, 62, 78))[int(rng.integers(3))], np.float32)
    rows, columns = sheet.coverage[leaf].shape
    grain = 1 + 0.07 * fractal_noise(rng, rows, columns, 30, 3)
    sheet.rgb[leaf] = grain[..., None] * wood
    sheet.heat[leaf] += 1.2
    for bottom in (0.35, 1.25):
        panel = sheet.area(middle - 0.4, bottom, 0.8, 0.7)
        sheet.rgb[panel] *= 0.78
    light = sheet.area(middle - 0.5, 2.32, 1.0, 0.4)
    sheet.rgb[light] = (226, 196, 140)
    sheet.emission[light] = 0.8
    sheet.heat[light] += 2.0


def _downpipe(sheet: _Sheet, left: float, height: float) -> None:
    """Draw a rain pipe."""
    pipe = sheet.area(left, 0.1, 0.1, height - 0.4)
    sheet.rgb[pipe] = 96
    sheet.heat[pipe] += 1.0
    columns = pipe[1]
    if columns.stop < sheet.coverage.shape[1]:
        sheet.rgb[pipe[0], columns.stop : columns.stop + 2] *= 0.7
