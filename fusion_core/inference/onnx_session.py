"""An ONNX file executed by ONNX Runtime."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import NetworkError, UsageError, WeightsError
from fusion_core.inference.packages import missing_package
from fusion_core.inference.session import Arrays, Provider, SessionConfig
from fusion_core.runtime.cache import cache_folder

PROVIDERS: Final[dict[Provider, str]] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_FATAL_ONLY = 4
_SPIN_US = "50"
_SPINS_BRIEFLY = (1, 26)
_SHOWN = 200


class OnnxSession:
    """One network in ONNX Runtime; see :class:`Session`.

    Inputs and outputs are bound: what a GPU reads is copied into memory that it keeps from call to
    call. TensorRT keeps the engines that it builds in the user's cache folder.

    Raises:
        WeightsError: The file is missing or broken.
        MissingExtraError: ONNX Runtime is not installed.
        UsageError: It lacks the execution provider.
    """

    def __init__(self, path: Path, config: SessionConfig) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise missing_package(f"{path}: engine 'onnx'", "onnx") from None
        if not path.is_file():
            raise WeightsError(f"{path}: no such file; make it with `fusion export`")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = config.threads
        spin_briefly(options, onnxruntime.__version__)
        options.log_severity_level = _FATAL_ONLY
        self._runtime, self._path = onnxruntime, path
        self._device = "cpu" if config.provider == "cpu" else "cuda"
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=_providers(onnxruntime, config)
            )
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 - its errors have no common class
            raise WeightsError(
                f"{path}: ONNX Runtime cannot load it ({line_of(error)}); export it again"
            ) from None
        self._require(config.provider)
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        self.precision = "float16" if config.half and config.provider == "tensorrt" else "float32"
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._inputs = [given.name for given in self._session.get_inputs()]
        self._held: dict[str, Any] = {}
        self._lock = threading.Lock()

    def run(self, feeds: Arrays) -> dict[str, NDArray[Any]]:
        """Return name -> output; see :meth:`Session.run`."""
        binding = self._session.io_binding()
        try:
            with self._lock:
                for name in self._inputs:
                    self._bind(binding, name, np.ascontiguousarray(feeds[name]))
                for name in self._outputs:
                    binding.bind_output(name)
                self._session.run_with_iobinding(binding)
                results = binding.copy_outputs_to_cpu()
        except Exception as error:  # noqa: BLE001 - its errors have no common class
            raise NetworkError(f"{self._path}: cannot be executed ({line_of(error)})") from None
        return dict(zip(self._outputs, results, strict=True))

    def _bind(self, binding: Any, name: str, array: NDArray[Any]) -> None:  # noqa: ANN401
        """Bind an input; on a GPU into memory that stays there while the size does."""
        if self._device == "cpu":
            binding.bind_cpu_input(name, array)
            return
        held = self._held.get(name)
        if held is None or held.shape() != list(array.shape):
            held = self._runtime.OrtValue.ortvalue_from_numpy(array, self._device, 0)
            self._held[name] = held
        else:
            held.update_inplace(array)
        binding.bind_ortvalue_input(name, held)

    def _require(self, provider: Provider) -> None:
        """Refuse a session that fell back to another provider, as its libraries are not there."""
        used = self._session.get_providers()[0]
        if used != PROVIDERS[provider]:
            raise UsageError(
                f"engine.provider {provider!r}: ONNX Runtime fell back to {used}; install the "
                "libraries of CUDA and TensorRT, or set engine.provider cpu"
            )


def spin_briefly(options: Any, version: str) -> None:  # noqa: ANN401 - of the imported module
    """Let waiting threads spin from one operation to the next, but not after a run.

    Waking them costs more than most operations of a small network do; spinning on they would take
    the cores that cameras and the other networks need, so releases without a limit do not spin.

    Args:
        options: Options of a session.
        version: Of ONNX Runtime.
    """
    limited = tuple(int(part) for part in version.split(".")[:2]) >= _SPINS_BRIEFLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if limited else "0")
    options.add_session_config_entry("session.intra_op.spin_duration_us", _SPIN_US)


def line_of(error: Exception) -> str:
    """Return an error's message as one line of bounded length."""
    return " ".join(str(error).split())[:_SHOWN]


def _providers(runtime: Any, config: SessionConfig) -> list[Any]:  # noqa: ANN401 - the module
    """Return the execution providers with their options, the wanted one first.

    Raises:
        UsageError: This ONNX Runtime lacks it.
    """
    wanted, cpu = PROVIDERS[config.provider], PROVIDERS["cpu"]
    if wanted == cpu:
        return [cpu]
    known = runtime.get_available_providers()
    if wanted not in known:
        raise UsageError(
            f"engine.provider {config.provider!r}: this ONNX Runtime has {', '.join(known)}; "
            "install onnxruntime-gpu in place of onnxruntime, or set engine.provider cpu"
        )
    runtime.preload_dlls()  # finds the CUDA libraries that torch brought
    cuda = (PROVIDERS["cuda"], {"cudnn_conv_algo_search": "EXHAUSTIVE"})
    if config.provider == "cuda":
        return [cuda, cpu]
    folder = cache_folder("tensorrt")
    options = {
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(folder),
        "trt_fp16_enable": config.half,
    }
    return [(wanted, options), cuda, cpu]
