"""Measure the registration on recordings: known deformations, known homographies, drift, time."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from registration_alternatives import METHODS

import fusion_core as fc
from fusion_core.registration import Registrar, RegistrationConfig, Rig
from fusion_core.registration.field import Field
from fusion_core.types import Frame, ThermalImage

Array = NDArray[Any]
SETS = ("roadscene/val", "msrs", "llvip", "video_frames")
TRIALS = 2  # homographies per pair
TURNS = 12  # of 5 s with and without refinement
# Gray level below which a visible picture is one at night, looked at by eye: of the whole picture,
# for RoadScene, whose long exposures make the ground bright, of the upper third.
NIGHT, NIGHT_SKY = 60, 155
INVERSE = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR


def read_pairs(folder: Path) -> Iterator[tuple[str, Array, Array]]:
    """Yield stem, visible BGR and thermal gray, no wider than 640 pixels."""
    for path in sorted((folder / "vi").iterdir()):
        visible = cv2.imread(str(path))
        thermal = cv2.imread(str(next((folder / "ir").glob(f"{path.stem}.*"))), 0)
        if visible.shape[1] > 900:
            size = (visible.shape[1] // 2, visible.shape[0] // 2)
            visible, thermal = (
                cv2.resize(image, size, interpolation=cv2.INTER_AREA)
                for image in (visible, thermal)
            )
        yield path.stem, visible, thermal


def grid_of(shape: tuple[int, ...]) -> Array:
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return np.stack((x, y), axis=2)


def inverse_of(warp: Array) -> Array:
    """Return u with u(p) = -warp(p + u(p)), so that what was warped is back in place."""
    grid, back = grid_of(warp.shape), np.zeros_like(warp)
    for _ in range(100):
        places = grid + back
        back = -cv2.remap(
            warp, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    return back


def field_of(matrix: Array | None, shape: tuple[int, ...]) -> Array:
    grid = grid_of(shape).astype(np.float64)
    if matrix is None:
        return np.zeros_like(grid)
    return cv2.perspectiveTransform(grid, np.asarray(matrix, np.float64)) - grid


def mean_error(found: Array, true: Array) -> float:
    return float(np.linalg.norm(found - true, axis=2).mean())


def deformed(folder: Path) -> None:
    """Known smooth deformations: mean end-point error over all pixels, in pixels."""
    table, seconds = {}, {}
    for path in sorted((folder / "vi").iterdir()):
        stored = np.load(folder / "displacement" / f"{path.stem}.npz")
        height, width = map(int, stored["size"])
        true = inverse_of(
            cv2.resize(
                stored["displacement_quarter"].astype(np.float32),
                (width, height),
                interpolation=cv2.INTER_CUBIC,
            )
        )
        visible = cv2.imread(str(path))
        thermal = cv2.imread(str(folder / "ir_warp" / path.name), 0)
        gray = cv2.cvtColor(visible, cv2.COLOR_BGR2GRAY)
        for name, method in METHODS.items():
            start = time.process_time()
            found = method(thermal, gray)
            seconds.setdefault(name, []).append(time.process_time() - start)
            table.setdefault(name, []).append(mean_error(field_of(found, true.shape), true))
        start = time.process_time()
        dense = fc.register(thermal, np.ascontiguousarray(visible[..., ::-1]), "dense")
        seconds.setdefault("register (dense)", []).append(time.process_time() - start)
        table.setdefault("register (dense)", []).append(mean_error(dense.displacement, true))
        print(path.stem, " ".join(f"{errors[-1]:7.2f}" for errors in table.values()), flush=True)
    before = np.array(table["nothing"])
    print(f"{'method':32s}{'mean':>8s}{'median':>8s}{'worst':>8s}{'worse':>7s}{'CPU ms':>8s}")
    for name, errors in table.items():
        worse = int((np.array(errors) > before + 1e-3).sum())
        print(
            f"{name:32s}{np.mean(errors):8.2f}{np.median(errors):8.2f}{max(errors):8.2f}"
            f"{worse:7d}{np.mean(seconds[name]) * 1e3:8.0f}"
        )


def corners_of(shape: tuple[int, ...]) -> Array:
    right, bottom = shape[1] - 1.0, shape[0] - 1.0
    return np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]])


def random_homography(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return a homography whose corners move by 2 to 20 pixels on average."""
    corners = corners_of(shape)
    way = rng.normal(size=(4, 2)) + rng.normal(size=2)
    way *= rng.uniform(2, 20) / np.linalg.norm(way, axis=1).mean()
    return cv2.getPerspectiveTransform(
        corners.astype(np.float32), (corners + way).astype(np.float32)
    )


