"""Pairs, priors and memory states as plain values and arrays of a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import EncodingError
from fusion_core.memory.snapshot import Snapshot, snapshot_arrays, snapshot_from
from fusion_core.types import AlignedPair, FloatImage, ScenePrior, UInt8Image

Arrays = dict[str, NDArray[Any]]
_MEMORY: Final = "memory."
_CHANNELS: Final = {"visible": 3}


def pair_arrays(pair: AlignedPair, prior: ScenePrior | None, mask: FloatImage | None) -> Arrays:
    """Return what a network sees of a pair, by name; what is missing is left out."""
    given = {
        "visible": pair.visible,
        "thermal": pair.thermal,
        "valid": None if pair.valid.all() else pair.valid,
        "mask": mask,
        "tokens": None if prior is None else prior.tokens,
    }
    return {name: array for name, array in given.items() if array is not None}


def pair_from(stamp_ns: int, arrays: Mapping[str, NDArray[Any]]) -> AlignedPair:
    """Return the pair of :func:`pair_arrays`.

    Raises:
        EncodingError: An array has the wrong type or shape.
    """
    visible = checked(arrays, "visible", "uint8", 3)
    thermal = checked(arrays, "thermal", "float32", 2)
    valid = checked(arrays, "valid", "bool", 2)
    shapes = {array.shape[:2] for array in (visible, thermal, valid) if array is not None}
    if len(shapes) != 1 or 0 in next(iter(shapes)):
        raise EncodingError(f"pictures of {sorted(shapes)}: expected one size; register them first")
    shape = next(iter(shapes))
    return AlignedPair(stamp_ns, visible, thermal, np.ones(shape, bool) if valid is None else valid)


def checked(
    arrays: Mapping[str, NDArray[Any]], name: str, kind: str, dimensions: int
) -> NDArray[Any] | None:
    """Return one array, None where there is none.

    Raises:
        EncodingError: It has another type or number of dimensions.
    """
    array = arrays.get(name)
    if array is None:
        return None
    channels = _CHANNELS.get(name)
    if (
        array.dtype.name != kind
        or array.ndim != dimensions
        or (channels is not None and array.shape[-1] != channels)
    ):
        raise EncodingError(
            f"{name}: {array.dtype.name} array of shape {array.shape}; expected {kind} of "
            f"{dimensions} dimensions"
        )
    return array


def picture(arrays: Mapping[str, NDArray[Any]], name: str) -> UInt8Image:
    """Return an ``HxWx3`` uint8 array that has to be there.

    Raises:
        EncodingError: It is missing or another one.
    """
    if (image := checked(arrays, name, "uint8", 3)) is None:
        raise EncodingError(f"no array {name!r}; update the older end")
    return image


def prior_text(prior: ScenePrior | None) -> dict[str, Any] | None:
    """Return a prior's plain values; its tokens are an array."""
    if prior is None:
        return None
    return {
        "scene_id": prior.scene_id,
        "stamp_ns": prior.stamp_ns,
        "provider": prior.provider,
        "visible": dict(prior.visible),
        "thermal": dict(prior.thermal),
        "quality": prior.quality,
    }


def prior_from(
    text: Mapping[str, Any] | None, arrays: Mapping[str, NDArray[Any]]
) -> ScenePrior | None:
    """Return the prior of :func:`prior_text`.

    Raises:
        EncodingError: Values are missing or of the wrong type.
    """
    tokens = checked(arrays, "tokens", "float32", 2)
    if text is None or tokens is None:
        return None
    try:
        return ScenePrior(
            scene_id=int(text["scene_id"]),
            stamp_ns=int(text["stamp_ns"]),
            provider=str(text["provider"]),
            visible={str(key): float(value) for key, value in text["visible"].items()},
            thermal={str(key): float(value) for key, value in text["thermal"].items()},
            tokens=tokens,
            quality=float(text["quality"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EncodingError(f"prior is malformed ({error}); update the older end") from None


def memory_arrays(state: Snapshot | None) -> Arrays:
    """Return the arrays of a memory bank's state; none for None."""
    if state is None:
        return {}
    return {_MEMORY + name: array for name, array in snapshot_arrays(state).items()}


def memory_from(
    arrays: Mapping[str, NDArray[Any]], shape: tuple[int, int] | None = None
) -> Snapshot | None:
    """Return the state of a memory bank in a message, None where there is none.

    Args:
        arrays: Of the message.
        shape: Shape that the slots must have; None for any.

    Raises:
        EncodingError: It does not fit.
    """
    found = {k.removeprefix(_MEMORY): v for k, v in arrays.items() if k.startswith(_MEMORY)}
    if not found:
        return None
    slots = found.get("slots", np.zeros((0, 0)))
    if slots.ndim != 2:
        raise EncodingError(f"memory slots of shape {slots.shape}; expected two dimensions")
    # The message that they are a view of is not kept for their sake.
    copies = {name: array.copy() for name, array in found.items()}
    return snapshot_from(copies, shape or (slots.shape[0], slots.shape[1]), "memory", EncodingError)
