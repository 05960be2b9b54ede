"""Compare restoring while fusing with fusing alone and with restoring first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from fusion_core.engine import Engine
from fusion_core.models import Cues, load_model, load_weights
from fusion_core.models.mdaif import MdaIF
from fusion_core.priors import assess_pair
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_core.types import AlignedPair, ScenePrior, UInt8Image
from fusion_lab.data import pair_files, read_example
from fusion_lab.metrics import compute_all, to_gray
from fusion_lab.training.degradations import Degrader
from fusion_lab.training.degradations.testset import Case, cases, cut
from fusion_lab.training.restoring.restorer import Restorer

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
GROUPS = ("clean", "haze", "rain", "snow", "smoke", "low_light", "mixed")
LOOK = ("m2pn-edge", "mdaif")
# Frames, and what is done to them beyond what they show.
SEEN: tuple[tuple[str, dict[str, float]], ...] = (
    ("0117_1620_0120", {}),
    ("0117_1620_0540", {}),
    ("0117_1620_0120", {"rain": 0.8}),
    ("1230_1202_0060", {"snow": 0.8}),
    ("1230_1202_0060", {}),
)
Fuse = Callable[[UInt8Image, UInt8Image, ScenePrior], UInt8Image]


@dataclass(frozen=True, slots=True)
class Scene:
    """One degraded picture of the test set with its clean references."""

    group: str
    degraded: UInt8Image
    clean: UInt8Image
    thermal: UInt8Image
    prior: ScenePrior


def scenes(data: Path, every: int) -> Iterator[Scene]:
    """Iterate over the visible cases of the groups, of every so many pairs."""
    provider = EmbeddedProvider()
    order: dict[tuple[str, str], int] = {}
    for case in cases(data):
        place = order.setdefault((case.folder, case.stem), len(order))
        group = group_of(case)
        if case.modality == "visible" and group in GROUPS and place % every == 0:
            visible, thermal = pictures(data, case)
            degraded = visible
            if case.severities:
                values = Degrader(case.severities, case.seed).apply(visible / np.float32(255))
                degraded = np.rint(values.image * 255).astype(np.uint8)
            prior = assess_pair(provider, as_pair(degraded, thermal))
            yield Scene(group, degraded, visible, thermal, prior)


def group_of(case: Case) -> str:
    """Return the name of a single degradation, ``clean`` or ``mixed``."""
    if len(case.severities) > 1:
        return "mixed"
    return next(iter(case.severities), "clean")


def pictures(data: Path, case: Case) -> tuple[UInt8Image, UInt8Image]:
    """Return the clean visible and thermal picture of a case."""
    found = {files.stem: files for files in pair_files(data / case.folder)}
    example = read_example(found[case.stem])
    return cut(example.first), cut(example.second)


def methods(restorer: Path | None, *, slow: bool) -> dict[str, Fuse]:
    """Return what is compared; the cascades need the restorer's weights."""
    restoring = load_model("mdaif")
    found: dict[str, Fuse] = {
        "mdaif": fusing(Engine(restoring, None), told=True),
        "mdaif, no prior": fusing(Engine(restoring, None), told=False),
    }
    names = ("m2pn-edge", "m2pn") if slow else ("m2pn-edge",)
    plain = {name: fusing(Engine(load_model(name), None)) for name in names}
    found |= plain
    if restorer is not None:
        first = Restorer()
        load_weights(first, restorer)
        restore = fusing(Engine(first, None))
        for name, second in plain.items():
            found[f"restore, then {name}"] = in_turn(restore, second)
    return found


def fusing(engine: Engine, *, told: bool = False) -> Fuse:
    """Return one network as a method."""

    def fuse(visible: UInt8Image, thermal: UInt8Image, prior: ScenePrior) -> UInt8Image:
        return engine.fuse(as_pair(visible, thermal), prior if told else None).image

    return fuse


def as_pair(visible: UInt8Image, thermal: UInt8Image) -> AlignedPair:
    """Return two pictures as an aligned pair."""
    return AlignedPair(0, visible, thermal / np.float32(255), np.ones(thermal.shape, bool))


def in_turn(restore: Fuse, fuse: Fuse) -> Fuse:
    """Return two methods one after the other."""
    return lambda visible, thermal, prior: fuse(restore(visible, thermal, prior), thermal, prior)


def restoration(data: Path, restorer: Path | None, every: int, *, slow: bool) -> None:
    """Compare restoring while fusing with fusing alone and the cascades."""
    compare(methods(restorer, slow=slow), data, every)


def compare(compared: dict[str, Fuse], data: Path, every: int) -> None:
    """Print PSNR, SSIM and the PSNR of the chroma of methods per group."""
    rows: dict[str, dict[str, list[tuple[float, float, float]]]] = {}
    for scene in scenes(data, every):
        for name, fuse in compared.items():
            fused = fuse(scene.degraded, scene.thermal, scene.prior)
            rows.setdefault(name, {}).setdefault(scene.group, []).append(score(fused, scene))
    for index, metric in enumerate(("PSNR dB", "SSIM sum", "chroma PSNR dB")):
        print(f"\n| {metric} | " + " | ".join(GROUPS) + " |")
        print("|---|" + "---|" * len(GROUPS))
        for name, by_group in rows.items():
            means = [np.mean([entry[index] for entry in by_group[g]]) for g in GROUPS]
            print(f"| {name} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")
    counts = {group: len(entries) for group, entries in next(iter(rows.values())).items()}
    print(f"\npictures: {json.dumps(counts)}")


