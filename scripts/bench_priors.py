"""Measure the embedded prior provider on pictures that it was not trained on.

Parts: `scores` (per kind on the fixed test set), `night` (msrs), `smoke` (a plot of a whole video),
`cost` (per call, and the scene-change detector per frame), `refresh` (frame path with and without
refreshes by a provider that takes two seconds), `sheet` (contact sheet of the degradations).
Parts of what the priors are for: `restoration` (mdaif against fusing alone and a cascade) and
`prototypes` (what its prototypes and experts do), `look` (pictures).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import restoring
import torch

from fusion_core.config import Config
from fusion_core.engine import Engine
from fusion_core.pipeline import Pipeline
from fusion_core.priors import Assessment, PriorScheduler, PriorsConfig
from fusion_core.priors.change import ChangeDetector
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_core.priors.kinds import kinds_of
from fusion_core.priors.network import PriorNet
from fusion_core.source import open_source
from fusion_core.types import AlignedPair, FloatImage, Modality, UInt8Image
from fusion_lab.synthetic import SyntheticScene
from fusion_lab.training.degradations import ORDER, Degrader
from fusion_lab.training.degradations.testset import SEVERITIES, VERSION, cases, checksum, cut
from fusion_lab.training.priors.bases import Base, load_bases
from fusion_lab.training.priors.loop import predict
from fusion_lab.training.priors.samples import Row, degrade, stack
from fusion_lab.training.priors.scores import (
    average_precision,
    calibration_error,
    confusion,
)

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
SMOKE = "0117_1620"


def scores(data: Path) -> None:
    """Print average precision, accuracy and calibration per kind, and what is confused."""
    print(f"test set version {VERSION}, checksum {checksum(data)}")
    provider = EmbeddedProvider()
    nets: dict[Modality, PriorNet] = {"visible": provider._visible, "thermal": provider._thermal}
    for modality, net in nets.items():
        rows, severities = test_rows(data, modality)
        alone = [row[1] == done for row, done in zip(rows, severities, strict=True)]
        samples = stack(rows, modality)
        logits, _ = predict(net, samples)
        before, after = torch.sigmoid(logits), net.probabilities(logits)
        print(f"\n{modality}: {len(rows)} pictures")
        print("| kind | with | without | AP | accuracy | ECE before | ECE after |")
        print("|---|---|---|---|---|---|---|")
        errors = []
        for column, kind in enumerate(kinds_of(modality)):
            known = samples.known[:, column] > 0
            labels, found = samples.labels[known, column], after[known, column]
            errors.append(
                (calibration_error(before[known, column], labels), calibration_error(found, labels))
            )
            right = ((found > 0.5).float() == labels).float().mean()
            print(
                f"| {kind} | {int(labels.sum())} | {int((1 - labels).sum())}"
                f" | {average_precision(found, labels):.3f} | {right:.3f}"
                f" | {errors[-1][0]:.3f} | {errors[-1][1]:.3f} |"
            )
        mean = np.mean(errors, 0)
        print(f"| mean | | | | | {mean[0]:.3f} | {mean[1]:.3f} |")
        kept = [done for done, own in zip(severities, alone, strict=True) if own]
        confusion_table(modality, after.numpy()[alone], kept)


def test_rows(data: Path, modality: Modality) -> tuple[list[Row], list[dict[str, float]]]:
    """Return the degraded pictures of the test set with labels, and what was done to each."""
    bases: dict[str, Base] = {}
    for folder in ("roadscene/val", "msrs", "llvip"):
        found = load_bases([data / folder])
        bases |= {f"{folder}/{base.key.rpartition('/')[2]}": base for base in found}
    rows, severities = [], []
    for case in cases(data):
        if case.modality != modality:
            continue
        base = bases[f"{case.folder}/{case.stem}"]
        picture = base.visible if modality == "visible" else base.thermal
        values = cut(picture).astype(np.float32) / np.float32(255)
        rows.append(degrade(base, modality, case.severities, case.seed, values))
        severities.append(case.severities)
    return rows, severities


def confusion_table(
    modality: Modality, found: np.ndarray, severities: list[dict[str, float]]
) -> None:
    """Print how often the strongest answer to a single degradation of a clean picture is which."""
    kinds = kinds_of(modality)
    table = confusion(found, severities, kinds)
    print(f"\n{modality}: strongest answer per single degradation, per cent")
    for kind, row in zip(kinds, table, strict=True):
        told = sorted(zip(row, kinds, strict=True), reverse=True)
        print(f"  {kind:14s}" + ", ".join(f"{name} {100 * s:.0f}" for s, name in told if s >= 0.05))


def night(data: Path) -> None:
    """Print the probability of low light for day (D) and night (N) of msrs."""
    provider = EmbeddedProvider()
    found: dict[str, list[float]] = {"D": [], "N": []}
    for base in load_bases([data / "msrs"]):
        found[base.key[-1]].append(provider.assess(base.visible, None).visible["low_light"])
    for name, values in found.items():
        print(f"msrs {name}: p(low_light) " + " ".join(f"{value:.2f}" for value in sorted(values)))


def smoke(data: Path) -> None:
    """Plot the probability of smoke or haze over a real video beside some of its frames."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    provider = EmbeddedProvider()
    folder = data / "video" / SMOKE
    seconds, veiled, single, frames = [], [], [], []
    with open_source(visible=str(folder / "vi.mp4"), thermal=str(folder / "ir.mp4")) as source:
        for frame in source.frames():
            if frame.modality != "visible" or frame.sequence % 5:
                continue
            found = provider.assess(frame.image, None).visible
            seconds.append(frame.sequence / 30)
            single.append((found["smoke"], found["haze"], found["clean"], found["low_light"]))
            veiled.append(1 - (1 - found["smoke"]) * (1 - found["haze"]))
            frames.append(cv2.resize(frame.image, (160, 120), interpolation=cv2.INTER_AREA))
    figure = plt.figure(figsize=(11, 5))
    axes = figure.add_axes((0.06, 0.1, 0.92, 0.5))
    axes.plot(seconds, veiled, "k", lw=2, label="smoke or haze")
    for values, name in zip(
        zip(*single, strict=True), ("smoke", "haze", "clean", "low_light"), strict=True
    ):
        axes.plot(seconds, values, lw=1, label=name)
    axes.set(xlabel="seconds", ylabel="probability", ylim=(-0.02, 1.02), xlim=(0, seconds[-1]))
    axes.legend(loc="center left", ncols=5, fontsize=8)
    shown = np.linspace(0, len(frames) - 1, 7).round().astype(int)
    strip = figure.add_axes((0.06, 0.66, 0.92, 0.3))
    strip.imshow(np.hstack([frames[index] for index in shown]), aspect="auto")
    strip.set_axis_off()
    strip.set_title("  ".join(f"{seconds[i]:.1f} s" for i in shown), fontsize=8)
    figure.savefig(IMAGES / "priors_smoke.png", dpi=80)
    share = np.mean(np.asarray(veiled) > 0.5)
    print(f"{SMOKE}: p(smoke or haze) > 0.5 in {100 * share:.0f} % of the frames")
    for path in sorted((data / "video_frames" / "vi").glob("*.png")):
        picture = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
        told = provider.assess(picture, None).visible
        likely = sorted(told.items(), key=lambda entry: -entry[1])[:3]
        print(f"  {path.stem}: " + ", ".join(f"{kind} {score:.2f}" for kind, score in likely))


