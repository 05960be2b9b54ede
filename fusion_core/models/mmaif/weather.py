"""What frozen experts of MdaIF see of a picture without the weather in front of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.foundation import FoundationKind
from fusion_core.models.checkpoint import load_weights
from fusion_core.models.cues import Cues
from fusion_core.models.mdaif import SMALL, MdaIF
from fusion_core.models.mmaif.windows import guided_line

_NAME: Final = "mdaif"
_CONFIG: Final = replace(SMALL, medians=())
PRIOR: Final = _CONFIG.prior
"""Width of the prior's tokens that the experts read."""
_SHIPPED: Final = Path(__file__).parents[1] / "weights" / "mmaif-weather.safetensors"
SIGNS: Final = _CONFIG.prototypes * (len(_CONFIG.widths) + 1) + 2 + PRIOR
"""Numbers that speak for weather."""
_LOUD: Final = 10.0
COARSE: Final = 4
"""The line is found on every fourth pixel."""
RADIUS: Final = 3
"""Its surroundings there."""
_FLAT: Final = 1e-3


def _load(weights: str, dtype: torch.dtype) -> MdaIF:
    network = MdaIF(_NAME, _CONFIG)
    load_weights(network, weights)
    # The pictures come to its convolutions in this layout.
    return network.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


WEATHER: Final = FoundationKind(f"experts {_NAME!r}", _load, str(_SHIPPED), "the package's weights")


class Weather(NamedTuple):
    """What the experts see of ``B`` pictures.

    Attributes:
        clear: ``Bx1xHxW`` luma as they restore it.
        line: ``Bx2xH/4xW/4``: slope and offset by which the picture's luma tells the restored one.
        signs: ``BxSIGNS``, what speaks for weather in the whole pictures: how active the experts'
            prototypes of haze, rain and snow are at every scale, how much the luma changes, and the
            mean of the scene prior's tokens of the visible picture, zero without a prior.
    """

    clear: Tensor
    line: Tensor
    signs: Tensor

    def cut(self, top: int, left: int, edge: int) -> Weather:
        """Return it for a square of the pictures; all are multiples of 4."""
        rows, columns = (slice(at // 4, (at + edge) // 4) for at in (top, left))
        return Weather(
            self.clear[..., top : top + edge, left : left + edge],
            self.line[..., rows, columns],
            self.signs,
        )


@torch.no_grad()
def see_through(experts: MdaIF, planes: Tensor, thermal: Tensor, tokens: Tensor | None) -> Weather:
    """Look through the weather.

    Args:
        experts: The network whose experts restore.
        planes: ``Bx3xHxW`` luma, Cb and Cr in [0, 1], multiples of 32 high and wide.
        thermal: ``Bx1xHxW`` in [0, 1], of the same view by another camera.
        tokens: ``BxSxC`` of the scene prior; None: nothing is known of the scene.
    """
    luma = planes[:, :1]
    made = experts.restore(thermal, luma, Cues(chroma=planes[:, 1:], tokens=tokens))
    clear = made.visible.float().clamp(0, 1)
    few = [F.avg_pool2d(part, COARSE) for part in (luma, clear)]
    line = guided_line(few[0], few[1], RADIUS, _FLAT)
    change = (clear - luma).abs().mean((2, 3)), line[:, :1].mean((2, 3)) - 1
    known = luma.new_zeros(len(luma), PRIOR) if tokens is None else _of_visible(tokens)
    active = made.activations.float().flatten(1)
    signs = torch.cat((active, _LOUD * change[0], change[1], known.expand(len(luma), -1)), 1)
    return Weather(clear, line, signs)


def _of_visible(tokens: Tensor) -> Tensor:
    """Return the mean ``BxC`` of the first half of a prior's tokens: the visible picture's."""
    return tokens[:, : max(1, tokens.shape[1] // 2)].float().mean(1)
