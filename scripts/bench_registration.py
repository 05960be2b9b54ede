"""Measure the registration on recordings: known deformations, known homographies, drift, time."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from registration_alternatives import METHODS
from registration_pairs import (
    INVERSE,
    Array,
    corner_gaps,
    field_of,
    inverse_of,
    is_night,
    mean_error,
    picture_gap,
    random_homography,
    read_pairs,
)
from registration_streams import streams

import fusion_core as fc
from fusion_core.registration import Registrar, RegistrationConfig, Rig
from fusion_core.registration.calibration_map import CalibrationMap
from fusion_core.types import Frame, ThermalImage

SETS = ("roadscene/val", "msrs", "llvip", "video_frames")
TRIALS = 2  # homographies per pair
TURNS = 12  # of 5 s with and without refinement


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


def warp_time() -> None:
    """CPU time of the frame path for 640x480, best of many."""
    rng = np.random.default_rng(0)
    thermal = rng.random((480, 640), dtype=np.float32)
    matrix = np.array([[1.001, 0.002, 3.3], [-0.002, 1.0, -2.1], [0, 0, 1]])
    field = CalibrationMap(None, (640, 480), (640, 480), 30)
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
