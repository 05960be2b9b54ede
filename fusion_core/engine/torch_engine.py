"""Run a fusion network in PyTorch on aligned pairs, in colour."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.engine.stabiliser import Stabiliser
from fusion_core.errors import UsageError
from fusion_core.memory import MemoryBank, judge
from fusion_core.models import Fuser, FuserOutput
from fusion_core.runtime.allocator import keep_freed_memory
from fusion_core.types import AlignedPair, FloatImage, Mask, UInt8Image

# Width of the soft seam, in pixels, where the thermal camera's view ends inside the picture.
_SEAM_PX = 15


@dataclass(frozen=True, slots=True)
class EngineResult:
    """What the network made of one pair.

    Attributes:
        image: ``HxWx3`` uint8 RGB.
        quality: Judge's score in [0, 1]; None when a missing side left nothing to fuse.
        memory_slot: Slot of the bank that this frame updated, or None.
        network_ms: Time in the network alone, in milliseconds.
    """

    image: UInt8Image
    quality: float | None = None
    memory_slot: int | None = None
    network_ms: float = 0.0


def pick_device(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UsageError: ``cuda`` was asked for and no GPU can be used.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("device 'cuda': no usable NVIDIA GPU found; use device 'auto' or 'cpu'")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


class Engine:
    """Fuse aligned pairs with one network and the memory bank beside it.

    The network fuses luma with thermal luminance; the visible chroma is attached again
    (full-range BT.601), so colours stay those of the colour camera.

    Args:
        model: The network, on its device.
        bank: Memory bank of the network, on the same device.
        stability: Share of the previous picture that is kept where nothing moves, in [0, 1); 0
            lets every pair stand alone.
    """

    def __init__(self, model: Fuser, bank: MemoryBank, stability: float = 0.0) -> None:
        keep_freed_memory()
        self._model = model.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._bank = bank
        self._device = model.bank.device
        self._half = self._device.type == "cuda"
        self._stabiliser = Stabiliser(stability) if stability else None
        self._seam: tuple[Mask, FloatImage] | None = None

    @property
    def bank(self) -> MemoryBank:
        """The memory bank that the network reads and that good frames update."""
        return self._bank

    def fuse(self, pair: AlignedPair) -> EngineResult:
        """Fuse one pair; with one side missing the other is passed through unchanged."""
        if pair.visible is None:
            return EngineResult(_grey_to_rgb(_to_uint8(_present(pair.thermal))))
        if pair.thermal is None:
            return EngineResult(pair.visible)
        ycrcb = cv2.cvtColor(pair.visible, cv2.COLOR_RGB2YCrCb)
        luma: UInt8Image = np.asarray(cv2.extractChannel(ycrcb, 0), np.uint8)
        thermal = pair.thermal
        inside = bool(pair.valid.all())
        if not inside:
            # Outside the thermal view both inputs show the same, so no false edge enters.
            thermal = np.where(pair.valid, thermal, luma.astype(np.float32) / 255)
        result = self._run(thermal, luma, pair.stamp_ns)
        fused = result.image
        if not inside:
            weight = self._seam_weight(pair.valid)
            fused = _to_uint8((weight * fused + (1 - weight) * luma) / 255)
        cv2.insertChannel(fused, ycrcb, 0)
        image = np.asarray(cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2RGB), np.uint8)
        return replace(result, image=image)

    @torch.inference_mode()
    def warm_up(self, height: int, width: int) -> None:
        """Run the network on an empty picture of this size; the bank is not touched."""
        empty = torch.zeros(1, 1, height, width, device=self._device)
        for _ in range(2):
            self._forward(empty, empty)

    def _forward(self, thermal: torch.Tensor, luma: torch.Tensor) -> FuserOutput:
        with torch.autocast(self._device.type, torch.float16, enabled=self._half):
            output: FuserOutput = self._model(thermal, luma, self._bank.slots)
        return output

    @torch.inference_mode()
    def _run(self, thermal: FloatImage, luma: UInt8Image, stamp_ns: int) -> EngineResult:
        """Return the fused luma with the judge's score and the bank's update."""
        ir = torch.from_numpy(thermal).to(self._device)[None, None]
        vi = torch.from_numpy(luma).to(self._device)[None, None].float().mul_(1 / 255)
        start = time.perf_counter()
        output = self._forward(ir, vi)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        network_ms = (time.perf_counter() - start) * 1e3
        fused = output.fused.float()
        score = judge(fused)
        slot = self._bank.update(output.query.float(), score)
        picture = fused[0, 0].cpu().numpy()
        if self._stabiliser:
            picture = self._stabiliser.smooth(picture, stamp_ns)
        # rounds and saturates in one pass
        pixels = np.asarray(cv2.convertScaleAbs(picture, alpha=255), np.uint8)
        return EngineResult(pixels, float(score[0]), slot, network_ms)

    def _seam_weight(self, valid: Mask) -> FloatImage:
        """Return weights that rise from 0 at the border of ``valid`` to 1 inside."""
        if self._seam is None or self._seam[0] is not valid:
            distance = cv2.distanceTransform(valid.astype(np.uint8), cv2.DIST_L2, 3)
            self._seam = (valid, np.minimum(distance / _SEAM_PX, 1).astype(np.float32))
        return self._seam[1]


def _present(image: FloatImage | None) -> FloatImage:
    assert image is not None, "a pair has at least one side"
    return image


def _to_uint8(image: NDArray[np.floating[Any]]) -> UInt8Image:
    """Quantise [0, 1] to 0..255, rounding."""
    return np.asarray(np.clip(np.rint(image * 255), 0, 255), np.uint8)


def _grey_to_rgb(image: UInt8Image) -> UInt8Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), np.uint8)
