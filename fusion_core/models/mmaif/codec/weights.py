"""Weights of the tiny autoencoder: one file of this project, or TAEF2's two from a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from fusion_core.errors import WeightsError
from fusion_core.models.mmaif.codec.network import TinyAutoencoder
from fusion_core.models.weight_file import WeightFile

SHIPPED: Final = Path(__file__).parents[2] / "weights" / "mmaif-codec.safetensors"
TAEF2_FILES: Final = {
    "encoder": "taef2_encoder.safetensors",
    "decoder": "taef2_decoder.safetensors",
}
_FILE: Final = WeightFile(
    "fusion-codec",
    "train it with `fusion train --model mmaif-codec --init FOLDER_OF_TAEF2`",
    lambda _: TinyAutoencoder(),
)
# Of TAEF2's latents over crops of visible, thermal, differently exposed and focused pictures.
_MEAN: Final = (
    0.012,
    0.004,
    0.119,
    -0.104,
    0.242,
    0.029,
    -0.15,
    0.048,
    0.212,
    -0.072,
    0.178,
    -0.009,
    0.084,
    0.059,
    -0.022,
    -0.142,
    0.234,
    0.018,
    -0.084,
    -0.11,
    0.006,
    0.009,
    0.088,
    -0.388,
    0.122,
    -0.188,
    0.041,
    0.146,
    0.292,
    0.19,
    -0.029,
    -0.056,
)
_DEVIATION: Final = (
    0.716,
    0.959,
    0.849,
    0.994,
    0.714,
    0.956,
    0.714,
    0.751,
    0.996,
    0.588,
    0.623,
    0.776,
    0.695,
    0.603,
    0.822,
    1.014,
    0.689,
    0.649,
    0.681,
    0.995,
    0.661,
    0.602,
    0.696,
    0.73,
    0.925,
    0.701,
    0.927,
    0.816,
    0.783,
    0.941,
    0.717,
    0.88,
)


def save_codec(network: TinyAutoencoder, path: Path, training: Mapping[str, Any]) -> None:
    """Write an autoencoder; see :meth:`WeightFile.save`."""
    _FILE.save(network, path, training)


def load_codec(weights: str, dtype: torch.dtype = torch.float32) -> TinyAutoencoder:
    """Return the autoencoder of a file of :func:`save_codec`, or of a folder of TAEF2's files.

    Raises:
        WeightsError: A file is missing, torn, foreign or does not fit.
    """
    path = Path(weights)
    if not path.is_dir():
        return _FILE.load(path, dtype)
    return _FILE.fill("", _taef2(path), path).to(dtype)


def _taef2(folder: Path) -> dict[str, Tensor]:
    tensors = {"mean": torch.tensor(_MEAN), "deviation": torch.tensor(_DEVIATION)}
    for part, name in TAEF2_FILES.items():
        try:
            given = load_file(folder / name)
        except (OSError, SafetensorError) as error:
            raise WeightsError(
                f"{folder / name}: missing or torn ({error}); a folder of TAEF2 holds "
                f"{' and '.join(TAEF2_FILES.values())}"
            ) from None
        tensors |= {f"{part}.{key}": value for key, value in given.items()}
    return tensors