def corner_gaps(first: Array | None, second: Array | None, shape: tuple[int, ...]) -> Array:
    if first is None or second is None:
        return np.full(4, np.inf)
    corners = corners_of(shape)[None]
    gap = cv2.perspectiveTransform(corners, first) - cv2.perspectiveTransform(corners, second)
    return np.linalg.norm(gap[0], axis=1)


def picture_gap(first: Array | None, second: Array | None, shape: tuple[int, ...]) -> float:
    if first is None or second is None:
        return np.inf
    return mean_error(field_of(first, shape), field_of(second, shape))


def is_night(name: str, visible: Array) -> bool:
    if name.startswith("roadscene"):
        return float(visible[: len(visible) // 3].mean()) < NIGHT_SKY
    return float(visible.mean()) < NIGHT


def homographies(data: Path, sets: Sequence[str], every: int) -> None:
    """Two random homographies per pair, day and night apart, in two readings.

    "stored" is the error against the pair as stored. The stored pairs are themselves some pixels
    out of register, which "together", against the alignment found for the stored pair itself, does
    not contain. Of both: median over the trials of the mean over the corners, share of trials in
    which that is below 1 px, and share of pairs whose median over all corners of both trials is.
    "picture" is "together" over all pixels.
    """
    for name in sets:
        rng = np.random.default_rng(0)
        rows: dict[tuple[str, str], list[tuple[Array, Array, float]]] = {}
        for stem, visible, thermal in list(read_pairs(data / name))[::every]:
            gray, shape = cv2.cvtColor(visible, cv2.COLOR_BGR2GRAY), thermal.shape
            light = "night" if is_night(name, visible) else "day"
            warps = [random_homography(rng, shape) for _ in range(TRIALS)]
            for method, align in METHODS.items():
                own = align(thermal, gray)
                for warp in warps:
                    warped = cv2.warpPerspective(thermal, warp, shape[::-1], flags=INVERSE)
                    matrix = align(warped, gray)
                    total = None if matrix is None else warp @ matrix
                    row = (
                        corner_gaps(total, np.eye(3), shape),
                        corner_gaps(total, own, shape),
                        picture_gap(total, own, shape),
                    )
                    rows.setdefault((method, light), []).append(row)
            now = (rows[method, light][-1][1].mean() for method in METHODS)
            print(name, stem, light, *(f"{gap:8.2f}" for gap in now), flush=True)
        head = ("stored", "trials<1", "pairs<1", "together", "trials<1", "pairs<1", "picture", "<1")
        print(f"{name:38s}{'n':>4s}", "".join(f"{title:>10s}" for title in head))
        for (method, light), found in sorted(rows.items()):
            stored, together, picture = (np.array(part) for part in zip(*found, strict=True))
            line = (
                *readings(stored),
                *readings(together),
                np.median(picture),
                (picture < 1).mean(),
            )
            print(f"  {method:30s}{light:6s}{len(found):4d}", "".join(f"{v:10.2f}" for v in line))


def readings(gaps: Array) -> tuple[float, float, float]:
    """Return median of trials, share of trials and share of pairs below 1 px of ``Nx4`` gaps."""
    trials, pairs = gaps.mean(axis=1), np.median(gaps.reshape(-1, 4 * TRIALS), axis=1)
    return float(np.median(trials)), float((trials < 1).mean()), float((pairs < 1).mean())


def confidence(data: Path, sets: Sequence[str], every: int) -> None:
    """How well the confidence tells right from wrong: area under the ROC curve.

    Right: within 2 px, on average over the picture, of the alignment of the stored pair.
    Wrong: more than 5 px off, and thermal pictures of another set's scenes.
    """
    good, bad = [], []
    for name in sets:
        rng = np.random.default_rng(1)
        others = list(read_pairs(data / SETS[(SETS.index(name) + 1) % len(SETS)]))
        for index, (stem, visible, thermal) in enumerate(list(read_pairs(data / name))[::every]):
            rgb, shape = np.ascontiguousarray(visible[..., ::-1]), thermal.shape
            other = cv2.resize(others[index % len(others)][2], shape[::-1])
            bad.append(fc.register(other, rgb).confidence)
            stored = fc.register(thermal, rgb).displacement
            warp = random_homography(rng, shape)
            warped = cv2.warpPerspective(thermal, warp, shape[::-1], flags=INVERSE)
            found = fc.register(warped, rgb)
            error = mean_error(field_of(warp @ found.homography, shape), stored)
            if error < 2:
                good.append(found.confidence)
            elif error > 5:
                bad.append(found.confidence)
            print(f"{name} {stem}: other scene {bad[-1 - (error > 5)]:.3f}, ", end="")
            print(f"moved: {error:.2f} px off, {found.confidence:.3f}", flush=True)
    wins = np.subtract.outer(good, bad)
    area = ((wins > 0) + 0.5 * (wins == 0)).mean()
    print(f"confidence: {len(good)} right, {len(bad)} wrong, area under ROC {area:.3f}")
    for limit in np.arange(1, 10) / 10:
        print(
            f"  at {limit:.1f}: {np.mean(np.array(good) >= limit):.2f} of the right and "
            f"{np.mean(np.array(bad) >= limit):.2f} of the wrong ones pass"
        )


def frames_of(folder: Path, limit: int | None) -> Iterator[tuple[Array, Array]]:
    streams = (av.open(str(folder / f"{name}.mp4")).decode(video=0) for name in ("vi", "ir"))
    for number, (visible, thermal) in enumerate(zip(*streams, strict=False)):
        if number == limit:
            return
        yield visible.to_ndarray(format="rgb24"), thermal.to_ndarray(format="gray")


def follow(
    folder: Path, shift_at: Callable[[float], tuple[float, float]], limit: int | None = None
) -> Array:
    """Return per frame: error in pixels, correction at the centre, confidence."""
    registrar, rows = Registrar(None, RegistrationConfig(refine="on")), []
    matrix = np.eye(3)
    for number, (visible, thermal) in enumerate(frames_of(folder, limit)):
        height, width = thermal.shape
        shift = np.array(shift_at(number / 30), np.float64)
        move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
        moved = cv2.warpAffine(thermal, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
        image = ThermalImage(moved.astype(np.float32) / 255, None)
        stamp_ns = round(number * 1e9 / 30)
        pair = registrar.align(stamp_ns, Frame(stamp_ns, "visible", visible, "rgb8"), image)
        places = grid_of((height, width))[16::32, 16::32].astype(np.float64)
        error = np.linalg.norm(cv2.perspectiveTransform(places, matrix) - places - shift, axis=2)
        centre = cv2.perspectiveTransform(np.array([[[width / 2, height / 2]]]), matrix)[0, 0]
        rows.append((error.mean(), *centre, pair.confidence))
        matrix = registrar.correction
    return np.array(rows)


def streams(data: Path) -> None:
    """Registered video as it is, with 0.5 px/s of drift, and with a step of 8 px after 4 s."""
    cases = {
        "as recorded": lambda _: (0, 0),
        "drift 0.5 px/s": lambda t: (0.4 * t, 0.3 * t),
        "step of 8 px": lambda t: (0, 0) if t < 4 else (6.4, -4.8),
    }
    print(f"{'video':14s}{'case':16s}{'mean':>7s}{'p95':>7s}{'worst':>7s}{'step':>7s}{'conf':>7s}")
    for video in sorted(path.name for path in (data / "video").iterdir() if path.is_dir()):
        for case, shift_at in cases.items():
            rows = follow(data / "video" / video, shift_at)
            step = np.linalg.norm(np.diff(rows[:, 1:3], axis=0), axis=1).max()
            line = (rows[:, 0].mean(), np.percentile(rows[:, 0], 95), rows[:, 0].max(), step)
            print(f"{video:14s}{case:16s}", "".join(f"{value:7.2f}" for value in line), end="")
            print(f"{rows[:, 3].mean():7.2f}", flush=True)
            if case.startswith("step"):
                late = np.flatnonzero(rows[120:, 0] < 1.5)
                print("   within 1.5 px after", late[0] / 30 if len(late) else "never", "s")


def warp_time() -> None:
    """CPU time of the frame path for 640x480, best of many."""
    rng = np.random.default_rng(0)
    thermal = rng.random((480, 640), dtype=np.float32)
    matrix = np.array([[1.001, 0.002, 3.3], [-0.002, 1.0, -2.1], [0, 0, 1]])
    field = Field(None, (640, 480), (640, 480), 30)
    warp = field.corrected(matrix)
    for name, work in {
        "warp of a frame": warp.apply,
        "new map (background)": lambda _: field.corrected(matrix),
    }.items():
        times = []
        for _ in range(50):
            start = time.process_time()
            work(thermal)
            times.append(time.process_time() - start)
        print(f"{name:24s}{min(times) * 1e3:7.2f} ms best, {np.median(times) * 1e3:7.2f} ms median")


def p99() -> None:
    """Time of the frame path for 640x480 with and without refinement beside it, in turns.

    A machine that others use as well has slow and fast minutes; turns that follow one another see
    the same.
    """
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.random((480, 640), np.float32), (0, 0), 3)
    scene = (scene - scene.min()) / np.ptp(scene)
    visible = np.repeat((255 * scene).astype(np.uint8)[..., None], 3, axis=2)
    rig = Rig.from_mapping(
        {
            "homography": [[1, 0, 2], [0, 1, 1], [0, 0, 1]],
            "visible_size": [640, 480],
            "thermal_size": [640, 480],
        }
    )
    times: dict[str, list[Array]] = {"off": [], "on": []}
    for _ in range(TURNS):
        for name, turns in times.items():
            with Registrar(rig, RegistrationConfig(refine=name)) as registrar:
                registrar.start()
                turns.append(frame_times(registrar, visible, scene))
    for name, turns in times.items():
        half, most = np.percentile(np.concatenate(turns), (50, 99))
        print(f"refinement {name:4s} p50 {half:6.2f} ms  p99 {most:6.2f} ms", flush=True)
    for rank in (50, 90, 99):
        off, on = (np.percentile(turns, rank, axis=1) for turns in times.values())
        low, middle, high = np.percentile(on / off, (25, 50, 75))
        print(f"on / off, p{rank} of a turn: median {middle:.2f}, quartiles {low:.2f} {high:.2f}")


def frame_times(registrar: Registrar, visible: Array, thermal: Array) -> Array:
    """Return the milliseconds of 150 frames at 30 Hz, without the first ones."""
    times = []
    for number in range(150):
        stamp_ns = round(number * 1e9 / 30)
        frame = Frame(stamp_ns, "visible", visible, "rgb8")
        start = time.perf_counter()
        registrar.align(stamp_ns, frame, ThermalImage(thermal, None))
        times.append(time.perf_counter() - start)
        time.sleep(max(0.0, 1 / 30 - times[-1]))
    return np.array(times[15:]) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with registration, roadscene, msrs, ...")
    parser.add_argument(
        "parts",
        nargs="*",
        help="warp, p99, deformed, homographies, confidence, streams; all when not given",
    )
    parser.add_argument("--every", type=int, default=1, help="take every n-th pair only")
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS, help="take these only")
    options = parser.parse_args()
    parts = options.parts or ["warp", "p99", "deformed", "homographies", "confidence", "streams"]
    work = {
        "warp": warp_time,
        "p99": p99,
        "deformed": lambda: deformed(options.data / "registration"),
        "homographies": lambda: homographies(options.data, options.sets, options.every),
        "confidence": lambda: confidence(options.data, options.sets, options.every),
        "streams": lambda: streams(options.data),
    }
    for part in parts:
        print(f"\n# {part}", flush=True)
        work[part]()


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main()
