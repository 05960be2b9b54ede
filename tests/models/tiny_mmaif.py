"""MMAIF with a codec and a text encoder of a line each."""

import dataclasses

import torch
from torch import nn
from torch.nn import functional as F

from fusion_core.models import TextCue
from fusion_core.models.mmaif import MMAIF, MMAIFConfig
from fusion_core.sentences import PLAIN, WISH_SIZE, Wish

CONFIG = MMAIFConfig(
    channels=4,
    text=WISH_SIZE,
    reduce=1,
    patch=2,
    width=32,
    depth=2,
    heads=2,
    hidden=16,
    rank=4,
    positions=4,
    refine=(8, 8, 16),
)


class Blocks(nn.Module):
    """The mean of every 8x8 block, and four channels of it."""

    channels, factor = 4, 8

    def encode(self, pictures):
        mean = F.avg_pool2d(pictures, 8)
        return torch.cat((mean, mean[:, :1]), 1) - 0.5

    def decode(self, latents, size=None):
        return F.interpolate(latents[:, :3] + 0.5, size, scale_factor=None if size else 8)


class Letters(nn.Module):
    """Tokens that depend on the letters of each word; the first on all of them."""

    dim = WISH_SIZE

    def encode(self, texts):
        (text,) = texts
        words = [text, *text.split()]
        tokens = [
            [(ord(word[i % len(word)]) % 13) / 13 for i in range(WISH_SIZE)] for word in words
        ]
        return TextCue(torch.tensor([tokens]), torch.ones(1, len(words), dtype=torch.bool))

    def wish(self, text):
        return Wish(targets={"people": PLAIN} if "people" in text else {})


def network(seed=0, *, taught=False, **changes):
    """Return a network; a taught one has all its layers at work."""
    torch.manual_seed(seed)
    built = MMAIF("mmaif", dataclasses.replace(CONFIG, **changes), Blocks(), Letters()).eval()
    if taught:
        with torch.no_grad():
            for parameter in built.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return built


def pictures(number=2, batch=1, height=48, width=80, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(batch, 3, height, width, generator=generator) for _ in range(number)]
