"""What the embedded text encoder understands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import tyro

from fusion_core.errors import UsageError
from fusion_core.models.mmaif.text.network import WishNetwork
from fusion_core.models.mmaif.text.weights import SHIPPED, load_text
from fusion_core.sentences import Wish, split_words
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.tables import Cell, Table
from fusion_lab.training.text.trainer import check_sentences, read_wishes

_PARTS: Final = ("remove", "keep", "targets", "styles", "task")


@dataclass(frozen=True, slots=True)
class UnderstoodRow:
    """Sentences of one kind.

    Attributes:
        sentences: Kind of the sentences.
        whole: Share of the sentences whose whole wish is recovered.
        parts: Share of the sentences of which what is to be removed, kept, shown, how it shall
            look, and the task are recovered, strengths included.
        named: Share of the sentences of which everything but the strengths is recovered.
    """

    sentences: str
    whole: float
    parts: tuple[float, ...]
    named: float


@dataclass(frozen=True, slots=True)
class TextsResult:
    """All kinds of sentences.

    Attributes:
        count: Sentences per kind.
        rows: The kinds.
    """

    count: int
    rows: tuple[UnderstoodRow, ...]

    def tables(self) -> Sequence[Table]:
        """Return one row per kind, in per cent."""
        head = ("sentences", "whole wish", "without strengths", *_PARTS)
        rows = tuple(_cells(row) for row in self.rows)
        return [Table(f"Wishes recovered, % of {self.count} sentences", head, rows, digits=1)]


def _cells(row: UnderstoodRow) -> tuple[Cell, ...]:
    shares: list[Cell] = [100 * share for share in (row.whole, row.named, *row.parts)]
    return (row.sentences, *shares)


@dataclass(frozen=True, kw_only=True)
class TextsBench(BenchCommand):
    """Write sentences for random wishes, read them, and compare.

    In phrasings of the training, in those held out from it, and in these with their words in any
    order: what is left then is what single words say.
    """

    weights: Annotated[Path, tyro.conf.arg(metavar="FILE")] = SHIPPED
    """Weights of the encoder."""
    sentences: int = 1000
    """Sentences of each kind."""

    def measure(self) -> TextsResult:
        """Read all sentences."""
        if self.sentences < 1:
            raise UsageError(f"--sentences {self.sentences}: must be at least 1")
        network = load_text(self.weights).eval()
        trained = check_sentences(self.sentences, held_out=False)
        held_out = check_sentences(self.sentences, held_out=True)
        rng = np.random.default_rng(0)
        shuffled = [
            (" ".join(rng.permutation(split_words(text)).tolist()), wish) for text, wish in held_out
        ]
        kinds = {
            "phrasings of the training": trained,
            "phrasings held out": held_out,
            "held out, words in any order": shuffled,
        }
        rows = tuple(_understood(name, network, pairs) for name, pairs in kinds.items())
        return TextsResult(self.sentences, rows)


def _understood(
    name: str, network: WishNetwork, pairs: Sequence[tuple[str, Wish]]
) -> UnderstoodRow:
    found = read_wishes(network, [text for text, _ in pairs])
    both = [(wish, said) for wish, (_, said) in zip(found, pairs, strict=True)]
    return UnderstoodRow(
        name,
        float(np.mean([wish == said for wish, said in both])),
        tuple(
            float(np.mean([getattr(wish, part) == getattr(said, part) for wish, said in both]))
            for part in _PARTS
        ),
        float(np.mean([_names(wish) == _names(said) for wish, said in both])),
    )


def _names(wish: Wish) -> tuple[object, ...]:
    return (wish.remove.keys(), wish.keep, wish.targets.keys(), wish.styles.keys(), wish.task)