def score(fused: UInt8Image, scene: Scene) -> tuple[float, float, float]:
    """Return PSNR and SSIM to both clean sources, and PSNR of Cb and Cr to the clean ones."""
    found = compute_all(to_gray(fused), (scene.thermal, to_gray(scene.clean)), ("PSNR", "SSIM"))
    ours, clean = (
        cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)[..., 1:].astype(np.float64)
        for image in (fused, scene.clean)
    )
    error = max(float(np.mean((ours - clean) ** 2)), 1e-3)
    return found["PSNR"], found["SSIM"], float(10 * np.log10(255**2 / error))


@torch.inference_mode()
def prototypes(data: Path, every: int) -> None:
    """Plot prototype activations and expert loads; print the balance and the restored luma."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    model = load_model("mdaif")
    assert isinstance(model, MdaIF)
    activations: dict[str, list[np.ndarray]] = {group: [] for group in GROUPS}
    gates: dict[str, list[np.ndarray]] = {group: [] for group in GROUPS}
    luma: dict[str, list[tuple[float, float]]] = {group: [] for group in GROUPS}
    for scene in scenes(data, every):
        planes = cv2.cvtColor(scene.degraded, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
        colour = torch.from_numpy(planes).permute(2, 0, 1)[None].float() / 255
        hot = torch.from_numpy(scene.thermal)[None, None].float() / 255
        cues = Cues(colour[:, 1:], torch.from_numpy(scene.prior.tokens)[None])
        made = model.restore(hot, colour[:, :1], cues)
        activations[scene.group].append(made.activations[0].numpy())
        gates[scene.group].append(made.gates[0].numpy())
        clean = torch.from_numpy(cv2.cvtColor(scene.clean, cv2.COLOR_RGB2YCrCb)[..., 0]) / 255
        both = (colour[0, 0], made.visible[0, 0].clamp(0, 1))
        errors = [float((shown - clean).square().mean()) for shown in both]
        luma[scene.group].append((errors[0], errors[1]))
    figure, axes = plt.subplots(2, 4, figsize=(12, 5), layout="constrained")
    for level in range(4):
        for row, (title, values) in enumerate((("prototype", activations), ("expert", gates))):
            means = np.array([np.mean(values[group], 0)[level] for group in GROUPS])
            panel = axes[row, level]
            shown = panel.imshow(means, vmin=0, vmax=1, cmap="viridis", aspect="auto")
            panel.set_yticks(range(len(GROUPS)), GROUPS if level == 0 else [""] * len(GROUPS))
            panel.set_xticks(range(means.shape[1]))
            panel.set_title(f"{title}, stride {4 * 2**level}", fontsize=9)
            for (y, x), value in np.ndenumerate(means):
                panel.text(x, y, f"{value:.2f}", ha="center", va="center", fontsize=7, color="w")
    figure.colorbar(shown, ax=axes, shrink=0.6)
    figure.savefig(IMAGES / "mdaif_prototypes.png", dpi=80)
    for group, found in luma.items():
        before, after = np.mean(-10 * np.log10(np.maximum(found, 1e-5)), 0)
        print(f"{group}: visible luma {before:.2f} dB degraded, {after:.2f} dB restored")
    work = np.array([gate for found in gates.values() for gate in found])
    for level in range(4):
        importance, load = work[:, level].mean(0), (work[:, level] > 0).mean(0)
        spread = [float(np.var(v) / np.mean(v) ** 2) for v in (importance, load)]
        print(
            f"stride {4 * 2**level}: share of work {np.round(importance, 3).tolist()}, "
            f"cv^2 of importance {spread[0]:.3f}, of load {spread[1]:.3f}"
        )


def look(data: Path) -> None:
    """Draw real smoke and made rain and snow: visible, thermal, m2pn-edge, mdaif."""
    provider, rows = EmbeddedProvider(), []
    plain, restoring = (fusing(Engine(load_model(name), None), told=True) for name in LOOK)
    for stem, severities in SEEN:
        rgb = np.asarray(cv2.imread(str(data / f"video_frames/vi/{stem}.png"))[..., ::-1], np.uint8)
        thermal = np.asarray(cv2.imread(str(data / f"video_frames/ir/{stem}.png"), 0), np.uint8)
        values = Degrader(severities, 3).apply(rgb / np.float32(255)).image
        visible = np.rint(values * 255).astype(np.uint8)
        prior = assess_pair(provider, as_pair(visible, thermal))
        fused = [method(visible, thermal, prior) for method in (plain, restoring)]
        tiles = [visible, cv2.cvtColor(thermal, cv2.COLOR_GRAY2RGB), *fused]
        size = (320, 240)
        rows.append(np.hstack([cv2.resize(t, size, interpolation=cv2.INTER_AREA) for t in tiles]))
    sheet = np.vstack(rows)[..., ::-1]
    cv2.imwrite(str(IMAGES / "mdaif.jpg"), sheet, [cv2.IMWRITE_JPEG_QUALITY, 88])