def cost(_data: Path) -> None:
    """Print the processor time of one call and of the scene-change detector at 640x480."""
    torch.set_num_threads(1)
    pair = street_pair()
    provider = EmbeddedProvider()
    detector = ChangeDetector(0.1, 5)
    call = best_ms(lambda: provider.assess(pair.visible, pair.thermal), 60)
    print(f"embedded provider, both pictures: {call:.2f} ms (best of 60, one thread)")
    seen = best_ms(lambda: detector.observe(pair), 500)
    print(f"scene-change detector: {seen:.3f} ms (best of 500, one thread)")


class Slow(EmbeddedProvider):
    """The embedded provider, as if it took two seconds."""

    def assess(self, visible: UInt8Image | None, thermal: FloatImage | None) -> Assessment:
        found = super().assess(visible, thermal)
        time.sleep(2.0)
        return found


def refresh(_data: Path) -> None:
    """Print the frame path with and without a refresh every second by a provider of two seconds.

    Both take turns of one second in one run, so that other work on the machine hits both.
    """
    torch.set_num_threads(1)
    pair = street_pair()
    times: dict[str, list[float]] = {"without": [], "with": []}
    with (
        Pipeline(Config.from_dict({"prior": "none", "device": "cpu"})) as pipeline,
        PriorScheduler(Slow(), PriorsConfig(refresh_s=1.0)) as keeper,
    ):
        for index in range(600):
            turn = "with" if index // 30 % 2 else "without"
            taken = one_frame(pipeline._engine, keeper if turn == "with" else None, pair, index)
            if index >= 60:
                times[turn].append(taken)
        for name, values in times.items():
            ranks = np.percentile(values, (50, 95, 99))
            print(
                f"{name:8s} p50 {ranks[0]:.2f}  p95 {ranks[1]:.2f}  p99 {ranks[2]:.2f} ms"
                f" of {len(values)} frames"
            )
        print(f"{keeper.status()['refreshes']} refreshes, all {index + 1} frames fused")


