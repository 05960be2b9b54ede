"""The bench of CtrlFuse: options and parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
import torch
import tyro

from fusion_core.errors import UsageError
from fusion_core.models import NO_CUES, Cues, Fuser, load_model
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.ctrlfuse.clicks import ClickOverlap, measure_clicks
from fusion_lab.benches.ctrlfuse.data import (
    KINDS,
    SETS,
    MaskedPair,
    read_masked,
    spread_evenly,
)
from fusion_lab.benches.ctrlfuse.detection import PeopleFound, found_table, measure_detection
from fusion_lab.benches.ctrlfuse.effects import (
    EFFECT_HEAD,
    PROMPTS,
    MaskEffect,
    fuse_prompted,
    iou,
    mean_effect,
)
from fusion_lab.benches.ctrlfuse.pictures import draw_effects
from fusion_lab.benches.ctrlfuse.references import (
    ReferenceQuality,
    measure_references,
    references_table,
)
from fusion_lab.benches.networks import fuse_luma
from fusion_lab.benches.progress import with_progress
from fusion_lab.benches.tables import Cell, Table
from fusion_lab.benches.timing import Timing, interleaved
from fusion_lab.training.prompting.corruption import boxed

Part = Literal["prompts", "classes", "clicks", "references", "detection", "cost"]


@dataclass(frozen=True, slots=True)
class PromptFigures:
    """Mean effect of one kind of prompt on one set.

    Attributes:
        dataset: Name of the set.
        pictures: Pictures with persons.
        prompt: Key of ``PROMPTS``.
        effect: The mean.
    """

    dataset: str
    pictures: int
    prompt: str
    effect: MaskEffect


@dataclass(frozen=True, slots=True)
class ClassOverlap:
    """Overlap with one kind of targets on one set, means over the pictures.

    Attributes:
        dataset: Name of the set.
        kind: One of ``KINDS``.
        pictures: Pictures with such targets.
        boxes: IoU of their boxes with the targets.
        from_boxes: IoU of what the segmenter made of the boxes.
        from_targets: IoU of what the segmenter made of the targets themselves.
    """

    dataset: str
    kind: str
    pictures: int
    boxes: float
    from_boxes: float
    from_targets: float


@dataclass(frozen=True, slots=True)
class CtrlFuseResult:
    """Figures of the parts that were run."""

    prompts: tuple[PromptFigures, ...] = ()
    classes: tuple[ClassOverlap, ...] = ()
    clicks: tuple[ClickOverlap, ...] = ()
    references: tuple[ReferenceQuality, ...] = ()
    detection: tuple[PeopleFound, ...] = ()
    cost: Mapping[str, Timing] | None = None

    def tables(self) -> Sequence[Table]:
        """Return the tables of the parts."""
        tables: list[Table] = []
        if self.prompts:
            tables.append(_prompt_table(self.prompts))
        if self.classes:
            tables.append(_class_table(self.classes))
        if self.clicks:
            tables.append(_click_table(self.clicks))
        if self.references:
            tables.append(references_table(self.references))
        if self.detection:
            tables.append(found_table(self.detection))
        if self.cost:
            costs = tuple((name, timing.median, timing.least) for name, timing in self.cost.items())
            title = f"Network at 640x480, {torch.get_num_threads()} threads, in turns"
            tables.append(Table(title, ("network", "median ms", "least"), costs, digits=1))
        return tables


def _prompt_table(figures: Sequence[PromptFigures]) -> Table:
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (row.dataset, row.pictures, row.prompt, *row.effect.cells()) for row in figures
    )
    return Table("Effect of prompts on persons", ("set", "pictures", "prompt", *EFFECT_HEAD), rows)


def _class_table(figures: Sequence[ClassOverlap]) -> Table:
    rows = tuple(
        (row.dataset, row.kind, row.pictures, row.boxes, row.from_boxes, row.from_targets)
        for row in figures
    )
    columns = ("boxes as prompt", "IoU segmented", "IoU segmented, true mask")
    return Table("Overlap per class", ("set", "class", "pictures", *columns), rows, digits=3)


def _click_table(figures: Sequence[ClickOverlap]) -> Table:
    rows = tuple((row.dataset, row.people, row.alone, row.detected) for row in figures)
    columns = ("IoU, nothing detected", "IoU, with pair-nano")
    return Table("A click in the middle of a person", ("set", "people", *columns), rows, digits=3)


@dataclass(frozen=True, kw_only=True)
class CtrlFuseBench(BenchCommand):
    """Measure what a mask does to the fused picture, on pictures not trained on.

    `prompts`: contrast, gradient and change outside the mask, and the overlap of what the segmenter
    finds, for true, changed and automatic masks. `classes`: overlap per class. `clicks`:
    what a click on a person marks. `references`: how complete the masks are that this is compared
    with. `detection`: people that a detector finds in the fused pictures, by what was marked.
    `cost`: per frame in the network, beside m2pn-edge.
    """

    parts: tyro.conf.Positional[tuple[Part, ...]] = ()
    """Parts to run; all when not given."""
    data: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder that holds msrs, llvip and video/0117_1620, and for detection roadscene/val and m3fd;
    not needed for cost."""
    model: Annotated[str, tyro.conf.arg(metavar="ctrlfuse|FILE")] = "ctrlfuse"
    """Weights to measure: those that ship, or a file of a training run."""
    detector: Annotated[tuple[str, ...], tyro.conf.arg(metavar="default|FILE.onnx ...")] = (
        "default",
    )
    """Detectors that look at the fused pictures; one for pairs sees them as visible ones."""
    limit: Annotated[int, tyro.conf.arg(metavar="N")] = 13
    """Pictures per set."""
    pictures: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Draw what a mask does into this folder: ctrlfuse_smoke.jpg and ctrlfuse_night.jpg."""

    def measure(self) -> CtrlFuseResult:
        """Run the parts."""
        parts = self.parts or get_args(Part)
        sets = self._sets() if set(parts) - {"cost", "detection"} else {}
        model = load_model(self.model)
        if self.pictures:
            draw_effects(self._data(), self.pictures)
        return CtrlFuseResult(
            prompts=measure_prompts(model, sets, self.limit) if "prompts" in parts else (),
            classes=measure_classes(model, sets, self.limit) if "classes" in parts else (),
            clicks=measure_clicks(model, sets, self.limit) if "clicks" in parts else (),
            references=measure_references(sets) if "references" in parts else (),
            detection=self._detection(model) if "detection" in parts else (),
            cost=measure_cost(model, load_model("m2pn-edge")) if "cost" in parts else None,
        )

    def _sets(self) -> dict[str, list[MaskedPair]]:
        return {name: read_masked(self._data() / name) for name in SETS}

    def _detection(self, model: Fuser) -> tuple[PeopleFound, ...]:
        return measure_detection(model, self._data(), self.detector, self.limit)

    def _data(self) -> Path:
        if self.data is None:
            raise UsageError("masks are measured on recordings: give their folder by --data")
        return self.data


def measure_prompts(
    model: Fuser, sets: Mapping[str, list[MaskedPair]], limit: int
) -> tuple[PromptFigures, ...]:
    """Return the mean effect of every kind of prompt on every set."""
    found = []
    for dataset, masked in sets.items():
        pairs = spread_evenly(masked, limit)
        for prompt in with_progress(list(PROMPTS), dataset):
            effect = mean_effect(model, pairs, PROMPTS[prompt])
            found.append(PromptFigures(dataset, len(pairs), prompt, effect))
    return tuple(found)


def measure_classes(
    model: Fuser, sets: Mapping[str, list[MaskedPair]], limit: int
) -> tuple[ClassOverlap, ...]:
    """Return the overlap per kind of targets on every set that shows some."""
    found = []
    for dataset, masked in sets.items():
        for index, kind in enumerate(KINDS):
            overlaps = []
            for pair in spread_evenly(masked, limit, index):
                target = pair.target(index)
                box = boxed(target)
                segmented = (
                    fuse_prompted(model, pair, prompt).segmented for prompt in (box, target)
                )
                overlaps.append((iou(box, target), *(iou(each, target) for each in segmented)))
            if overlaps:
                boxes, from_boxes, from_targets = (float(v) for v in np.mean(overlaps, axis=0))
                found.append(
                    ClassOverlap(dataset, kind, len(overlaps), boxes, from_boxes, from_targets)
                )
    return tuple(found)


def measure_cost(
    prompted: Fuser, plain: Fuser, rounds: int = 30, size: tuple[int, int] = (480, 640)
) -> dict[str, Timing]:
    """Return durations in the networks, in turns, without a mask and with a person marked."""
    height, width = size
    thermal, luma = (torch.rand(1, 1, height, width) for _ in range(2))
    mask = torch.zeros(1, 1, height, width)
    mask[..., height * 3 // 8 : height * 5 // 8, width * 25 // 64 : width * 15 // 32] = 1
    cases = {
        plain.name: lambda: fuse_luma(plain, thermal, luma, NO_CUES),
        f"{prompted.name}, nothing marked": lambda: fuse_luma(prompted, thermal, luma, NO_CUES),
        f"{prompted.name}, a person marked": lambda: fuse_luma(
            prompted, thermal, luma, Cues(mask=mask)
        ),
    }
    return {name: Timing.of(times) for name, times in interleaved(cases, rounds).items()}
