"""Run a fusion network in PyTorch on aligned pairs, in colour."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_core.engine.colour import to_uint8
from fusion_core.engine.input_correction import InputCorrection
from fusion_core.engine.picture_io import (
    CameraPicture,
    NetworkPicture,
    Smooth,
    picture_io,
    to_tensor,
)
from fusion_core.engine.plain_fusion import single_picture
from fusion_core.engine.precision import fast_precision
from fusion_core.engine.prior_fade import PriorFade
from fusion_core.engine.result import EngineResult
from fusion_core.engine.temporal_smoothing import TemporalSmoother
from fusion_core.engine.wording import Wording
from fusion_core.errors import NetworkError, UsageError
from fusion_core.memory import MemoryBank, MemoryConfig, quality_score
from fusion_core.models import Cues, Fuser, TextCue
from fusion_core.runtime.settings import Settings
from fusion_core.types import AlignedPair, FloatImage, Mask, ScenePrior, UInt8Image

# Width of the soft seam, in pixels, where the thermal camera's view ends inside the picture.
_SEAM_PX = 15
# Frames from one text to the next: networks that read one are slow, and the change is asked for.
_TEXT_FADE = 4


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPair:
    """One pair as the network gets it.

    Attributes:
        pair: The pair, of both sides.
        camera: Its visible picture.
        thermal: ``HxW`` float32 in [0, 1].
        seen: What the network sees of the visible picture, ``HxW`` or ``HxWx3`` uint8.
        cues: What else is known.
    """

    pair: AlignedPair
    camera: CameraPicture
    thermal: FloatImage
    seen: UInt8Image
    cues: Cues


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

    Args:
        model: The network, on its device.
        bank: Memory bank on the same device, for a network that uses one.
        temporal_smoothing: Share of the previous picture that is kept where nothing moves, in
            [0, 1); 0 treats every pair alone.
        correct_inputs: Correct a source that the prior calls degraded; for a network that uses the
            prior itself only the glare.
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
        self._model: Fuser = model.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._io = picture_io(model)
        self._bank = bank
        self._device = model.bank.device
        # Half the numbers' bits for less time; the result changes by less than half a gray level.
        on_gpu = self._device.type == "cuda"
        self._precision = torch.float16 if on_gpu else fast_precision("cpu")
        self._generator = torch.Generator(self._device).manual_seed(0)
        self._tuning: tuple[float, bool] | None = None
        self._set_stages(temporal_smoothing, correct_inputs)
        self._fade = PriorFade(fade_frames)
        self._seam: tuple[Mask, FloatImage] | None = None
        self._wording = Wording(model.encode_text, _TEXT_FADE) if model.features.uses_text else None

    @property
    def network(self) -> Fuser:
        """The network."""
        return self._model

    @property
    def name(self) -> str:
        """Name of the network."""
        return str(self._model.name)

    @property
    def bank(self) -> MemoryBank | None:
        """The memory bank that the network reads and that good frames update."""
        return self._bank

    @property
    def device(self) -> str:
        """Where the network runs: ``cpu`` or ``cuda``."""
        return self._device.type

    @property
    def uses_mask(self) -> bool:
        """Whether a mask changes the result."""
        return bool(self._model.features.uses_mask)

    @property
    def uses_prior(self) -> bool:
        """Whether a prior changes the result."""
        return bool(self._model.features.uses_prior)

    @property
    def uses_text(self) -> bool:
        """Whether a text changes the result."""
        return bool(self._model.features.uses_text)

    @property
    def option_kinds(self) -> dict[str, type[Settings]]:
        """Name of the network -> its block of options."""
        return {self.name: self._model.Options}

    def tune(
        self, options: Mapping[str, Settings], temporal_smoothing: float, *, correct_inputs: bool
    ) -> None:
        """Change what may change between two pairs.

        Args:
            options: Options by name of the network, with those of this one.
            temporal_smoothing: As in the class.
            correct_inputs: As in the class.
        """
        self._model.configure(options[self.name])
        self._set_stages(temporal_smoothing, correct_inputs)

    def describe(self, text: str) -> None:
        """Set the text that describes the results, for a network that takes one; empty: none."""
        if self._wording is not None:
            self._wording.say(text)

    def named(self, text: str) -> frozenset[str]:
        """Return what a text names to be shown: ``people``, ``vehicles``, ``hot``."""
        return self._model.named(text) if text and self.uses_text else frozenset()

    def check_prior(self, name: str, width: int) -> None:
        """Refuse a provider whose tokens, of this width, the network cannot read.

        Raises:
            UsageError: The network was made for another width.
        """
        expected = self._model.features.prior_width
        if self.uses_prior and expected not in {None, width}:
            raise UsageError(
                f"prior {name!r} gives tokens of width {width}, model {self.name!r} reads "
                f"{expected}: choose the prior that it was trained with, or train "
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

        Raises:
            NetworkError: The network gives values that are not finite.
        """
        if (single := single_picture(pair)) is not None:
            return EngineResult(single)
        prepared = self.prepare(pair, prior, mask)
        made, network_ms = self._forward(prepared.thermal, prepared.seen, prepared.cues)
        return self.finish(prepared, made, network_ms)

    def prepare(
        self, pair: AlignedPair, prior: ScenePrior | None, mask: FloatImage | None
    ) -> PreparedPair:
        """Return what the network gets of a pair of both sides; to be finished in order."""
        assert pair.visible is not None, "both sides are there"
        assert pair.thermal is not None, "both sides are there"
        camera = self._io.read(pair.visible)
        thermal, seen = pair.thermal, camera.seen
        if not pair.valid.all():
            # Outside the thermal view both inputs show the same, so no false edge enters.
            thermal = np.where(pair.valid, thermal, camera.luma.astype(np.float32) / 255)
        if self._correction is not None:
            thermal, seen = self._correction.correct(thermal, seen, prior)
        cues = self._io.cues(camera, self._cues(prior, mask), self._device)
        return PreparedPair(pair, camera, thermal, seen, cues)

    @torch.inference_mode()
    def finish(
        self, prepared: PreparedPair, made: NetworkPicture, network_ms: float
    ) -> EngineResult:
        """Return the picture of a pair, and let the memory bank learn of it.

        Args:
            prepared: Of :meth:`prepare`.
            made: What the network made of it.
            network_ms: Milliseconds in the network.

        Raises:
            NetworkError: It made values that are not finite.
        """
        pair = prepared.pair
        self._require_finite(made.luma, made.image, made.chroma)
        score = quality_score(made.luma)
        slot = None
        if self._bank is not None and made.memory_query is not None:
            slot = self._bank.update(made.memory_query.float(), score)
        # A network that restores does so outside the thermal view, too.
        inside = self.uses_prior or self.uses_text or bool(pair.valid.all())
        weight = None if inside else self._seam_weight(pair.valid)
        smooth = Smooth(self._smoother, pair.stamp_ns) if self._smoother else None
        image = self._io.write(made, prepared.camera, weight, smooth)
        text = None if self._wording is None else self._wording.in_force
        return EngineResult(image, float(score[0]), slot, network_ms, text=text)

    @torch.inference_mode()
    def fuse_pictures(
        self,
        pictures: Sequence[UInt8Image],
        task: str,
        *,
        prior: ScenePrior | None = None,
        text: str | None = None,
    ) -> UInt8Image:
        """Fuse pictures of any task.

        Args:
            pictures: Two or more of ``HxWx3`` uint8 RGB, of one size.
            task: One of the network's tasks.
            prior: What is known of the scene, for networks that use it.
            text: Description of the result, for networks that take a text.

        Returns:
            ``HxWx3`` uint8 RGB.

        Raises:
            UsageError: The network cannot do the task, or lacks a cue.
            NetworkError: It gives values that are not finite.
        """
        self._generator.manual_seed(0)
        known = self._cues(prior, None)
        cues = replace(known, task=task, text=self._still_text(text))
        tensors = [to_tensor(picture, self._device) for picture in pictures]
        with self._fast():
            fused = self._model.fuse_many(tensors, cues).image
        self._require_finite(fused)
        return to_uint8(fused[0].float().permute(1, 2, 0).cpu().numpy())

    @torch.inference_mode()
    def warm_up(self, height: int, width: int) -> None:
        """Run the network on an empty picture of this size; the bank is not touched."""
        camera = self._io.read(np.full((height, width, 3), 128, np.uint8))
        marked = np.ones((height, width), np.float32)
        for _ in range(2):
            cues = self._io.cues(camera, self._cues(None, marked), self._device)
            self._forward(np.zeros((height, width), np.float32), camera.seen, cues)
        if self._wording is not None:
            self._wording.restart()

    def _cues(self, prior: ScenePrior | None, mask: FloatImage | None) -> Cues:
        """Return what the network uses of what is known, on its device."""
        uses = self._model.features
        tokens = prompt = None
        if uses.uses_prior and prior is not None:
            tokens = torch.from_numpy(self._fade.step(prior)).to(self._device)[None]
        text = None if self._wording is None else self._wording.step()
        if uses.uses_mask and mask is not None:
            prompt = torch.from_numpy(mask).to(self._device)[None, None]
        memory = None if self._bank is None else self._bank.slots
        return Cues(
            tokens=tokens,
            mask=prompt,
            text=text,
            memory=memory,
            generator=self._generator,
        )

    def _still_text(self, text: str | None) -> TextCue | None:
        """Return the text of single pictures, of a network that takes one."""
        if self._wording is None:
            if text:
                self._model.encode_text(text)  # says that it takes none
            return None
        return self._wording.still(text or "")

    def _set_stages(self, temporal_smoothing: float, correct_inputs: bool) -> None:
        """Make what smooths and corrects; what has not changed keeps its state."""
        tuning = temporal_smoothing, correct_inputs
        if tuning == self._tuning:
            return
        self._tuning = tuning
        self._smoother = TemporalSmoother(temporal_smoothing) if temporal_smoothing else None
        self._correction = InputCorrection(self.uses_prior) if correct_inputs else None

    @torch.inference_mode()
    def _forward(
        self, thermal: FloatImage, seen: UInt8Image, cues: Cues
    ) -> tuple[NetworkPicture, float]:
        """Run the network on one pair; return what it made and its milliseconds."""
        hot = torch.from_numpy(thermal).to(self._device)[None, None]
        return self.forward(to_tensor(seen, self._device), hot, cues)

    @torch.inference_mode()
    def forward(self, visible: Tensor, hot: Tensor, cues: Cues) -> tuple[NetworkPicture, float]:
        """Run the network; return what it made and its milliseconds.

        Args:
            visible: ``BxCxHxW`` of what it sees of the visible pictures, in [0, 1].
            hot: ``Bx1xHxW`` in [0, 1].
            cues: What else is known.
        """
        start = time.perf_counter()
        with self._fast():
            made = self._io.fuse(visible, hot, cues)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return made, (time.perf_counter() - start) * 1e3

    def _fast(self) -> torch.autocast:
        """Return the context in which the network runs in the fast precision."""
        half = self._precision != torch.float32
        return torch.autocast(self._device.type, self._precision, enabled=half)

    def _require_finite(self, *planes: Tensor | None) -> None:
        """Raise before a picture with NaN or infinity enters the smoothing, the bank or an output.

        Raises:
            NetworkError: A value is not finite.
        """
        if not all(bool(plane.isfinite().all()) for plane in planes if plane is not None):
            raise NetworkError(
                f"model {self.name!r}: gives values that are not finite; train it again or choose "
                "another model"
            )

    def _seam_weight(self, valid: Mask) -> FloatImage:
        """Return weights that rise from 0 at the border of ``valid`` to 1 inside."""
        if self._seam is None or self._seam[0] is not valid:
            distance = cv2.distanceTransform(valid.astype(np.uint8), cv2.DIST_L2, 3)
            self._seam = (valid, np.minimum(distance / _SEAM_PX, 1).astype(np.float32))
        return self._seam[1]
