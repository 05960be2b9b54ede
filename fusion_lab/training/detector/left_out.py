"""Detectors that have not learnt from one place each, for cross-validation place by place.

To train the whole network again for every place takes hours. Here only what decides is learnt anew:
the heads begin as those of YOLOX-Nano, which saw none of the places, and learn from the features
that the trained network's neck computes, once, of crops of all places. Backbones, mixing and neck
stay as they are: they learnt from all of its training places, the left-out one among them. What a
place scores is so between a detector that never saw it and one that did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fusion_lab.data import Example, Needs, read_examples
from fusion_lab.training.detector.assign import Objects
from fusion_lab.training.detector.crops import Sampling, degrade_cameras, draw_picture, to_objects
from fusion_lab.training.detector.loss import pair_loss
from fusion_lab.training.detector.network import PairNano
from fusion_lab.training.detector.pool import DetectionPool
from fusion_lab.training.detector.pretrained import load_initial, with_weights

ALL: Final = "all"
"""Name of the detector that leaves no place out, to tell what leaving out costs."""


@dataclass(frozen=True, kw_only=True)
class LeftOutRecipe:
    """How the heads are trained.

    Attributes:
        crops: Crops of each place; of those that are never left out four times as many.
        shared_steps: Steps on what is never left out, which all detectors begin with.
        steps: Steps of each detector after those.
        batch: Crops per step.
        learning_rate: Of the shared steps; it falls to nothing over the others.
        seed: Of crops and batches.
    """

    crops: int = 50
    shared_steps: int = 60
    steps: int = 40
    batch: int = 8
    learning_rate: float = 5e-4
    seed: int = 0


class _Crop(NamedTuple):
    """What one crop teaches: the neck's features of both views, and the labels of each."""

    features: list[Tensor]
    objects: Objects
    people: Objects


def train_left_out(
    places: Mapping[str, Sequence[Path]],
    always: Sequence[Path],
    init: Path,
    heads: Path,
    out: Path,
    *,
    recipe: LeftOutRecipe | None = None,
) -> list[Path]:
    """Write ``NAME.onnx`` for every place, and ``all.onnx``; return their paths.

    Args:
        places: Name -> labelled recordings of the place.
        always: Labelled pairs that every detector learns from.
        init: ``pair-nano.onnx``, whose features are used.
        heads: ``yolox_nano.onnx``, whose heads all begin with.
        out: Folder to write to.
        recipe: How to train; the default one when None.

    Raises:
        SourceError: A folder holds no labelled pair.
        WeightsError: A file of weights is of another network.
    """
    recipe = recipe or LeftOutRecipe()
    model = PairNano()
    model.load_state_dict(load_initial(init), strict=False)
    model.load_state_dict(_heads(load_initial(heads)), strict=False)
    model.requires_grad_(requires_grad=False)
    shared = list(_crops(model, read_examples(always, needs=_LABELLED), 4 * recipe.crops, recipe))
    crops = {
        name: list(_crops(model, read_examples(folders, needs=_LABELLED), recipe.crops, recipe))
        for name, folders in places.items()
    }
    _train(model, shared, recipe.shared_steps, recipe, falling=False)
    begun = {name: tensor.clone() for name, tensor in _heads(model.state_dict()).items()}
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name in (ALL, *crops):
        model.load_state_dict(begun, strict=False)
        seen = [crop for place, own in crops.items() if place != name for crop in own]
        _train(model, shared + seen, recipe.steps, recipe, falling=True)
        written.append(with_weights(init, _heads(model.state_dict()), out / f"{name}.onnx"))
    return written


_LABELLED: Final = Needs(labels=True, mask=True)


def _heads(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if name.startswith("heads.")}


@torch.no_grad()
def _crops(
    model: PairNano, pairs: Sequence[Example], count: int, recipe: LeftOutRecipe
) -> Iterator[_Crop]:
    """Iterate over crops of some pairs; neither mosaics nor frozen cameras mix places."""
    pool, sampling = DetectionPool(pairs), replace(Sampling(), mosaic=0.0)
    for number in range(count):
        rng = np.random.default_rng((recipe.seed, number))
        picture, labels = draw_picture(pool, sampling, rng)
        planes, both, thermal = degrade_cameras(picture, labels, pool, sampling, rng)
        image = torch.from_numpy(planes.transpose(2, 0, 1)[None].copy())
        features = [scale.half() for scale in model.necked(image)]
        yield _Crop(features, to_objects(both), to_objects(thermal.people()))


def _train(
    model: PairNano, crops: Sequence[_Crop], steps: int, recipe: LeftOutRecipe, *, falling: bool
) -> None:
    """Train the heads."""
    rng = np.random.default_rng(recipe.seed)
    weights = list(model.heads.requires_grad_().parameters())
    optimiser = torch.optim.AdamW(weights, recipe.learning_rate, weight_decay=0.03)
    for step in range(steps):
        rate = 1 - step / steps if falling else min(1.0, (step + 1) / 10)
        for group in optimiser.param_groups:
            group["lr"] = rate * recipe.learning_rate
        batch = [crops[int(pick)] for pick in rng.integers(len(crops), size=recipe.batch)]
        scales = zip(*(crop.features for crop in batch), strict=True)
        # Each crop's features are of two views: all of both cameras first, then all of thermal.
        views = [torch.stack(scale, 1).flatten(0, 1).float() for scale in scales]
        found = model.predict(model.headed(views))
        cost = pair_loss(found, [c.objects for c in batch], [c.people for c in batch])["total"]
        optimiser.zero_grad()
        cost.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(weights, 10.0)
        optimiser.step()
    model.requires_grad_(requires_grad=False)
