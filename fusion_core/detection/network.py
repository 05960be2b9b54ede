"""A detector's ONNX file, executed by ONNX Runtime or OpenVINO."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fusion_core.detection.letterbox import Size
from fusion_core.errors import DetectorError, FusionError, MissingExtraError
from fusion_core.inference import Session, SessionConfig, is_installed, open_session
from fusion_core.inference.choice import kept_choice, machine, measure
from fusion_core.inference.onnx_session import spin_briefly
from fusion_core.runtime.shared_parts import SharedParts, file_identity

_log = logging.getLogger(__name__)
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_ANY_SIZE = (640, 640)
_LARGEST_EDGE = 8192
_SHOWN = 100  # characters of a wrong value in a message
_FATAL_ONLY = 4
_sessions: SharedParts[Any] = SharedParts()

DetectorEngine = Literal["auto", "onnx", "openvino"]
_KINDS = ("openvino", "onnx")  # of equally fast ones the first is taken


class Network:
    """One network with an image input and any outputs; loaded once for all who run it alike.

    A second input is taken as that of RT-DETR and D-FINE: the size that boxes are wanted in.

    Args:
        path: ONNX file.
        device: ``auto``, ``cpu`` or ``cuda``; without a usable CUDA provider the CPU does it.
        threads: CPU threads; 0: all cores.
        kind: What executes it on a CPU: ``onnx`` (ONNX Runtime), ``openvino``, or ``auto``: the
            faster by a short measurement, which is kept.

    Raises:
        DetectorError: The file is missing or broken, or its inputs are not those of a detector.
        MissingExtraError: ONNX Runtime is not installed.

    Attributes:
        size: Width and height of the image input.
        large: Width and height that the file states for large pictures; ``size`` where it does not.
        channels: Its channels, 3 or 4.
        provider: What executes it: ``CUDA``, ``CPU`` (both ONNX Runtime), or OpenVINO with its
            precision.
        metadata: The file's ``metadata_props``; none where they are no text.
    """

    def __init__(
        self, path: Path, device: str, threads: int, kind: DetectorEngine = "onnx"
    ) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise MissingExtraError(
                f"{path}: a detector needs onnxruntime, which every installation brings; in your "
                "clone of the project run: pip install -e ."
            ) from None
        if not path.is_file():
            raise DetectorError(f"{path}: no such file; give an ONNX file of a detector")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        spin_briefly(options, onnxruntime.__version__)
        options.log_severity_level = _FATAL_ONLY
        try:
            self._session = _sessions.get(
                (file_identity(path), device, threads),
                lambda: onnxruntime.InferenceSession(
                    str(path), options, providers=_providers(onnxruntime, device)
                ),
            )
        except Exception as error:  # noqa: BLE001 - its errors have no common class
            raise DetectorError(f"{path}: ONNX Runtime cannot load it ({_line(error)})") from None
        self.provider = self._session.get_providers()[0].removesuffix("ExecutionProvider")
        if device == "cuda" and self.provider != "CUDA":
            _log.warning(
                "%s: runs on the CPU, this ONNX Runtime cannot use CUDA; install onnxruntime-gpu "
                "in place of onnxruntime",
                path,
            )
        self._path = path
        self.metadata = self._read_metadata()
        self._read_inputs()
        self._openvino: Session | None = None
        if self.provider == "CPU" and kind != "onnx" and is_installed("openvino"):
            self._use_openvino(threads, asked=kind == "openvino")

    def _read_metadata(self) -> Mapping[str, str]:
        """Return the metadata of the file; none where they are no text."""
        try:
            metadata: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
        except UnicodeDecodeError:
            _log.warning(
                "%s: its metadata are not UTF-8 and are not used; list `names` in %s",
                self._path,
                self._path.with_suffix(".yaml"),
            )
            return {}
        return metadata

    def _read_inputs(self) -> None:
        image, *others = self._session.get_inputs()
        shape = image.shape
        if image.type not in _TYPES or len(shape) != 4 or len(others) > 1:
            raise DetectorError(
                f"{self._path}: input {image.name!r} is {image.type} {shape} beside {len(others)} "
                "others; expected float 1 x 3 or 4 x height x width and at most one more"
            )
        if shape[1] not in {3, 4}:
            raise DetectorError(
                f"{self._path}: input {image.name!r} has {shape[1]} channels; expected 3 (fused "
                "picture) or 4 (visible and thermal)"
            )
        # Inputs of any size carry names in place of numbers.
        chosen = self._stated_size("imgsz") or _ANY_SIZE
        height, width = (
            edge if isinstance(edge, int) else other
            for edge, other in zip(shape[2:], chosen, strict=True)
        )
        self._image, self._type = image.name, _TYPES[image.type]
        self._extra = others[0].name if others else None
        self.channels: int = shape[1]
        self.size: Size = (width, height)
        fixed = all(isinstance(edge, int) for edge in shape[2:])
        large = None if fixed else self._stated_size("imgsz_large")
        self.large: Size = large[::-1] if large else self.size
        for wide, high in (self.size, self.large):
            if not (min(wide, high) > 0 and max(wide, high) <= _LARGEST_EDGE):
                raise DetectorError(
                    f"{self._path}: its input is {wide}x{high} pixels; expected edges from 1 to "
                    f"{_LARGEST_EDGE}"
                )

    def _stated_size(self, key: str) -> tuple[int, int] | None:
        """Return a height and width that the metadata state for inputs of any size.

        ``imgsz`` is Ultralytics' name for it.
        """
        text = self.metadata.get(key, "")
        if not text:
            return None
        try:
            height, width = (int(edge) for edge in json.loads(text))
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise DetectorError(
                f"{self._path}: {key} = {text[:_SHOWN]!r}; expected [height, width]"
            ) from None
        return height, width

    def run(self, blob: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Return name -> output for a ``1xCxHxW`` input.

        Raises:
            DetectorError: The network cannot be executed.
        """
        feeds = self._feeds(blob)
        if self._openvino is not None:
            try:
                return self._openvino.run(feeds)
            except FusionError as error:
                raise DetectorError(str(error)) from None
        return self._run_onnx(feeds)

    def _feeds(self, blob: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Return name -> input."""
        feeds: dict[str, NDArray[Any]] = {self._image: blob.astype(self._type, copy=False)}
        if self._extra is not None:
            feeds[self._extra] = np.array([self.size], np.int64)
        return feeds

    def _use_openvino(self, threads: int, *, asked: bool) -> None:
        """Go on with OpenVINO where it was asked for, or is faster than ONNX Runtime here."""
        key = machine(detector=file_identity(self._path)[1:], size=self.size, threads=threads)
        choice = None if asked else kept_choice(key, _KINDS)
        if choice is not None and choice.kind == "onnx":
            return
        feeds = self._feeds(np.zeros((1, self.channels, *self.size[::-1]), np.float32))
        try:
            session = open_session(self._path, SessionConfig("openvino", threads, half=True))
            session.run(feeds)
        except FusionError as error:
            if asked:
                raise DetectorError(str(error)) from None
            _log.info("%s: stays with ONNX Runtime (%s)", self._path, error)
            return
        if not asked and choice is None:
            runs = {"openvino": lambda: session.run(feeds), "onnx": lambda: self._run_onnx(feeds)}
            choice = measure(key, runs)
        if choice is None or choice.kind == "openvino":
            self._openvino = session
            self.provider = f"OpenVINO {session.precision}"

    def _run_onnx(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return name -> output of ONNX Runtime.

        Raises:
            DetectorError: The network cannot be executed.
        """
        # One copy to the network's device and one back, whatever the provider.
        binding = self._session.io_binding()
        names = [output.name for output in self._session.get_outputs()]
        try:
            for name, array in feeds.items():
                binding.bind_cpu_input(name, np.ascontiguousarray(array))
            for name in names:
                binding.bind_output(name)
            self._session.run_with_iobinding(binding)
            results = binding.copy_outputs_to_cpu()
        except Exception as error:  # noqa: BLE001 - its errors have no common class
            raise DetectorError(f"{self._path}: cannot be executed ({_line(error)})") from None
        return dict(zip(names, results, strict=True))


def _providers(runtime: Any, device: str) -> list[str]:  # noqa: ANN401 - the imported module
    """Return execution providers in order of preference."""
    cuda = "CUDAExecutionProvider"
    if device == "cpu" or cuda not in runtime.get_available_providers():
        return ["CPUExecutionProvider"]
    runtime.preload_dlls()  # finds the CUDA libraries that torch brought
    return [cuda, "CPUExecutionProvider"]


def _line(error: Exception) -> str:
    """Return an error's message as one line of bounded length."""
    return " ".join(str(error).split())[:200]
