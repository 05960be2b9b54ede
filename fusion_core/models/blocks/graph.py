"""Attention among the few nodes of a fully connected graph."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GraphAttention(nn.Module):
    """Additive multi-head attention on a complete graph with self-loops (M2PN eq. 1; GAT).

    Per head, ``score(i, j) = LeakyReLU(Cat(Q_i, K_j) w) / sqrt(d)``, softmax over ``j``, times V;
    then output projection, residual and layer norm. The LeakyReLU acts on the scalar, as in GAT:
    without it, or inside the concatenation, the score is a sum of a term in ``i`` and one in ``j``,
    the softmax over ``j`` cancels the former, and every node would read the graph alike.

    Args:
        dim: Width of the nodes.
        heads: Number of heads; divides ``dim``.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        assert dim % heads == 0, f"{heads} heads do not divide width {dim}"
        self.heads = heads
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)
        self.score = nn.Parameter(torch.empty(2, heads, dim // heads))
        self.out = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        nn.init.xavier_uniform_(self.score)

    def forward(self, nodes: Tensor) -> Tensor:
        """Return the nodes after they read one another, ``BxKxD`` from ``BxKxD``."""
        q, k, v = (
            layer(nodes).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        from_query, from_key = (
            (part * score[:, None]).sum(-1) for part, score in zip((q, k), self.score, strict=True)
        )
        score = F.leaky_relu(from_query[..., None] + from_key[:, :, None], 0.2)
        weight = (score / math.sqrt(q.shape[-1])).softmax(dim=-1)
        read = (weight @ v).transpose(1, 2).flatten(-2)
        out: Tensor = self.norm(nodes + self.out(read))
        return out
