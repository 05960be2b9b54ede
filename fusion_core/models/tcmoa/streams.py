"""Two pictures through the frozen autoencoder, with adapter layers between its blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fusion_core.models.tcmoa.backbone import MaeConfig, MaskedAutoencoder
from fusion_core.models.tcmoa.config import TCMoAConfig, layer_after
from fusion_core.models.tcmoa.evidence import CLUES
from fusion_core.models.tcmoa.prompt_layer import Edit, PlainLayer, PromptLayer
from fusion_core.models.tcmoa.windows import EDGE, Windows


class Told(NamedTuple):
    """What the layers say of ``B`` pairs.

    Attributes:
        first: ``BxNxC`` tokens of the first stream behind the decoder's last block.
        second: ``BxNxC`` those of the second one.
        prompts: ``BxLxNx2`` shares in (0, 1) of the sources in the encoder's layers, then in the
            decoder's.
        gates: ``BxLxNxE`` of the adapters.
        balance: Sum of the layers' balance losses.
    """

    first: Tensor
    second: Tensor
    prompts: Tensor
    gates: Tensor
    balance: Tensor


class Streams(nn.Module):
    """The trainable part between the blocks: adapter layers, and biases of the windows.

    Args:
        config: Architecture.
    """

    def __init__(self, config: TCMoAConfig) -> None:
        super().__init__()
        mae = config.mae
        self.encoder_bias = _tables(mae.depth, mae.heads)
        self.decoder_bias = _tables(mae.decoder_depth, mae.decoder_heads)
        self.encoder_layers = _layers(config, mae.depth, mae.width, keep_statistics=False)
        self.decoder_layers = _layers(
            config, mae.decoder_depth, mae.decoder_width, keep_statistics=config.keep_statistics
        )

    def forward(
        self,
        mae: MaskedAutoencoder,
        first: Tensor,
        second: Tensor,
        grid: tuple[int, int],
        routing: Mapping[str, float],
        *,
        edit: Edit | None = None,
        seen: Tensor | None = None,
    ) -> Told:
        """Return what the layers say.

        Args:
            mae: The frozen autoencoder.
            first: ``Bx3xHxW`` RGB in [0, 1], a multiple of the patch high and wide.
            second: The same of the second source.
            grid: Rows and columns of the tokens.
            routing: Task -> share of its routing.
            edit: Change of the prompts, or None.
            seen: ``BxNx(2 CLUES)`` of both sources, for layers that read them.
        """
        # Both streams share all blocks: they are one batch.
        tokens = mae.tokens(torch.cat((first, second)))
        run = _Run(grid, routing, edit, seen)
        tokens = run(tokens, mae.blocks, self.encoder_bias, self.encoder_layers)
        tokens = mae.narrow(mae.norm(tokens), *grid)
        tokens = run(tokens, mae.decoder_blocks, self.decoder_bias, self.decoder_layers)
        one, other = tokens.chunk(2)
        return Told(
            one,
            other,
            torch.stack(run.prompts, 1),
            torch.stack(run.gates, 1),
            torch.stack(run.balances).sum(),
        )


class _Run:
    """One pass, which collects what the layers say."""

    def __init__(
        self,
        grid: tuple[int, int],
        routing: Mapping[str, float],
        edit: Edit | None,
        seen: Tensor | None,
    ) -> None:
        self._grid, self._routing, self._edit, self._seen = grid, routing, edit, seen
        self._windows = [Windows(*grid, rolled=rolled) for rolled in (False, True)]
        self.prompts: list[Tensor] = []
        self.gates: list[Tensor] = []
        self.balances: list[Tensor] = []

    def __call__(
        self,
        tokens: Tensor,
        blocks: Sequence[nn.Module] | nn.ModuleList,
        tables: nn.ParameterList,
        layers: nn.ModuleDict,
    ) -> Tensor:
        for index, block in enumerate(blocks):
            tokens = block(tokens, self._windows[index % 2], tables[index // 2])
            if str(index) not in layers:
                continue
            first, second = tokens.chunk(2)
            made = layers[str(index)](
                first, second, self._grid, self._routing, self._edit, seen=self._seen
            )
            tokens = torch.cat((made.first, made.second))
            self.prompts.append(made.prompts)
            self.gates.append(made.gates)
            self.balances.append(made.balance)
        return tokens


def decoder_layer_count(mae: MaeConfig, every: int) -> int:
    """Return how many adapter layers the decoder has."""
    return sum(layer_after(block, every) for block in range(mae.decoder_depth))


def _tables(depth: int, heads: int) -> nn.ParameterList:
    """Return a relative bias for each pair of blocks."""
    return nn.ParameterList(
        nn.init.trunc_normal_(nn.Parameter(torch.empty((2 * EDGE - 1) ** 2, heads)), std=0.02)
        for _ in range(-(-depth // 2))
    )


def _layers(config: TCMoAConfig, depth: int, width: int, *, keep_statistics: bool) -> nn.ModuleDict:
    """Return the adapter layers by the block that each follows."""
    return nn.ModuleDict(
        {
            str(block): PlainLayer(width)
            if config.adapter == "plain"
            else PromptLayer(
                width,
                config.experts,
                config.chosen,
                config.combine,
                keep_statistics=keep_statistics,
                clues=2 * CLUES if config.clued else 0,
            )
            for block in range(depth)
            if layer_after(block, config.every)
        }
    )
