"""Multi-head attention from one set of tokens to another."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class CrossAttention(nn.Module):
    """Multi-head scaled dot-product attention (Vaswani et al. 2017, eq. 1 and section 3.2.2).

    Args:
        dim: Width of all tokens.
        heads: Number of heads; divides ``dim``.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        assert dim % heads == 0, f"{heads} heads do not divide width {dim}"
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, query: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        """Let ``BxTxD`` queries read ``BxSxD`` context tokens; return ``BxTxD``.

        Args:
            query: ``BxTxD``.
            context: ``BxSxD``.
            mask: ``BxS`` or ``BxTxS`` bool, True for the context tokens that may be read, by all
                queries or by each; None reads all.
        """
        q, k, v = (
            layer(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, tokens in (
                (self.query, query),
                (self.key, context),
                (self.value, context),
            )
        )
        if mask is not None:
            mask = mask[:, None, None] if mask.dim() == 2 else mask[:, None]
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: Tensor = self.out(read.transpose(1, 2).flatten(-2))
        return out
