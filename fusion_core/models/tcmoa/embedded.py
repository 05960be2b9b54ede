"""The masked autoencoder that ships, and real ones from this machine, as one frozen class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from fusion_core.errors import WeightsError
from fusion_core.foundation import FOUNDATIONS, FoundationKind
from fusion_core.models.tcmoa.backbone import PATCH, MaeConfig, MaskedAutoencoder
from fusion_core.models.weight_file import WeightFile

SHIPPED: Final = Path(__file__).parents[1] / "weights" / "mae-small.safetensors"
_FILE: Final = WeightFile(
    "fusion-mae",
    "train it with `fusion train --model mae-small`",
    lambda config: MaskedAutoencoder(TypeAdapter(MaeConfig).validate_json(config)),
)
# Names here and in transformers.
_SINGLE: Final = {
    f"{ours}.{kind}": f"{theirs}.{kind}"
    for ours, theirs in (
        ("embed", "vit.embeddings.patch_embeddings.projection"),
        ("norm", "vit.layernorm"),
        ("decoder_embed", "decoder.decoder_embed"),
        ("decoder_norm", "decoder.decoder_norm"),
        ("pred", "decoder.decoder_pred"),
    )
    for kind in ("weight", "bias")
}
# Names inside a block: of the newer releases of transformers, then of the older ones.
_IN_BLOCK: Final = {
    "norm1": ("layernorm_before", "layernorm_before"),
    "norm2": ("layernorm_after", "layernorm_after"),
    "proj": ("attention.o_proj", "attention.output.dense"),
    "fc1": ("mlp.fc1", "intermediate.dense"),
    "fc2": ("mlp.fc2", "output.dense"),
}
_QKV: Final = (
    tuple(f"attention.{part}_proj" for part in "qkv"),
    tuple(f"attention.attention.{part}" for part in ("query", "key", "value")),
)
_ENCODER: Final = ("vit.layers", "vit.encoder.layer")


def save_mae(network: MaskedAutoencoder, path: Path, training: Mapping[str, Any]) -> None:
    """Write a masked autoencoder; see :meth:`WeightFile.save`."""
    _FILE.save(network, path, training, asdict(network.config))


def load_mae(path: str | Path, dtype: torch.dtype = torch.float32) -> MaskedAutoencoder:
    """Return a masked autoencoder that :func:`save_mae` wrote; see :meth:`WeightFile.load`."""
    return _FILE.load(path, dtype)


def from_transformers(source: nn.Module) -> MaskedAutoencoder:
    """Return the same autoencoder as one of transformers' class ``ViTMAEForPreTraining``.

    Raises:
        WeightsError: Its patches are not 16 pixels wide, or its MLPs not four times as wide.
    """
    c: Any = source.config
    if c.patch_size != PATCH or c.intermediate_size != 4 * c.hidden_size:
        raise WeightsError(
            f"masked autoencoder: patches of {c.patch_size}, MLP of {c.intermediate_size} for "
            f"width {c.hidden_size}: expected {PATCH} and four widths; use a ViT-B or ViT-L"
        )
    config = MaeConfig(
        c.hidden_size,
        c.num_hidden_layers,
        c.num_attention_heads,
        c.decoder_hidden_size,
        c.decoder_num_hidden_layers,
        c.decoder_num_attention_heads,
        c.layer_norm_eps,
    )
    given: dict[str, Tensor] = source.state_dict()
    tensors = {ours: given[theirs] for ours, theirs in _SINGLE.items()}
    tensors["mask_token"] = given["decoder.mask_token"].flatten()
    old = not any(name.startswith(_ENCODER[0]) for name in given)
    for ours, theirs, depth in (
        ("blocks", _ENCODER[old], config.depth),
        ("decoder_blocks", "decoder.decoder_layers", config.decoder_depth),
    ):
        for index in range(depth):
            tensors |= _block(f"{ours}.{index}", f"{theirs}.{index}", given, old=old)
    network = MaskedAutoencoder(config)
    network.load_state_dict(tensors)
    return network


def _block(ours: str, theirs: str, given: Mapping[str, Tensor], *, old: bool) -> dict[str, Tensor]:
    """Return one block; query, key and value are joined."""
    tensors = {}
    for kind in ("weight", "bias"):
        parts = [given[f"{theirs}.{part}.{kind}"] for part in _QKV[old]]
        tensors[f"{ours}.qkv.{kind}"] = torch.cat(parts)
        for here, there in _IN_BLOCK.items():
            tensors[f"{ours}.{here}.{kind}"] = given[f"{theirs}.{there[old]}.{kind}"]
    return tensors


def _load_embedded(weights: str, dtype: torch.dtype) -> nn.Module:
    return load_mae(weights, dtype)


def _load_real(weights: str, dtype: torch.dtype) -> nn.Module:
    return from_transformers(FOUNDATIONS["mae"].load(weights, dtype)).to(dtype)


EMBEDDED_MAE: Final = FoundationKind(
    "encoder 'mae-small'", _load_embedded, str(SHIPPED), "options.mae_weights"
)
REAL_MAE: Final = FoundationKind(
    FOUNDATIONS["mae"].title, _load_real, FOUNDATIONS["mae"].default, "options.mae_weights"
)
