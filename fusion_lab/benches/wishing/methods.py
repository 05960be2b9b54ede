"""Ways to fuse a degraded set that are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from fusion_core.engine import Engine
from fusion_core.models import Fuser, load_model
from fusion_core.priors import assess_pair
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_core.sentences import DEGRADATIONS, PLAIN, Wish, sentence_for_prior, write_sentence
from fusion_core.types import AlignedPair, ScenePrior, UInt8Image
from fusion_lab.benches.wishing.cases import TEACHER, WishingCase
from fusion_lab.benches.wishing.classical import restore
from fusion_lab.data import FusionTask, aligned_pair
from fusion_lab.evaluation.baselines import fuse_mean

Method = Callable[[WishingCase], UInt8Image]
BEST: Final[Mapping[FusionTask, str]] = {"vif": TEACHER, "mef": "tcmoa", "mff": "tcmoa"}
"""Network of each task that the cascade ends with: the target's own one, where there is one."""


def compared_methods(model: Fuser, task: FusionTask) -> dict[str, Method]:
    """Return the methods of a task by name.

    Args:
        model: An MMAIF network.
        task: The task.
    """
    best = Engine(load_model(BEST[task]), None)
    followed = Engine(model, None)

    def said(case: WishingCase, sentence: str) -> UInt8Image:
        return followed.fuse_pictures(case.pictures, task, text=sentence, prior=prior_of(case))

    methods: dict[str, Method] = {
        f"{model.name}, right sentence": follower(model),
        f"{model.name}, phrasing held out": lambda case: said(
            case, sentence_of(case, held_out=True)
        ),
        f"{model.name}, nothing said": lambda case: said(case, ""),
        f"{model.name}, wrong sentence": lambda case: said(case, wrong_sentence(case)),
        f"restored, then {BEST[task]}": lambda case: _plainly(best, task, restored(case)),
        BEST[task]: lambda case: _plainly(best, task, case.pictures),
        "mean of the pictures": lambda case: fuse_mean(*case.pictures),
    }
    if task == "vif":
        restoring = Engine(load_model("mdaif"), None)
        methods[f"{model.name}, what the prior says"] = lambda case: said(
            case, sentence_for_prior(_assessed(case).visible)
        )
        methods["mdaif"] = lambda case: restoring.fuse(as_pair(case), _assessed(case)).image
    return methods


def follower(model: Fuser) -> Method:
    """Return what lets a network fuse a case with the right sentence."""
    engine = Engine(model, None)
    return lambda case: engine.fuse_pictures(
        case.pictures, case.task, text=sentence_of(case), prior=prior_of(case)
    )


def prior_of(case: WishingCase) -> ScenePrior | None:
    """Return what the embedded prior finds, which a network has beside any text; of pairs only."""
    return _assessed(case) if case.task == "vif" else None


def _assessed(case: WishingCase) -> ScenePrior:
    return assess_pair(EmbeddedProvider(), as_pair(case))


def sentence_of(case: WishingCase, *, held_out: bool = False) -> str:
    """Return a sentence that asks for what degrades to be removed."""
    return write_sentence(case.wish, np.random.default_rng(case.seed), held_out=held_out)


def wrong_sentence(case: WishingCase) -> str:
    """Return a sentence that asks for something to be removed that is not there."""
    rng = np.random.default_rng(case.seed)
    others = [kind for kind in DEGRADATIONS if kind not in {*case.kinds[0], *case.kinds[1]}]
    return write_sentence(Wish({str(rng.choice(others)): PLAIN}), rng)


def restored(case: WishingCase) -> tuple[UInt8Image, UInt8Image]:
    """Return the pictures of a case, each treated by the classical rules for what degrades it."""
    if case.task != "vif":
        first, second = (restore(picture, case.kinds[0]) for picture in case.pictures)
        return first, second
    thermal = restore(np.ascontiguousarray(case.pictures[1][..., 0]), case.kinds[1])
    return restore(case.pictures[0], case.kinds[0]), np.repeat(thermal[..., None], 3, 2)


def as_pair(case: WishingCase) -> AlignedPair:
    """Return a visible and thermal case as the pipeline would hand it on."""
    return aligned_pair(case.pictures[0], np.ascontiguousarray(case.pictures[1][..., 0]))


def _plainly(
    engine: Engine, task: FusionTask, pictures: tuple[UInt8Image, UInt8Image]
) -> UInt8Image:
    return engine.fuse_pictures(pictures, task)
