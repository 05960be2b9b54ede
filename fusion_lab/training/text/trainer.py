"""Training of the text encoder: write a sentence for a wish, and recover the wish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models.mmaif.text.network import TextConfig, WishNetwork
from fusion_core.models.mmaif.text.weights import load_text, save_text
from fusion_core.sentences import UNKNOWN, Wish, known_words, split_words
from fusion_lab.training.cosine import CosineTrainer
from fusion_lab.training.loop import Place
from fusion_lab.training.text.recipe import TextRecipe
from fusion_lab.training.text.sampling import draw_sentence

_CHECK: Final = 2**31  # a seed that no step has: validations see the same sentences every time
_CHUNK: Final = 100
_TOGETHER: Final = 16  # sentences that a step reads at once


class TextTrainer(CosineTrainer[TextRecipe, WishNetwork]):
    """One run. Every step has new sentences, so nothing but phrasings needs to be held out.

    Args:
        recipe: What to do.
        place: Where and how.
        resume: Continue from the checkpoint in ``place.out``.

    Raises:
        UsageError: The folder holds a run already, or the recipe to resume has changed.
        WeightsError: The checkpoint to resume is missing, torn or foreign.
    """

    def __init__(self, recipe: TextRecipe, place: Place, *, resume: bool = False) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(place.seed)
            network = WishNetwork(TextConfig(known_words()))
        super().__init__(recipe, network, place, resume=resume)

    def _begin(self) -> None:
        if self.recipe.init:
            self.model.load_state_dict(load_text(self.recipe.init).state_dict())

    def _losses(self) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.place.seed, self.step))
        sentences, wishes = [], []
        for _ in range(self.recipe.batch):
            text, wish = draw_sentence(rng)
            words = split_words(text)
            if rng.random() < self.recipe.unknown:
                words.insert(int(rng.integers(len(words) + 1)), UNKNOWN)
            sentences.append(words)
            wishes.append(wish.vector())
        wished = torch.from_numpy(np.stack(wishes)).to(self.place.device)
        logits = self._logits(sentences)
        loss = F.binary_cross_entropy_with_logits(logits, wished, reduction="none")
        # What binary entropy leaves of a strength between 0 and 1 teaches nothing.
        least = F.binary_cross_entropy(wished, wished, reduction="none")
        return {"total": (loss - least).sum(1).mean()}

    def _logits(self, sentences: Sequence[Sequence[str]]) -> Tensor:
        """Return ``BxW`` logits; sentences of like length are read together, with less padding."""
        order = sorted(range(len(sentences)), key=lambda index: len(sentences[index]))
        parts = []
        for start in range(0, len(order), _TOGETHER):
            chosen = [sentences[index] for index in order[start : start + _TOGETHER]]
            with self._autocast():
                parts.append(self.model(self.model.indices(chosen))[1].float())
        return torch.cat(parts)[torch.tensor(order, device=parts[0].device).argsort()]

    def _write(self, scalars: Mapping[str, Any]) -> None:
        save_text(self.average, self.finish(), scalars)

    def _validate(self, sheet: Path) -> dict[str, float]:
        """Return how many wishes are recovered; write the sentences that are misread."""
        misread: list[str] = []
        terms = {}
        for name, held_out in (("trained", False), ("held_out", True)):
            pairs = check_sentences(self.recipe.checked, held_out=held_out)
            found = read_wishes(self.average, [text for text, _ in pairs])
            right = [wish == said for wish, (_, said) in zip(found, pairs, strict=True)]
            terms[f"{name}_recovered"] = float(np.mean(right))
            misread += [
                f"{name}: {text}\n  said: {said}\n  read: {wish}"
                for (text, said), wish, good in zip(pairs, found, right, strict=True)
                if not good
            ]
        sheet.parent.mkdir(parents=True, exist_ok=True)
        sheet.with_suffix(".txt").write_text("\n".join(misread) + "\n")
        return terms


def check_sentences(count: int, *, held_out: bool) -> list[tuple[str, Wish]]:
    """Return sentences that are always the same, with what they wish for.

    Args:
        count: Number of sentences.
        held_out: In phrasings that no training uses.
    """
    rng = np.random.default_rng((_CHECK, int(held_out)))
    return [draw_sentence(rng, held_out=held_out) for _ in range(count)]


@torch.no_grad()
def read_wishes(network: WishNetwork, texts: Sequence[str]) -> list[Wish]:
    """Return what an encoder reads in sentences."""
    found = []
    for start in range(0, len(texts), _CHUNK):
        words = [split_words(text) for text in texts[start : start + _CHUNK]]
        logits = network(network.indices(words))[1]
        found += [Wish.from_vector(row) for row in logits.sigmoid().float().cpu().numpy()]
    return found
