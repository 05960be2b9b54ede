"""Measure every way around every part of the networks that ship."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
import tyro

from fusion_core.errors import UsageError
from fusion_core.models import Fuser, load_model
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.mechanisms import ctrlfuse, m2pn, mdaif, mmaif, tcmoa
from fusion_lab.benches.mechanisms.bypass import Bypass, Made, Random, Sample, System
from fusion_lab.benches.progress import with_progress
from fusion_lab.benches.tables import Table

SYSTEMS: Final = (
    m2pn.SYSTEM,
    m2pn.CELLS_SYSTEM,
    mdaif.SYSTEM,
    ctrlfuse.SYSTEM,
    tcmoa.SYSTEM,
    mmaif.SYSTEM,
)


@dataclass(frozen=True, slots=True)
class PartEffect:
    """What passing by a part changes, means over samples and seeds.

    Attributes:
        model: Network.
        part: Part of it.
        how: What stands in its place.
        change: Mean absolute change of the fused luma, of 255.
        figure: Name of the figure.
        whole: The figure with the part.
        difference: Figure without the part less that with it; negative where the part helps.
        error: Standard error of the difference, over the samples (their means over the seeds).
        worse: Samples whose figure is worse without the part.
        samples: Samples.
    """

    model: str
    part: str
    how: str
    change: float
    figure: str
    whole: float
    difference: float
    error: float
    worse: int
    samples: int


@dataclass(frozen=True, slots=True)
class Mechanisms:
    """Effects of all parts."""

    effects: Sequence[PartEffect]

    def tables(self) -> list[Table]:
        """Return one table, a row per way around a part."""
        head = (
            "model",
            "part",
            "instead",
            "change of 255",
            "figure",
            "with the part",
            "without",
            "worse in",
        )
        rows = tuple(
            (
                effect.model,
                effect.part,
                effect.how,
                effect.change,
                effect.figure,
                f"{effect.whole:.3f}",
                f"{effect.difference:+.3f} ± {effect.error:.3f}",
                f"{effect.worse} of {effect.samples}",
            )
            for effect in self.effects
        )
        return [Table("Parts passed by", head, rows)]


@dataclass(frozen=True, kw_only=True)
class MechanismsBench(BenchCommand):
    """Pass by each part that names a system, and see what that changes.

    For every part: the mean change of the fused luma, and of the figure that the part exists for.
    m2pn: edges kept (Qabf) on msrs and roadscene/val. mdaif: PSNR of the restored visible picture
    of the fixed test set, in haze, rain and snow, each apart. ctrlfuse: contrast that people gain
    on msrs, llvip and video/0117_1620, marked by masks and by boxes, less the change around them.
    tcmoa: edges kept on mef, mff and msrs at 320x240, each task apart. mmaif: PSNR of the restored
    visible picture at 320x240, apart in haze and smoke, rain and snow, noise, darkness, each of
    which a sentence asks to remove, and where there are two and one of them is to be kept.
    """

    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the recordings."""
    models: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = (
        "m2pn",
        "m2pn-edge",
        "m2pn-nano",
        "mdaif",
        "ctrlfuse",
        "tcmoa",
        "mmaif",
    )
    """Networks, or files of weights."""
    limit: Annotated[int, tyro.conf.arg(metavar="N")] = 12
    """Pairs per network."""
    seeds: Annotated[int, tyro.conf.arg(metavar="N")] = 3
    """Repetitions of what depends on chance: the order of values, the other picture."""

    def measure(self) -> Mechanisms:
        """Run every network with and without its parts."""
        effects: list[PartEffect] = []
        for name in self.models:
            network = load_model(name)
            system = system_of(network)
            samples = system.read(self.data, self.limit)
            effects += measure_parts(network, system, samples, seeds=self.seeds, name=name)
        return Mechanisms(effects)


def system_of(network: Fuser) -> System:
    """Return the parts of a network.

    Raises:
        UsageError: None are known of its kind.
    """
    for system in SYSTEMS:
        if isinstance(network, system.network):
            return system
    known = ", ".join(system.network.__name__ for system in SYSTEMS)
    raise UsageError(f"model {network.name!r}: its parts are not known; known are those of {known}")


@torch.inference_mode()
def measure_parts(
    network: Fuser, system: System, samples: Sequence[Sample], *, seeds: int, name: str = ""
) -> list[PartEffect]:
    """Return the effect of every bypass of a network.

    Raises:
        UsageError: There are fewer than two samples of a kind, or no seeds.
    """
    kinds: dict[str, list[Sample]] = {}
    for sample in samples:
        kinds.setdefault(sample.kind, []).append(sample)
    fewest = min(kinds, key=lambda kind: len(kinds[kind]), default="")
    count = len(kinds.get(fewest, ()))
    if count < 2 or seeds < 1:
        raise UsageError(
            f"{fewest or 'samples'}: {count} pair(s), {seeds} seed(s): at least two pairs and one "
            "seed are needed"
        )
    network.eval()
    name = name or network.name
    return [
        effect
        for alike in kinds.values()
        for effect in _of_one_kind(
            network, system, alike, samples if system.mixed else alike, seeds=seeds, name=name
        )
    ]


def _of_one_kind(
    network: Fuser,
    system: System,
    samples: Sequence[Sample],
    others: Sequence[Sample],
    *,
    seeds: int,
    name: str,
) -> Iterator[PartEffect]:
    """Yield the effects on samples of one kind; another sample is one of ``others``."""
    kind = samples[0].kind
    whole = [system.run(network, sample, sample.cues) for sample in samples]
    bypasses = [bypass for bypass in system.bypasses if bypass.has(network)]
    for bypass in with_progress(bypasses, f"{name} {kind}".strip()):
        changes, figures = [], []
        for seed in range(seeds if bypass.random else 1):
            rng = np.random.default_rng(seed)
            made = [*_passed_by(network, system, bypass, samples, others, rng)]
            pairs = [*zip(made, whole, strict=True)]
            changes += [float((less.fused - full.fused).abs().mean()) * 255 for less, full in pairs]
            figures.append([less.figure - full.figure for less, full in pairs])
        differences = np.mean(figures, axis=0)
        yield PartEffect(
            name,
            bypass.part,
            bypass.how,
            float(np.mean(changes)),
            f"{kind}: {system.figure}" if kind else system.figure,
            float(np.mean([full.figure for full in whole])),
            float(np.mean(differences)),
            float(np.std(differences, ddof=1) / np.sqrt(len(samples))),
            int((differences < 0).sum()),
            len(samples),
        )


def _passed_by(  # noqa: PLR0917 - one of each
    network: Fuser,
    system: System,
    bypass: Bypass,
    samples: Sequence[Sample],
    others: Sequence[Sample],
    rng: Random,
) -> Iterator[Made]:
    """Run the network on every sample without the part; another sample is any but that one."""
    for sample in samples:
        away = int(rng.integers(1, len(others)))
        other = others[(others.index(sample) + away) % len(others)]
        run_other = partial(system.run, network, other, other.cues)
        cues = bypass.cues(sample.cues, other.cues, network, rng)
        with bypass.hold(network, run_other, rng):
            yield system.run(network, sample, cues)
