"""Ways around the parts of MMAIF: text, rules, weather, transformer, experts, value residual."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from fusion_core.models import Cues, load_model
from fusion_core.models.mmaif import MMAIF
from fusion_core.models.mmaif.attention import GridAttention
from fusion_core.models.mmaif.controls import Controls
from fusion_core.models.mmaif.experts import GatedExperts
from fusion_core.models.mmaif.planes import to_planes
from fusion_core.models.mmaif.transformer import Latent
from fusion_core.models.mmaif.weather import Weather
from fusion_core.priors import assess_pair
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_core.sentences import PLAIN, Wish, write_sentence
from fusion_lab.benches.mechanisms.bypass import Bypass, Made, Random, Sample, System, replaced
from fusion_lab.benches.pictures import read_pictures, resized_pair
from fusion_lab.benches.wishing.cases import FOLDERS
from fusion_lab.data import aligned_pair
from fusion_lab.training.wishing.samples import as_image, as_tensor, degraded

_SINGLE: Final = (
    ("haze", "haze and smoke"),
    ("rain", "rain and snow"),
    ("noise", "noise"),
    ("low_light", "darkness"),
    ("smoke", "haze and smoke"),
    ("snow", "rain and snow"),
    ("noise", "noise"),
    ("low_light", "darkness"),
)
"""What degrades the visible picture, in turn, and the kind of the sample."""
_TWO: Final = (
    ("haze", "noise"),
    ("rain", "low_light"),
    ("noise", "snow"),
    ("low_light", "smoke"),
    ("snow", "haze"),
    ("smoke", "rain"),
)
"""What is to be removed, and what is there as well and is to be kept, in turn."""
_EVERY_OTHER: Final = 4
"""Pairs to one that is seen with two degradations, too."""
_SIZE: Final = (320, 240)  # about that of the pictures that it was trained on
_SEVERITY = 0.7
_ABSENT = -30.0  # a sigmoid's logit of nothing


def _read(data: Path, limit: int) -> list[Sample]:
    """Read up to so many pairs with one degradation each, some of them with two as well.

    A sentence asks to remove the first. One alone is removed without being named, too; what a
    sentence is needed for is seen where the other is to be kept.
    """
    network, provider = load_model("mmaif"), EmbeddedProvider()
    pairs = [pair for folder in FOLDERS for pair in read_pictures(data / folder)]
    places = np.linspace(0, len(pairs) - 1, min(limit, len(pairs))).astype(int)
    samples = []
    for number, place in enumerate(places):
        pair = resized_pair(pairs[place], _SIZE, cv2.INTER_AREA)
        visible, thermal = pair.first, pair.second
        for removed, kept, kind in _asked(number):
            sentence = write_sentence(Wish({removed: PLAIN}), np.random.default_rng(number))
            bad = as_tensor(degraded(visible, {removed: _SEVERITY, **kept}, number))
            prior = assess_pair(provider, aligned_pair(as_image(bad), thermal))
            tokens = torch.from_numpy(prior.tokens)[None]
            cues = Cues(text=network.encode_text(sentence), tokens=tokens)
            reference = to_planes(as_tensor(degraded(visible, kept, number)))[0, 0]
            samples.append(Sample(as_tensor(thermal), bad, cues, reference, kind))
    return samples


def _asked(number: int) -> Iterator[tuple[str, dict[str, float], str]]:
    """Yield what is to be removed of a pair, severities of what is to be kept, and the kind."""
    removed, kind = _SINGLE[number % len(_SINGLE)]
    yield removed, {}, kind
    if number % _EVERY_OTHER == 0:
        removed, kept = _TWO[number // _EVERY_OTHER % len(_TWO)]
        yield removed, {kept: _SEVERITY}, "one of two"


def run(network: MMAIF, sample: Sample, cues: Cues) -> Made:
    """Fuse, and score the restored visible luma against the clean one.

    Args:
        network: The network.
        sample: Its visible picture has three channels.
        cues: What it is given.
    """
    thermal = sample.thermal.expand(-1, 3, -1, -1)
    made = network.follow((sample.visible, thermal), cues)
    restored = made.refined.sources[0, 0, 0].clamp(0, 1)
    error = (restored - sample.reference).square().mean()
    return Made(made.fused[0, 0].clamp(0, 1), float(-10 * (error.detach() + 1e-10).log10()))


def _empty(
    _module: nn.Module, inputs: tuple[list[Tensor], object, object], found: Latent
) -> Latent:
    """Return the mean of the latents, and tokens that say nothing."""
    return found._replace(
        made=torch.stack(list(inputs[0])).mean(0),
        hidden=torch.zeros_like(found.hidden),
    )


def _shut(_module: nn.Module, _inputs: object, found: Controls) -> Controls:
    """Return controls by which no rule does anything."""
    shut = [part.clone() for part in found]
    for part in shut:
        part[:, :, :-1] = _ABSENT  # the last is no opening
    return Controls(*shut)


@contextmanager
def fair_weather(network: MMAIF) -> Iterator[None]:
    """Let the network see nothing through the weather but the pictures themselves."""
    through = network.see_through

    def seen(pictures: Sequence[Tensor], cues: Cues) -> Weather:
        weather = through(pictures, cues)
        planes = [network.pad(to_planes(picture))[:, :1] for picture in pictures]
        line = torch.zeros_like(weather.line)
        line[:, 0] = 1
        clear = torch.cat(planes)[: len(weather.clear)]
        return Weather(clear, line, torch.zeros_like(weather.signs))

    try:
        network.see_through = seen  # type: ignore[method-assign]
        yield
    finally:
        del network.see_through


def _clear_air(module: nn.Module, inputs: tuple[Tensor], _found: Tensor) -> Tensor:
    """Return features as if the dark channel said that all light passes."""
    noticed = inputs[0].clone()
    noticed[:, -1] = 1
    made: Tensor = module.forward(noticed)
    return made


def _unread(_module: nn.Module, inputs: tuple[Latent, Tensor, str], found: Controls) -> Controls:
    """Return controls that follow the text alone, and ask no token."""
    latent, removed, task = inputs
    silent = latent._replace(hidden=torch.zeros_like(latent.hidden))
    told: Controls = _module.forward(silent, removed, task)
    assert told.placed.shape == found.placed.shape
    return told


@contextmanager
def routed(network: MMAIF, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Let every router see changed odds ``NxE``."""
    experts = [module for module in network.modules() if isinstance(module, GatedExperts)]
    try:
        for module in experts:
            module.route = _changed(module, change)  # type: ignore[method-assign, assignment]
        yield
    finally:
        for module in experts:
            del module.route


