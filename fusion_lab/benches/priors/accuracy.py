"""Accuracy and calibration per kind of degradation, on the fixed test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fusion_core.priors.kinds import kinds_of
from fusion_core.priors.network import PriorNet
from fusion_core.types import Modality
from fusion_lab.benches.tables import Cell, Table
from fusion_lab.training.degradations.testset import FOLDERS, cases, cut
from fusion_lab.training.priors.bases import Base, load_bases
from fusion_lab.training.priors.loop import predict
from fusion_lab.training.priors.samples import Row, degrade, stack
from fusion_lab.training.priors.scores import average_precision, calibration_error, confusion

_LEAST_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class KindScores:
    """Scores of one kind; only pictures whose label is known count.

    Attributes:
        present: Pictures that show it.
        absent: Pictures that do not.
        average_precision: Area under precision over recall.
        accuracy: Share of right answers at probability 0.5.
        error_before: Expected calibration error before the calibration.
        error_after: The same after it.
    """

    present: int
    absent: int
    average_precision: float
    accuracy: float
    error_before: float
    error_after: float


@dataclass(frozen=True, slots=True)
class ModalityScores:
    """Scores of one modality.

    Attributes:
        modality: Which.
        pictures: Number of pictures.
        kinds: Kind -> scores.
        confusion: Kind alone in a picture -> strongest answer -> share of the pictures.
    """

    modality: Modality
    pictures: int
    kinds: Mapping[str, KindScores]
    confusion: Mapping[str, Mapping[str, float]]

    def tables(self) -> list[Table]:
        """Return scores per kind with the mean calibration error, and what is confused."""
        rows: list[tuple[Cell, ...]] = [
            (
                kind,
                s.present,
                s.absent,
                s.average_precision,
                s.accuracy,
                s.error_before,
                s.error_after,
            )
            for kind, s in self.kinds.items()
        ]
        before = float(np.mean([s.error_before for s in self.kinds.values()]))
        after = float(np.mean([s.error_after for s in self.kinds.values()]))
        rows.append(("mean", "", "", "", "", before, after))
        head = ("kind", "with", "without", "AP", "accuracy", "ECE before", "ECE after")
        answers = tuple((kind, _answers(shares)) for kind, shares in self.confusion.items())
        return [
            Table(f"{self.modality}: {self.pictures} pictures", head, tuple(rows), digits=3),
            Table(f"{self.modality}: strongest answer, per cent", ("alone", "answers"), answers),
        ]


def read_testset_rows(data: Path, modality: Modality) -> tuple[list[Row], list[dict[str, float]]]:
    """Return the degraded pictures of the test set with labels, and what was done to each.

    Raises:
        SourceError: A folder of the test set is missing or incomplete.
    """
    bases: dict[str, Base] = {}
    for folder in FOLDERS:
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


def score_network(
    network: PriorNet,
    modality: Modality,
    rows: Sequence[Row],
    severities: Sequence[Mapping[str, float]],
) -> ModalityScores:
    """Score a network on labelled pictures.

    Args:
        network: The network of the modality.
        modality: Which.
        rows: Pictures with what they show and what they may show.
        severities: What was done to each.
    """
    kinds = kinds_of(modality)
    samples = stack(rows, modality)
    logits, _ = predict(network, samples)
    before, after = torch.sigmoid(logits), network.probabilities(logits)
    scores = {}
    for column, kind in enumerate(kinds):
        known = samples.known[:, column] > 0
        labels, found = samples.labels[known, column], after[known, column]
        scores[kind] = KindScores(
            present=int(labels.sum()),
            absent=int((1 - labels).sum()),
            average_precision=average_precision(found, labels),
            accuracy=float(((found > 0.5).float() == labels).float().mean()),
            error_before=calibration_error(before[known, column], labels),
            error_after=calibration_error(found, labels),
        )
    # Pictures that degrade by themselves, too, have no single right answer.
    alone = [row[1] == done for row, done in zip(rows, severities, strict=True)]
    single = [done for done, own in zip(severities, alone, strict=True) if own]
    shares = confusion(after.numpy()[alone], single, kinds)
    confused = {
        kind: {name: float(share) for name, share in zip(kinds, row, strict=True) if share > 0}
        for kind, row in zip(kinds, shares, strict=True)
    }
    return ModalityScores(modality, len(rows), scores, confused)


def _answers(shares: Mapping[str, float]) -> str:
    ranked = sorted(shares.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(f"{name} {100 * share:.0f}" for name, share in ranked if share >= _LEAST_SHARE)
