"""The one place that compares what a network is given with what it takes."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from fusion_core.errors import UsageError
from fusion_core.models.cues import Cues, TextCue
from fusion_core.models.features import Features


def check_pictures(name: str, channels: int, **pictures: Tensor) -> None:
    """Refuse pictures that are not of one shape ``BxCxHxW``.

    Args:
        name: Name of the network.
        channels: Channels ``C`` of every picture.
        pictures: Name -> picture.

    Raises:
        UsageError: The shapes do not fit together.
    """
    shapes = {tuple(picture.shape) for picture in pictures.values()}
    (shape, *others) = shapes
    if others or len(shape) != 4 or shape[1] != channels:
        given = " and ".join(f"{key} {tuple(value.shape)}" for key, value in pictures.items())
        raise UsageError(
            f"{name}: {given}: expected equal shapes (batch, {channels}, height, width)"
        )


def complete_cues(name: str, features: Features, picture: Tensor, cues: Cues, bank: Tensor) -> Cues:
    """Return the cues as a network gets them: complete, checked, and without what it does not use.

    Args:
        name: Name of the network.
        features: What it takes.
        picture: One of the pictures, ``BxCxHxW``.
        cues: What is given.
        bank: ``NxD`` trained slots, which stand in where no memory is given.

    Raises:
        UsageError: The task is not one of the network's, a cue that it needs is missing, or one
            has the wrong shape or range.
    """
    if cues.task not in features.tasks:
        raise UsageError(
            f"{name}: task {cues.task!r} is none of its tasks ({', '.join(features.tasks)}); "
            "choose another model"
        )
    complete = replace(
        cues,
        chroma=cues.chroma if features.uses_chroma else None,
        tokens=cues.tokens if features.uses_prior else None,
        mask=cues.mask if features.uses_mask else None,
        text=cues.text if features.uses_text else None,
        edit=cues.edit if features.uses_edit else None,
        stream=cues.stream if features.uses_stream else None,
        memory=cues.memory if features.uses_memory and cues.memory is not None else bank,
    )
    given = {
        "prior": complete.tokens,
        "mask": complete.mask,
        "text": complete.text,
        "edit": complete.edit,
    }
    for need in sorted(features.needs):
        if given[need] is None:
            raise UsageError(f"{name}: needs a cue {need!r}, and none was given; give one")
    _check_shapes(name, features, picture, complete, bank.shape[1])
    return complete


def _check_shapes(name: str, features: Features, picture: Tensor, cues: Cues, dim: int) -> None:
    batch, _, height, width = picture.shape
    if cues.chroma is not None:
        _check_shape(name, "chroma", cues.chroma, (batch, 2, height, width))
    if cues.mask is not None:
        _check_shape(name, "mask", cues.mask, (batch, 1, height, width))
        low, high = (float(edge) for edge in cues.mask.aminmax())
        if not (low >= 0 and high <= 1):
            raise UsageError(f"{name}: mask from {low:g} to {high:g}: expected values in [0, 1]")
    if cues.tokens is not None:
        _check_tokens(name, "prior", cues.tokens, batch)
        found, expected = cues.tokens.shape[-1], features.prior_width
        if expected is not None and found != expected:
            raise UsageError(
                f"{name}: prior tokens of width {found}, made for {expected}; use the prior it was "
                "trained with, or train it with this one"
            )
    if cues.text is not None:
        _check_text(name, cues.text, batch)
    if cues.edit is not None and (unknown := sorted(cues.edit.task_mix.keys() - {*features.tasks})):
        raise UsageError(
            f"{name}: prompt edit mixes task {unknown[0]!r}, its tasks are "
            f"{', '.join(features.tasks)}"
        )
    if cues.memory is not None:
        *banks, _, width = (1, *cues.memory.shape)
        if banks not in ([1], [1, batch]) or width != dim:
            raise UsageError(
                f"{name}: memory slots {tuple(cues.memory.shape)}: expected (slots, {dim}), or "
                f"({batch}, slots, {dim})"
            )


def _check_shape(name: str, cue: str, found: Tensor, expected: tuple[int, ...]) -> None:
    if tuple(found.shape) != expected:
        raise UsageError(
            f"{name}: {cue} {tuple(found.shape)}: expected {expected}, the pictures' batch, height "
            "and width"
        )


def _check_tokens(name: str, cue: str, tokens: Tensor, batch: int) -> None:
    if tokens.ndim != 3 or tokens.shape[0] != batch:
        raise UsageError(
            f"{name}: {cue} tokens {tuple(tokens.shape)}: expected ({batch}, tokens, width)"
        )


def _check_text(name: str, text: TextCue, batch: int) -> None:
    _check_tokens(name, "text", text.tokens, batch)
    if text.mask.shape != text.tokens.shape[:2]:
        raise UsageError(
            f"{name}: text mask {tuple(text.mask.shape)} for tokens {tuple(text.tokens.shape)}: "
            "expected their batch and number"
        )