def _changed(
    module: GatedExperts, change: Callable[[Tensor], Tensor]
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    return lambda odds: GatedExperts.route(module, change(odds))


@contextmanager
def own_values(network: MMAIF) -> Iterator[None]:
    """Let no block see values of the block before."""
    mixes = [
        module.mix
        for module in network.modules()
        if isinstance(module, GridAttention) and module.mix is not None
    ]
    kept = [mix.detach().clone() for mix in mixes]
    try:
        for mix in mixes:
            mix.data.fill_(_ABSENT)
        yield
    finally:
        for mix, value in zip(mixes, kept, strict=True):
            mix.data.copy_(value)


def _turned(odds: Tensor) -> Tensor:
    """Return odds by which the least wanted expert is the most wanted one."""
    rank = odds.argsort(1).argsort(1)
    return odds.sort(1).values.gather(1, odds.shape[1] - 1 - rank)


def _shuffled(cues: Cues, _other: Cues, _network: MMAIF, rng: Random) -> Cues:
    """Return the text with the values of each token in another order."""
    assert cues.text is not None, "every sample has a text"
    order = torch.from_numpy(rng.permutation(cues.text.tokens.shape[-1]))
    return replace(cues, text=replace(cues.text, tokens=cues.text.tokens[..., order]))


SYSTEM = System(
    MMAIF,
    "restored visible, dB",
    _read,
    run,
    (
        Bypass("text", "none", cues=lambda cues, *_: replace(cues, text=None)),
        Bypass(
            "text",
            "another picture's",
            cues=lambda cues, other, *_: replace(cues, text=other.text),
            random=True,
        ),
        Bypass("text", "its values shuffled", cues=_shuffled, random=True),
        Bypass("rules", "shut", hold=lambda net, *_: replaced([net.controls], _shut)),
        Bypass(
            "rules", "by the text alone", hold=lambda net, *_: replaced([net.controls], _unread)
        ),
        Bypass("weather", "not seen through", hold=lambda net, *_: fair_weather(net)),
        Bypass("weather", "without the prior", cues=lambda cues, *_: replace(cues, tokens=None)),
        Bypass(
            "dark channel",
            "clear air",
            hold=lambda net, *_: replaced([net.refiner.seen], _clear_air),
        ),
        Bypass(
            "transformer",
            "mean latent, no tokens",
            hold=lambda net, *_: replaced([net.transformer], _empty),
        ),
        Bypass(
            "experts", "routed ones left out", hold=lambda net, *_: routed(net, torch.zeros_like)
        ),
        Bypass("experts", "the least wanted instead", hold=lambda net, *_: routed(net, _turned)),
        Bypass("value residual", "own values alone", hold=lambda net, *_: own_values(net)),
    ),
    mixed=True,
)
