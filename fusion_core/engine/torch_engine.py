"""Run a fusion network in PyTorch on aligned pairs, in colour."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.engine.colour import to_rgb
from fusion_core.engine.input_correction import InputCorrection
from fusion_core.engine.precision import fast_precision
from fusion_core.engine.prior_fade import PriorFade
from fusion_core.engine.temporal_smoothing import TemporalSmoother
from fusion_core.errors import UsageError
from fusion_core.memory import MemoryBank, MemoryConfig, quality_score
from fusion_core.models import Cues, Fuser, FuserOutput, MdaIF
from fusion_core.types import AlignedPair, FloatImage, Mask, ScenePrior, UInt8Image

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
        model: Name of the network where the scene picks one, else empty.
    """

    image: UInt8Image
    quality: float | None = None
    memory_slot: int | None = None
    network_ms: float = 0.0
    model: str = ""


class _Made(NamedTuple):
    """What the network made: luma, chroma (``HxWx2`` Cb and Cr) if it gives one, and the rest."""

    luma: UInt8Image
    chroma: UInt8Image | None
    quality: float
    memory_slot: int | None
    network_ms: float


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


def open_bank(model: Fuser, config: MemoryConfig) -> MemoryBank | None:
    """Return the trained memory bank of a network, None for one without memory."""
    return MemoryBank(model.bank, config, model.name) if model.features.uses_memory else None


