"""PSNR and a picture sheet of the scenes that a run never trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fusion_core.models import Cues
from fusion_core.models.mdaif import MdaIF
from fusion_core.priors import PriorProvider
from fusion_lab.data import Example
from fusion_lab.training.restoring.pool import PairDegradation, degrade_pair, to_batch
from fusion_lab.training.restoring.restorer import Restorer
from fusion_lab.training.sheet import write_sheet

_CASES: tuple[dict[str, float], ...] = (
    {},
    {"haze": 0.7},
    {"rain": 0.7},
    {"snow": 0.7},
    {"low_light": 0.6, "noise": 0.5},
)
_ROWS = 10


@torch.no_grad()
def validate_restoring(
    model: MdaIF | Restorer,
    pictures: Sequence[Example],
    provider: PriorProvider | None,
    sheet: Path,
) -> dict[str, float]:
    """Restore held-out pictures, write their sheet and return decibels against the clean ones.

    Args:
        model: Network in evaluation mode.
        pictures: Held-out pictures; none gives no sheet and no numbers.
        provider: What shows the network the degraded pictures; None shows nothing.
        sheet: PNG to write: a row per picture, luma of degraded, thermal, fused and clean.

    Raises:
        SinkError: The sheet cannot be written.
    """
    found: dict[str, list[float]] = {}
    rows: list[tuple[Tensor, ...]] = []
    for index in np.linspace(0, len(pictures) - 1, min(_ROWS, len(pictures))).astype(int).tolist():
        picture, case = pictures[index], _CASES[len(rows) % len(_CASES)]
        sample = degrade_pair(picture.first, picture.second, PairDegradation(case, {}, 7), provider)
        prior = (torch.from_numpy(part)[None] for part in (sample.tokens, sample.weather))
        batch = to_batch(sample.planes[None], *prior)
        batch = type(batch)(*(part.to(model.bank.device) for part in batch))
        tokens = batch.tokens if batch.tokens.shape[1] else None
        luma, clean = batch.degraded[:, :1], batch.clean[:, :1]
        made = model.restore(batch.degraded_thermal, luma, Cues(batch.degraded[:, 1:], tokens))
        name, fused = "+".join(case) or "clean", made.fused[:, :1]
        found.setdefault(f"{name}/visible", []).append(_psnr(made.visible, clean))
        both = torch.cat((clean, batch.clean_thermal), 1)
        found.setdefault(f"{name}/fused", []).append(_psnr(fused, both))
        rows.append((luma, batch.degraded_thermal, fused, clean))
    if rows:
        write_sheet(sheet, rows)
    return {name: round(float(np.mean(values)), 3) for name, values in found.items()}


def _psnr(image: Tensor, reference: Tensor) -> float:
    error = (image.clamp(0, 1) - reference).square().mean()
    return float(-10 * torch.log10(error + 1e-10))
