"""Run a fusion network in PyTorch on aligned pairs, in colour."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from fusion_core.engine.colour import to_uint8
from fusion_core.engine.cuda_graph import Forward, GraphedForward
from fusion_core.engine.pair_engine import PairEngine, PreparedPair
from fusion_core.engine.picture_io import NetworkPicture
from fusion_core.engine.precision import fast_precision
from fusion_core.engine.result import ExplainedPicture
from fusion_core.engine.torch_pictures import NetworkTensors, fuse_tensors, on_device, to_tensor
from fusion_core.engine.wording import Wording
from fusion_core.errors import UsageError
from fusion_core.memory import MemoryBank, MemoryConfig
from fusion_core.models import Cues, Fuser, FuserOutput, TextCue
from fusion_core.runtime.settings import Settings
from fusion_core.types import FloatImage, ScenePrior, UInt8Image

# Frames from one text to the next: networks that read one are slow, and the change is asked for.
_TEXT_FADE = 4


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
    if not model.features.uses_memory:
        return None
    slots = model.bank.detach().float().cpu().numpy()
    return MemoryBank(slots, config, model.name, model.scores)


class Engine(PairEngine):
    """Fuse aligned pairs with one network in PyTorch.

    Args:
        model: The network, on its device.
        bank: Memory bank, for a network that uses one.
        temporal_smoothing: See :class:`PairEngine`.
        correct_inputs: See :class:`PairEngine`.
        fade_frames: See :class:`PairEngine`.
        precision: Type of the numbers; None: half the bits where the device is fast with them.
        graphs: On a GPU start all the network's work with one call.
    """

    def __init__(
        self,
        model: Fuser,
        bank: MemoryBank | None,
        temporal_smoothing: float = 0.0,
        *,
        correct_inputs: bool = False,
        fade_frames: int = 1,
        precision: torch.dtype | None = None,
        graphs: bool = True,
    ) -> None:
        super().__init__(
            str(model.name),
            replace(model.features, gives="rgb" if model.luma_path is None else "luma"),
            bank,
            temporal_smoothing,
            correct_inputs=correct_inputs,
            fade_frames=fade_frames,
        )
        self._model: Fuser = model.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._device = model.bank.device
        # Half the numbers' bits for less time; the result changes by less than half a gray level.
        on_gpu = self._device.type == "cuda"
        fast = torch.float16 if on_gpu else fast_precision("cpu")
        self._precision = precision or fast
        self._fuse: Forward = GraphedForward(self._plain) if on_gpu and graphs else self._plain
        self._generator = torch.Generator(self._device).manual_seed(0)
        self._wording = Wording(model.encode_text, _TEXT_FADE) if model.features.uses_text else None
        self._slots: tuple[FloatImage, Tensor] | None = None

    @property
    def network(self) -> Fuser:
        """The network."""
        return self._model

    @property
    def device(self) -> str:
        """Where the network runs: ``cpu`` or ``cuda``."""
        return self._device.type

    @property
    def kind(self) -> str:
        """``torch`` and the precision."""
        return f"torch {str(self._precision).removeprefix('torch.')}"

    @property
    def option_kinds(self) -> dict[str, type[Settings]]:
        """Name of the network -> its block of options."""
        return {self.name: self._model.Options}

    def configure(self, options: Settings) -> None:
        """Set the network's options."""
        self._model.configure(options)

    def describe(self, text: str) -> None:
        """Set the text that describes the results, for a network that takes one; empty: none."""
        if self._wording is not None:
            self._wording.say(text)

    def named(self, text: str) -> frozenset[str]:
        """Return what a text names to be shown: ``people``, ``vehicles``, ``hot``."""
        return self._model.named(text) if text and self.uses_text else frozenset()

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
        return self._picture_of(self._joined(pictures, task, prior, text))

    @torch.inference_mode()
    def explain_pictures(
        self,
        pictures: Sequence[UInt8Image],
        task: str,
        *,
        prior: ScenePrior | None = None,
        text: str | None = None,
    ) -> ExplainedPicture:
        """Fuse pictures of any task, and say which of them made each pixel.

        Arguments and errors are those of :meth:`fuse_pictures`.
        """
        output = self._joined(pictures, task, prior, text)
        image = self._picture_of(output)
        if output.decision is None:
            return ExplainedPicture(image)
        shares, prompts = (share[0].float().cpu().numpy() for share in output.decision)
        return ExplainedPicture(image, shares, prompts)

    def _joined(
        self,
        pictures: Sequence[UInt8Image],
        task: str,
        prior: ScenePrior | None,
        text: str | None,
    ) -> FuserOutput:
        self._generator.manual_seed(0)
        tokens = None
        if self.uses_prior and prior is not None:
            tokens = self._to_device(self._fade.step(prior))[None]
        cues = Cues(
            tokens=tokens,
            task=task,
            text=self._still_text(text),
            memory=None if self._bank is None else self._memory(self._bank.slots),
            generator=self._generator,
        )
        tensors = [to_tensor(picture, self._device) for picture in pictures]
        with self._fast():
            output: FuserOutput = self._model.fuse_many(tensors, cues)
        if not bool(output.image.isfinite().all()):
            raise self._not_finite()
        return output

    @staticmethod
    def _picture_of(output: FuserOutput) -> UInt8Image:
        return to_uint8(output.image[0].float().permute(1, 2, 0).cpu().numpy())

    @property
    def text_in_force(self) -> str | None:
        """The text of the newest frame."""
        return None if self._wording is None else self._wording.in_force

    def restart(self) -> None:
        """Let the next pair be the first one; see :meth:`PairEngine.restart`."""
        super().restart()
        if self._wording is not None:
            self._wording.restart()

    def run(self, prepared: PreparedPair) -> tuple[NetworkPicture, float]:
        """Run the network; return what it made of a pair, and its milliseconds."""
        visible, hot, cues = self.tensors(prepared)
        made, network_ms = self.forward(visible, hot, cues)
        return made.picture(0), network_ms

    def _still_text(self, text: str | None) -> TextCue | None:
        """Return the text of single pictures, of a network that takes one."""
        if self._wording is None:
            if text:
                self._model.encode_text(text)  # says that it takes none
            return None
        return self._wording.still(text or "")

    @torch.inference_mode()
    def tensors(self, prepared: PreparedPair) -> tuple[Tensor, Tensor, Cues]:
        """Return a pair and what is known of it as :meth:`forward` takes them."""
        chroma = None
        if self._features.uses_chroma and self._features.gives == "luma":
            swapped = self._to_device(prepared.camera.pixels[..., 2:0:-1].copy())
            chroma = swapped.permute(2, 0, 1)[None].float().mul_(1 / 255)
        tokens, mask, slots = prepared.tokens, prepared.mask, prepared.slots
        cues = Cues(
            chroma=chroma,
            tokens=None if tokens is None else self._to_device(tokens)[None],
            mask=None if mask is None else self._to_device(mask)[None, None],
            text=None if self._wording is None else self._wording.step(),
            memory=None if slots is None else self._memory(slots),
            stream=prepared.stream if self.uses_stream else None,
            generator=self._generator,
        )
        hot = self._to_device(prepared.thermal)[None, None]
        return to_tensor(prepared.seen, self._device), hot, cues

    @torch.inference_mode()
    def forward(self, visible: Tensor, hot: Tensor, cues: Cues) -> tuple[NetworkTensors, float]:
        """Run the network; return what it made and its milliseconds.

        Args:
            visible: ``BxCxHxW`` of what it sees of the visible pictures, in [0, 1].
            hot: ``Bx1xHxW`` in [0, 1].
            cues: What else is known.
        """
        start = time.perf_counter()
        made = self._fuse(visible, hot, cues)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return made, (time.perf_counter() - start) * 1e3

    def _plain(self, visible: Tensor, hot: Tensor, cues: Cues) -> NetworkTensors:
        """Run the network step by step."""
        with self._fast():
            return fuse_tensors(self._model, visible, hot, cues)

    def _to_device(self, array: FloatImage | UInt8Image) -> Tensor:
        return on_device(array, self._device)

    def _memory(self, slots: FloatImage) -> Tensor:
        """Return the bank's slots on the device; they are moved when they have changed."""
        if self._slots is None or self._slots[0] is not slots:
            self._slots = slots, self._to_device(slots)
        return self._slots[1]

    def _fast(self) -> torch.autocast:
        """Return the context in which the network runs in the fast precision."""
        half = self._precision != torch.float32
        # What is recorded for a GPU must not hold weights that a cache lets go.
        cached = self._device.type != "cuda"
        return torch.autocast(
            self._device.type, self._precision, enabled=half, cache_enabled=cached
        )
