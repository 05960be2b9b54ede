"""The network that joins a restored visible picture with a restored thermal one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from fusion_core.foundation import FoundationKind
from fusion_core.models.checkpoint import load_weights
from fusion_core.models.cues import Cues
from fusion_core.models.luma import LumaFuser
from fusion_core.models.m2pn import M2PN, M2PNConfig

_NAME: Final = "m2pn-edge"
_CONFIG: Final = M2PNConfig(growth=8, layers=3, width=16, tail=(16,), dim=64, down=2, levels=1)
_SHIPPED: Final = Path(__file__).parents[1] / "weights" / "mmaif-joiner.safetensors"


def _load(weights: str, dtype: torch.dtype) -> M2PN:
    network = M2PN(_NAME, _CONFIG)
    load_weights(network, weights)
    return network.to(dtype)


JOINER: Final = FoundationKind(f"fusion {_NAME!r}", _load, str(_SHIPPED), "the package's weights")


def join(network: LumaFuser, planes: Tensor, thermal: Tensor) -> Tensor:
    """Return ``Bx3xHxW`` luma, Cb and Cr of a pair: the network's luma, the first one's colours.

    Args:
        network: It fuses luma.
        planes: ``Bx3xHxW`` luma, Cb and Cr of the visible picture.
        thermal: ``Bx1xHxW``.
    """
    visible, hot = (part.float().clamp(0, 1).contiguous() for part in (planes[:, :1], thermal))
    luma = network.forward_luma(hot, visible, Cues()).fused.float()
    return torch.cat((luma, planes[:, 1:]), 1)