def one_frame(
    engine: Engine, keeper: PriorScheduler | None, pair: AlignedPair, index: int
) -> float:
    """Fuse one frame at 30 Hz and return its milliseconds."""
    moment = AlignedPair(index * 33_333_333, pair.visible, pair.thermal, pair.valid)
    start = time.perf_counter()
    if keeper:
        keeper.update(moment, wait=False)
        keeper.health()
    engine.fuse(moment)
    taken = time.perf_counter() - start
    time.sleep(max(0.0, 1 / 30 - taken))
    return taken * 1e3


def sheet(_data: Path) -> None:
    """Write the contact sheet of all kinds at three severities."""
    pair = street_pair()
    assert pair.visible is not None
    assert pair.thermal is not None
    tiles = []
    for kind in ORDER:
        thermal = kind == "stripes"
        picture = pair.thermal if thermal else pair.visible.astype(np.float32) / np.float32(255)
        for severity in SEVERITIES:
            image = Degrader({kind: severity}, 5).apply(picture).image
            pixels = np.rint(image * 255).astype(np.uint8)
            colour = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR if thermal else cv2.COLOR_RGB2BGR)
            # Cut from the middle at full size: noise and blocks vanish in a thumbnail.
            small = cv2.resize(colour[120:420, 120:520], (200, 150), interpolation=cv2.INTER_AREA)
            cv2.putText(small, f"{kind} {severity}", (4, 13), 0, 0.4, (0, 255, 255), 1, cv2.LINE_AA)
            tiles.append(small)
    rows = [np.hstack(tiles[start : start + 6]) for start in range(0, len(tiles), 6)]
    cv2.imwrite(str(IMAGES / "degradations.jpg"), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 88])


def street_pair() -> AlignedPair:
    """Return one pair of the synthetic day."""
    scene = SyntheticScene.from_url("synthetic://day?seed=3&seconds=0.1&registered=1")
    found = {frame.modality: frame for frame in scene.frames()}
    counts = found["thermal"].image.astype(np.float32)
    thermal = (counts - counts.min()) / np.ptp(counts)
    visible = found["visible"].image
    return AlignedPair(0, visible, thermal, np.ones(thermal.shape, bool))


def best_ms(work: Callable[[], object], count: int) -> float:
    """Return the least processor time of many runs in milliseconds."""
    taken = []
    for _ in range(count):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken) * 1e3


PARTS = {part.__name__: part for part in (scores, night, smoke, cost, refresh, sheet)}
RESTORING = ("restoration", "prototypes", "look")


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "parts", nargs="*", default=list(PARTS), metavar="PART", choices=[*PARTS, *RESTORING]
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="recordings")
    parser.add_argument("--restorer", type=Path, help="weights of the cascade's first half")
    parser.add_argument("--every", type=int, default=1, help="use every n-th pair of the test set")
    parser.add_argument("--slow", action="store_true", help="compare with the full m2pn, too")
    options = parser.parse_args()
    for part in options.parts:
        if part == "restoration":
            restoring.restoration(options.data, options.restorer, options.every, slow=options.slow)
        elif part == "prototypes":
            restoring.prototypes(options.data, options.every)
        elif part == "look":
            restoring.look(options.data)
        else:
            PARTS[part](options.data)


if __name__ == "__main__":
    main()
