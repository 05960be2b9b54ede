"""Fusion networks of a line each, which give colour and use every kind of cue."""

from dataclasses import dataclass

import torch

from fusion_core.models import Features, Fuser, FuserOutput, TextCue


@dataclass(frozen=True)
class NoArchitecture:
    pass


class Weighted(Fuser):
    """``first + share (second - first)`` with a share that every cue moves.

    Its scene vector is the mean colour of the result, and a text is one token of its length.
    """

    features = Features(
        tasks=("vif", "mef", "mff"),
        uses_prior=True,
        prior_width=3,
        uses_text=True,
        uses_mask=True,
        uses_edit=True,
        uses_memory=True,
        max_pictures=4,
    )

    def __init__(self, features=None, name="weighted"):
        super().__init__(name, NoArchitecture(), torch.zeros(4, 3))
        self.features = features or self.features
        self.seen = []
        self.encoded = []

    def encode_text(self, text):
        if not self.features.uses_text:
            return super().encode_text(text)
        self.encoded.append(text)
        tokens = torch.full((1, 1, 2), len(text) / 100)
        return TextCue(tokens, torch.ones(1, 1, dtype=torch.bool))

    def fuse(self, first, second, cues):
        self.seen.append(cues)
        share = torch.full_like(first[:, :1], 0.5)
        if cues.tokens is not None:
            share = share + cues.tokens.mean()
        if cues.mask is not None:
            share = share + 0.25 * cues.mask
        if cues.text is not None:
            share = share + cues.text.tokens[cues.text.mask].mean()
        if cues.edit is not None:
            share = 0.5 + cues.edit.alpha * (share - 0.5) - cues.edit.beta
        if cues.generator is not None:
            share = share + 0.01 * torch.rand(share.shape, generator=cues.generator)
        share = share + cues.memory.mean()
        image = torch.lerp(first, second, share).clamp(0, 1)
        query = image.mean((2, 3)) if self.features.uses_memory else None
        return FuserOutput(image, memory_query=query)


class Plain(Fuser):
    """The mean of both pictures; uses nothing."""

    features = Features()

    def __init__(self, tasks=("vif",), name="plain"):
        super().__init__(name, NoArchitecture())
        self.features = Features(tasks=tasks)
        self.weight = torch.nn.Parameter(torch.tensor(0.5))

    def fuse(self, first, second, cues):
        return FuserOutput(torch.lerp(first, second, self.weight.to(first.dtype)))
