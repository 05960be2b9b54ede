"""Which images of two folders show the same moment, by their names."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from fusion_core.errors import SourceError
from fusion_core.source.image_files import natural_key

_log = logging.getLogger(__name__)
# What cameras and data sets write into names to tell the streams apart.
# fmt: off
_STREAM_WORDS: Final = frozenset({
    "rgb", "vis", "visible", "visual", "vi", "v", "color", "colour", "eo", "w", "wide", "z",
    "zoom", "ir", "i", "infrared", "thermal", "therm", "th", "t", "tir", "lwir", "flir",
    "radiometric", "image", "img",
})
# fmt: on
_SUBSET: Final = 10  # a slower camera has at most this share, one tenth, of images of its own
_TOKEN: Final = re.compile(r"[0-9]+|[^\W\d_]+")

_Key = tuple[int | str, ...]
_KeyMaker = Callable[[Sequence[str]], "list[str] | None"]


@dataclass(frozen=True, slots=True)
class PairingSlot:
    """Where an image stands in the common order of two folders.

    Attributes:
        index: Position; images of one moment share it.
        alone: The other folder lacks its partner, and it is not to be fused with another one's.
    """

    index: int
    alone: bool = False


def places_by_name(
    first: Sequence[str], second: Sequence[str]
) -> tuple[list[PairingSlot], list[PairingSlot]]:
    """Return the place of every image in the common order of two folders.

    Images of equal names share a place, or those whose names are equal without the words that name
    the stream, or in the part or the number that changes from image to image: whichever of these
    pairs most images. Images without a partner stand alone, unless one folder holds at most every
    second image of the other: then its camera was slower. Where nothing matches, folders of equal
    length pair by position, with a warning.

    Args:
        first: Names in the first folder, in natural order.
        second: Names in the second folder.

    Raises:
        SourceError: Nothing matches, and the numbers of images differ.
    """
    best: tuple[list[_Key], list[_Key]] | None = None
    common: set[_Key] = set()
    for maker in (list, _without_stream_words, _changing_part, _changing_numbers, _last_number):
        keys = _keys(maker, first), _keys(maker, second)
        if keys[0] is None or keys[1] is None:
            continue
        shared = set(keys[0]) & set(keys[1])
        if len(shared) > len(common):
            best, common = (keys[0], keys[1]), shared
    if best is None:
        return _by_position(first, second)
    fewer, more = sorted((len(first) - len(common), len(second) - len(common)))
    without = fewer + more
    slower = more >= len(common) >= _SUBSET * fewer
    if without:
        named = zip([*first, *second], [*best[0], *best[1]], strict=True)
        _log.warning(
            "%d of %d images have no partner of their name in the other folder (such as %s): %s; "
            "check that both folders are of one recording",
            without,
            len(first) + len(second),
            next(name for name, key in named if key not in common),
            "one camera is taken for slower" if slower else "they are left out",
        )
    order = {key: index for index, key in enumerate(sorted(set(best[0]) | set(best[1])))}
    places = [
        [PairingSlot(order[key], alone=not slower and key not in common) for key in keys]
        for keys in best
    ]
    return places[0], places[1]


def _by_position(
    first: Sequence[str], second: Sequence[str]
) -> tuple[list[PairingSlot], list[PairingSlot]]:
    if len(first) != len(second):
        raise SourceError(
            f"the names of {len(first)} visible and {len(second)} thermal images share no part or "
            f"number ({first[0]}, {second[0]}), so they cannot be paired: give both images of a "
            "moment the same name, or name them by time"
        )
    if len(first) > 1:
        _log.warning(
            "the names of the images share no part or number (%s, %s): paired by position; give "
            "both images of a moment the same name",
            first[0],
            second[0],
        )
    places = [PairingSlot(index) for index in range(len(first))]
    return places, places


def _keys(maker: _KeyMaker, names: Sequence[str]) -> list[_Key] | None:
    """Return comparable keys of names, None unless each has its own."""
    parts = maker(names)
    if parts is None:
        return None
    keys = [tuple(natural_key(part)) for part in parts]
    return keys if len(set(keys)) == len(keys) else None


def _tokens(name: str) -> list[str]:
    return _TOKEN.findall(name.lower())


def _without_stream_words(names: Sequence[str]) -> list[str] | None:
    return ["_".join(t for t in _tokens(name) if t not in _STREAM_WORDS) for name in names]


def _changing(names: Sequence[str]) -> list[list[str]] | None:
    """Return the parts of names that are not equal in all; None when their forms differ."""
    tokens = [_tokens(name) for name in names]
    if len(tokens) < 2 or len({len(parts) for parts in tokens}) > 1:
        return None
    changing = [
        place for place, parts in enumerate(zip(*tokens, strict=True)) if len(set(parts)) > 1
    ]
    return [[parts[place] for place in changing] for parts in tokens]


def _changing_part(names: Sequence[str]) -> list[str] | None:
    changing = _changing(names)
    return None if changing is None else ["_".join(parts) for parts in changing]


def _changing_numbers(names: Sequence[str]) -> list[str] | None:
    changing = _changing(names)
    if changing is None:
        return None
    numbers = [[part for part in parts if part.isdecimal()] for parts in changing]
    return ["_".join(parts) for parts in numbers] if all(numbers) else None


def _last_number(names: Sequence[str]) -> list[str] | None:
    numbers = [re.findall(r"[0-9]+", name) for name in names]
    return [parts[-1] for parts in numbers] if all(numbers) else None
