"""Images whose size does not fit a network's grid."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class PadToMultiple(nn.Module):
    """Pad height and width to a multiple, on the right and bottom only.

    The border is mirrored, and repeated where the image is too small to be mirrored.

    Args:
        multiple: Height and width of the result are multiples of this.
    """

    def __init__(self, multiple: int) -> None:
        super().__init__()
        self.multiple = multiple

    def forward(self, x: Tensor) -> Tensor:
        """Return ``BxCxHxW`` padded; the first ``HxW`` pixels are the input's."""
        height, width = x.shape[-2:]
        bottom, right = -height % self.multiple, -width % self.multiple
        if not bottom and not right:
            return x
        mode = "reflect" if bottom < height and right < width else "replicate"
        return F.pad(x, (0, right, 0, bottom), mode=mode)
