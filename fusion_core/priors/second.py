"""A second opinion: another provider is asked as well, and what both disagree on is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from fusion_core.priors.kinds import veil_probability
from fusion_core.priors.provider import Assessment, PriorProvider
from fusion_core.types import FloatImage, UInt8Image

_LIKELY: Final = 0.6  # from where consumers of a prior act
_UNLIKELY: Final = 0.4
_VEILS: Final = ("haze", "smoke")


class SecondOpinion:
    """A provider beside which another one is asked.

    What it finds is the first one's, which networks and corrections go by, and is never averaged
    with the other's: probabilities of large providers are not calibrated. Disputed is a kind that
    one of both calls likely (0.6 or more) and the other one unlikely (0.4 or less); haze and smoke,
    which are mistaken for each other, are compared as one, the veil. Clean follows from the others.

    Args:
        first: Whose assessment is in force.
        second: Is asked as well.
    """

    def __init__(self, first: PriorProvider, second: PriorProvider) -> None:
        self.name = first.name
        self._first, self._second = first, second

    @property
    def dim(self) -> int:
        """Width of the first one's tokens."""
        return self._first.dim

    def assess(self, visible: UInt8Image | None, thermal: FloatImage | None) -> Assessment:
        """Assess one pair with both."""
        found = self._first.assess(visible, thermal)
        other = self._second.assess(visible, thermal)
        disputed = [
            f"{modality} {kind}"
            for modality, one, two in (
                ("visible", found.visible, other.visible),
                ("thermal", found.thermal, other.thermal),
            )
            for kind in _disputed(one, two)
        ]
        return replace(found, disputed=tuple(disputed))


def _disputed(one: Mapping[str, float], two: Mapping[str, float]) -> Iterator[str]:
    first, second = _with_veil(one), _with_veil(two)
    for kind, probability in first.items():
        low, high = sorted((probability, second.get(kind, probability)))
        if low <= _UNLIKELY and high >= _LIKELY:
            yield kind


def _with_veil(kinds: Mapping[str, float]) -> dict[str, float]:
    rest = {kind: score for kind, score in kinds.items() if kind not in ("clean", *_VEILS)}
    return {"veil": veil_probability(kinds), **rest} if any(v in kinds for v in _VEILS) else rest
