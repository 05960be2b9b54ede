"""The result beside the codec's own reconstruction of the target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fusion_core.engine import Engine
from fusion_core.models.mmaif import MMAIF
from fusion_core.types import UInt8Image
from fusion_lab.benches.progress import with_progress
from fusion_lab.benches.tables import Table
from fusion_lab.benches.wishing.cases import read_cases
from fusion_lab.data import FusionTask
from fusion_lab.metrics import to_gray
from fusion_lab.metrics.fidelity import psnr_to
from fusion_lab.training.wishing.asking import Asking
from fusion_lab.training.wishing.samples import as_image, as_tensor, make_degraded

_TASKS: tuple[FusionTask, ...] = ("mef", "mff")


@dataclass(frozen=True, slots=True)
class CodecDistance:
    """PSNR of the luma to the true targets of clean exposures and focus settings.

    Attributes:
        result_db: Task -> of the network's result.
        codec_db: Task -> of what the codec makes of the target itself: the limit of any network
            that paints through it.
    """

    result_db: dict[str, float]
    codec_db: dict[str, float]

    def tables(self) -> list[Table]:
        """Return one table."""
        rows = tuple(
            (task, self.result_db[task], value, self.result_db[task] - value)
            for task, value in self.codec_db.items()
        )
        head = ("clean sets of", "result, dB", "codec of the target, dB", "beyond it")
        return [Table("Beyond the codec", head, rows)]


@torch.inference_mode()
def codec_distance(model: MMAIF, data: Path, every: int) -> CodecDistance:
    """Fuse clean sets with true targets, and let the codec reconstruct these."""
    engine = Engine(model, None)
    result: dict[str, float] = {}
    codec: dict[str, float] = {}
    for task in _TASKS:
        ours, limit = [], []
        seen: set[bytes] = set()
        for case in with_progress(list(read_cases(data, task, every)), f"codec, {task}"):
            target = case.target
            if target.tobytes() in seen:
                continue
            seen.add(target.tobytes())
            asking = Asking({}, {}, None, "")
            first, second, _ = make_degraded(target, task, asking, np.random.default_rng(case.seed))
            ours.append(_decibels(engine.fuse_pictures((first, second), task), target))
            limit.append(_decibels(_reconstructed(model, target), target))
        result[task], codec[task] = float(np.mean(ours)), float(np.mean(limit))
    return CodecDistance(result, codec)


def _reconstructed(model: MMAIF, picture: UInt8Image) -> UInt8Image:
    height, width = picture.shape[:2]
    latent = model.codec.encode(as_tensor(picture))
    return as_image(model.codec.decode(latent, (height, width)))


def _decibels(picture: UInt8Image, target: UInt8Image) -> float:
    return psnr_to(to_gray(picture), to_gray(target))