class Engine:
    """Fuse aligned pairs with one network and the memory bank beside it.

    The network fuses luma with thermal luminance; the chroma it gives, or else the visible one,
    is attached again (full-range BT.601).

    Args:
        model: The network, on its device.
        bank: Memory bank on the same device, for a network that uses one.
        temporal_smoothing: Share of the previous picture that is kept where nothing moves, in
            [0, 1); 0 treats every pair alone.
        correct_inputs: Correct a source that the prior calls degraded; without effect on a network
            that uses the prior itself.
        fade_frames: Frames over which a network that uses the prior goes from one to the next.
    """

    def __init__(
        self,
        model: Fuser,
        bank: MemoryBank | None,
        temporal_smoothing: float = 0.0,
        *,
        correct_inputs: bool = False,
        fade_frames: int = 1,
    ) -> None:
        self._model = model.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._bank = bank
        self._device = model.bank.device
        # Half the numbers' bits for less time; the result changes by less than half a gray level.
        on_gpu = self._device.type == "cuda"
        self._precision = torch.float16 if on_gpu else fast_precision("cpu")
        self._smoother = TemporalSmoother(temporal_smoothing) if temporal_smoothing else None
        self._correction = InputCorrection() if correct_inputs and not self.uses_prior else None
        self._fade = PriorFade(fade_frames)
        self._seam: tuple[Mask, FloatImage] | None = None

    @property
    def name(self) -> str:
        """Name of the network."""
        return str(self._model.name)

    @property
    def bank(self) -> MemoryBank | None:
        """The memory bank that the network reads and that good frames update."""
        return self._bank

    @property
    def uses_prior(self) -> bool:
        """Whether a prior changes the result."""
        return bool(self._model.features.uses_prior)

    def check_prior(self, name: str, width: int) -> None:
        """Refuse a provider whose tokens, of this width, the network cannot read.

        Raises:
            UsageError: The network was made for another width.
        """
        if isinstance(self._model, MdaIF) and self._model.config.prior != width:
            raise UsageError(
                f"prior {name!r} gives tokens of width {width}, model {self.name!r} reads "
                f"{self._model.config.prior}: choose the prior that it was trained with, or train "
                f"it with `fusion train --model {self.name} --prior {name}`"
            )

    def fuse(
        self, pair: AlignedPair, prior: ScenePrior | None = None, mask: FloatImage | None = None
    ) -> EngineResult:
        """Fuse one pair; with one side missing the other is passed through unchanged.

        Args:
            pair: The pair.
            prior: What is known of the scene, for networks that use it.
            mask: ``HxW`` float32 in [0, 1], 1 marks what matters, for networks that use it.
        """
        if pair.visible is None:
            return EngineResult(_grey_to_rgb(_to_uint8(_present(pair.thermal))))
        if pair.thermal is None:
            return EngineResult(pair.visible)
        ycrcb = np.asarray(cv2.cvtColor(pair.visible, cv2.COLOR_RGB2YCrCb), np.uint8)
        luma: UInt8Image = np.asarray(cv2.extractChannel(ycrcb, 0), np.uint8)
        thermal = pair.thermal
        inside = bool(pair.valid.all())
        if not inside:
            # Outside the thermal view both inputs show the same, so no false edge enters.
            thermal = np.where(pair.valid, thermal, luma.astype(np.float32) / 255)
        seen = luma
        if self._correction is not None:
            thermal, seen = self._correction.correct(thermal, luma, prior)
        made = self._run(thermal, seen, self._cues(ycrcb, prior, mask), pair.stamp_ns)
        fused, chroma = made.luma, made.chroma
        # A network that restores does so outside the thermal view, too.
        if not inside and not self.uses_prior:
            weight = self._seam_weight(pair.valid)
            fused = _to_uint8((weight * fused + (1 - weight) * luma) / 255)
        if chroma is not None:
            cv2.mixChannels([chroma], [ycrcb], [0, 2, 1, 1])
        cv2.insertChannel(fused, ycrcb, 0)
        return EngineResult(to_rgb(ycrcb), made.quality, made.memory_slot, made.network_ms)

    @torch.inference_mode()
    def warm_up(self, height: int, width: int) -> None:
        """Run the network on an empty picture of this size; the bank is not touched."""
        empty = torch.zeros(1, 1, height, width, device=self._device)
        grey = np.full((height, width, 3), 128, np.uint8)
        marked = np.ones((height, width), np.float32)
        for _ in range(2):
            self._forward(empty, empty, self._cues(grey, None, marked))

    def _cues(self, ycrcb: UInt8Image, prior: ScenePrior | None, mask: FloatImage | None) -> Cues:
        """Return what the network uses of what is known, on its device."""
        uses = self._model.features
        chroma = tokens = prompt = None
        if uses.uses_chroma:
            swapped = torch.from_numpy(ycrcb[..., 2:0:-1].copy()).to(self._device)
            chroma = swapped.permute(2, 0, 1)[None].float().mul_(1 / 255)
        if uses.uses_prior and prior is not None:
            tokens = torch.from_numpy(self._fade.step(prior)).to(self._device)[None]
        if uses.uses_mask and mask is not None:
            prompt = torch.from_numpy(mask).to(self._device)[None, None]
        return Cues(chroma, tokens, prompt)

    def _forward(self, thermal: torch.Tensor, luma: torch.Tensor, cues: Cues) -> FuserOutput:
        slots = self._model.bank if self._bank is None else self._bank.slots
        half = self._precision != torch.float32
        with torch.autocast(self._device.type, self._precision, enabled=half):
            output: FuserOutput = self._model(thermal, luma, slots, cues)
        return output

    @torch.inference_mode()
    def _run(self, thermal: FloatImage, luma: UInt8Image, cues: Cues, stamp_ns: int) -> _Made:
        """Return the fused picture with the judge's score and the bank's update."""
        ir = torch.from_numpy(thermal).to(self._device)[None, None]
        vi = torch.from_numpy(luma).to(self._device)[None, None].float().mul_(1 / 255)
        start = time.perf_counter()
        output = self._forward(ir, vi, cues)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        network_ms = (time.perf_counter() - start) * 1e3
        fused = output.fused.float()
        score = quality_score(fused)
        slot = self._bank.update(output.query.float(), score) if self._bank else None
        picture = fused[0, 0].cpu().numpy()
        if self._smoother:
            picture = self._smoother.smooth(picture, stamp_ns)
        # rounds and saturates in one pass
        pixels = np.asarray(cv2.convertScaleAbs(picture, alpha=255), np.uint8)
        chroma = None
        if output.chroma is not None:
            planes = output.chroma[0].float().permute(1, 2, 0).contiguous().cpu().numpy()
            chroma = np.asarray(cv2.convertScaleAbs(planes, alpha=255), np.uint8)
        return _Made(pixels, chroma, float(score[0]), slot, network_ms)

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
