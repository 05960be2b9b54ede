"""Checkpoints of the public code of TC-MoA, which hold adapters and autoencoder together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from fusion_core.errors import WeightsError
from fusion_core.foundation import FoundationKind, FrozenModel
from fusion_core.models.tcmoa.backbone import MaeConfig, MaskedAutoencoder
from fusion_core.models.tcmoa.network import TCMoA
from fusion_core.models.tcmoa.prompt_layer import PromptLayer

_AUTOENCODER: Final = {
    "embed": "patch_embed.proj",
    "norm": "norm",
    "decoder_embed": "decoder_embed",
    "decoder_norm": "decoder_norm",
    "pred": "decoder_pred",
}
_BLOCK: Final = {
    "norm1": "norm1",
    "qkv": "attn.qkv",
    "proj": "attn.proj",
    "norm2": "norm2",
    "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
}


def load_published(network: TCMoA, path: str | Path) -> tuple[str, ...]:
    """Load a published checkpoint into a network of the paper's setting.

    The public code neither trains nor saves the embeddings of the sources: they are set to zero.

    Args:
        network: Built for the checkpoint's size, ``every`` 4, ``combine`` ``logsumexp``.
        path: The checkpoint, of ``torch.save``; only tensors are read from it.

    Returns:
        Names of its tensors that are not used.

    Raises:
        WeightsError: The file is missing or torn, or does not fit the network.
    """
    given = _read(path)
    used: set[str] = set()
    mae = network.config.mae

    def load(_: str, dtype: torch.dtype) -> nn.Module:
        return _autoencoder(mae, given, used).to(dtype)

    frozen = FrozenModel(FoundationKind("published TC-MoA", load, str(path), "the path"))
    try:
        tensors = _adapters(network, given, used)
        expected = network.state_dict()
        missing = {key for key in expected if key not in tensors}
        if missing or any(expected[key].shape != value.shape for key, value in tensors.items()):
            odd = min(missing or {k for k, v in tensors.items() if expected[k].shape != v.shape})
            raise WeightsError(f"{path}: tensor {odd!r} does not fit {network.name!r}")
        _ = frozen.model
    except KeyError as error:
        raise WeightsError(f"{path}: no tensor {error}; give a published checkpoint") from None
    network.load_state_dict(tensors)
    network.mae = frozen
    return tuple(sorted(given.keys() - used))


def _read(path: str | Path) -> Mapping[str, Tensor]:
    try:
        whole = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise WeightsError(f"{path}: no usable checkpoint ({reason})") from None
    model: Mapping[str, Tensor] = whole.get("model", whole)
    return model


def _adapters(network: TCMoA, given: Mapping[str, Tensor], used: set[str]) -> dict[str, Tensor]:
    """Return the network's own tensors out of those of a checkpoint."""
    tensors = {"bank": network.bank}

    def take(ours: str, theirs: str) -> None:
        used.add(theirs)
        tensors[ours] = given[theirs]

    streams = network.streams
    for ours, theirs, layers, tables in (
        ("encoder", "", streams.encoder_layers, streams.encoder_bias),
        ("decoder", "decoder_", streams.decoder_layers, streams.decoder_bias),
    ):
        short = "en" if ours == "encoder" else "de"
        for pair in range(len(tables)):
            place = f"{short}_relative_position.{pair}.relative_position_bias_table"
            take(f"streams.{ours}_bias.{pair}", place)
        used.add(f"Alpha_{ours}")
        for number, (block, layer) in enumerate(layers.items()):
            assert isinstance(layer, PromptLayer)
            own = f"streams.{ours}_layers.{block}"
            moa, fusion = (
                f"{theirs}blocks_MoA.{number}",
                "FusionLayer" if not theirs else "de_FusionLayer",
            )
            tensors[f"{own}.own"] = 1 - given[f"Alpha_{ours}"][number]
            tensors[f"{own}.sources"] = torch.zeros_like(layer.sources)
            take(f"{own}.reduce.weight", f"{moa}.dimReduction.weight")
            take(f"{own}.adapters.choose", f"{moa}.MoA.w_gate")
            take(f"{own}.adapters.noise", f"{moa}.MoA.w_noise")
            for convolution in range(3):
                take(
                    f"{own}.fuse.{convolution}.weight",
                    f"{fusion}.{number}.conv{convolution + 1}.weight",
                )
            for kind in ("weight", "bias"):
                take(f"{own}.enter.{kind}", f"{moa}.norm1.{kind}")
                take(f"{own}.norm.{kind}", f"{moa}.norm2.{kind}")
                for expert in range(len(layer.adapters.experts)):
                    for here, there in ((0, "fc1"), (2, "fc2")):
                        take(
                            f"{own}.adapters.experts.{expert}.{here}.{kind}",
                            f"{moa}.MoA.experts.{expert}.{there}.{kind}",
                        )
    return tensors


def _autoencoder(
    config: MaeConfig, given: Mapping[str, Tensor], used: set[str]
) -> MaskedAutoencoder:
    """Return the autoencoder out of the tensors of a checkpoint; it has no token of the mask."""
    network = MaskedAutoencoder(config)
    tensors = {"mask_token": torch.zeros_like(network.mask_token)}
    names = dict(_AUTOENCODER)
    for stem, depth in (("blocks", config.depth), ("decoder_blocks", config.decoder_depth)):
        for block in range(depth):
            names |= {f"{stem}.{block}.{k}": f"{stem}.{block}.{v}" for k, v in _BLOCK.items()}
    for ours, theirs in names.items():
        for kind in ("weight", "bias"):
            tensors[f"{ours}.{kind}"] = given[f"{theirs}.{kind}"]
            used.add(f"{theirs}.{kind}")
    network.load_state_dict(tensors)
    return network
