"""TC-MoA on a tiny autoencoder."""

import dataclasses

import torch

from fusion_core.models.tcmoa import TCMoA, TCMoAConfig, TCMoAOptions
from fusion_core.models.tcmoa.backbone import MaeConfig, MaskedAutoencoder
from fusion_core.models.tcmoa.embedded import save_mae

MAE = MaeConfig(64, 2, 2, 32, 2, 2)
CONFIG = TCMoAConfig(mae=MAE)


def autoencoder(folder, seed=0):
    """Write a random autoencoder and return its path."""
    torch.manual_seed(seed)
    path = folder / f"mae-{seed}.safetensors"
    save_mae(MaskedAutoencoder(MAE), path, {})
    return path


def network(folder, seed=0, **changes):
    path = autoencoder(folder)
    torch.manual_seed(seed)
    built = TCMoA("tcmoa", dataclasses.replace(CONFIG, **changes))
    built.configure(TCMoAOptions(mae_weights=str(path)))
    return built.eval()
