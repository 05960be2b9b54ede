"""An ONNX file executed by OpenVINO on the CPU."""

from __future__ import annotations

import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import NetworkError, WeightsError
from fusion_core.inference.onnx_session import line_of
from fusion_core.inference.packages import missing_package
from fusion_core.inference.session import Arrays, SessionConfig
from fusion_core.runtime.cache import cache_folder

_SIZES: Final = 4
"""Sizes of pictures that stay compiled."""
_TELEMETRY: Final = "openvino_telemetry"
_Shapes = tuple[tuple[str, tuple[int, ...]], ...]


def _openvino(path: Path) -> Any:  # noqa: ANN401 - a package without types
    """Import OpenVINO without its telemetry, which forks a process to report every import.

    A fork of a process with threads may hang, and a robot reports nothing to anybody.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """
    known = _TELEMETRY in sys.modules
    if not known:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment] # what is not to be found
    try:
        import openvino
    except ImportError:
        raise missing_package(f"{path}: engine 'openvino'", "openvino") from None
    finally:
        if not known:
            del sys.modules[_TELEMETRY]
    return openvino


@cache
def _core(openvino: Any) -> Any:  # noqa: ANN401 - a package without types
    """Return the process's one core, with the plugin for CPUs loaded in a thread of its own.

    OpenVINO gives the thread that loads this plugin a stack for signals, and unmaps it when the
    plugin ends, even where it is still that thread's: when plugins end in the order in which they
    were loaded, or in another thread. Python takes signals on that stack, so the next Ctrl-C would
    end the process without a word. A thread that has ended takes no signals.
    """

    def load() -> Any:  # noqa: ANN401
        core = openvino.Core()
        core.get_property("CPU", "FULL_DEVICE_NAME")
        return core

    with ThreadPoolExecutor(1, "openvino") as loading:
        return loading.submit(load).result()


class OpenVinoSession:
    """One network in OpenVINO; see :class:`Session`.

    It is compiled for each size of picture, which is faster than one program for any size, and what
    was compiled is kept in the user's cache folder.

    Raises:
        WeightsError: The file is missing or broken.
        MissingExtraError: OpenVINO is not installed.
    """

    def __init__(self, path: Path, config: SessionConfig) -> None:
        openvino = _openvino(path)
        if not path.is_file():
            raise WeightsError(f"{path}: no such file; make it with `fusion export`")
        self._path, self._openvino = path, openvino
        self._core = _core(openvino)
        half = config.half and "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision = "bfloat16" if half else "float32"
        self._options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": config.threads,
            # Pinned threads wait for their core while another process has it.
            "ENABLE_CPU_PINNING": False,
            "CACHE_DIR": str(cache_folder("openvino")),
        }
        try:
            self._model = self._core.read_model(path)
        except Exception as error:  # noqa: BLE001 - its errors have no common class
            raise WeightsError(
                f"{path}: OpenVINO cannot load it ({line_of(error)}); export it again"
            ) from None
        self.metadata = _metadata(self._model)
        self._outputs = [port.any_name for port in self._model.outputs]
        self._programs: dict[_Shapes, _Program] = {}
        self._lock = threading.Lock()

    def run(self, feeds: Arrays) -> dict[str, NDArray[Any]]:
        """Return name -> output; see :meth:`Session.run`."""
        shapes = tuple((name, np.shape(array)) for name, array in feeds.items())
        given = {name: np.ascontiguousarray(array) for name, array in feeds.items()}
        try:
            program = self._program(shapes)
            request = program.take()
            request.infer(given, share_inputs=True)
            # Copies: the request's own memory is written again by its next run.
            results = {name: request.get_tensor(name).data.copy() for name in self._outputs}
        except Exception as error:  # noqa: BLE001 - its errors have no common class
            raise NetworkError(f"{self._path}: cannot be executed ({line_of(error)})") from None
        program.free.append(request)
        return results

    def _program(self, shapes: _Shapes) -> _Program:
        """Return the network for inputs of these sizes; the oldest of many is given up."""
        with self._lock:
            program = self._programs.get(shapes)
            if program is None:
                model = self._model.clone()
                model.reshape({name: list(shape) for name, shape in shapes})
                while len(self._programs) >= _SIZES:
                    del self._programs[next(iter(self._programs))]
                program = _Program(self._core.compile_model(model, "CPU", self._options))
                self._programs[shapes] = program
            return program


class _Program:
    """A network compiled for one size, with requests for as many threads as run it."""

    def __init__(self, compiled: Any) -> None:  # noqa: ANN401 - of the imported package
        self._compiled = compiled
        self.free: deque[Any] = deque()

    def take(self) -> Any:  # noqa: ANN401 - of the imported package
        """Return a request that nobody uses; it goes back to ``free``."""
        try:
            return self.free.pop()
        except IndexError:
            return self._compiled.create_infer_request()


def _metadata(model: Any) -> dict[str, str]:  # noqa: ANN401 - of the imported package
    """Return the ONNX file's metadata as OpenVINO keeps them."""
    if not model.has_rt_info(["framework"]):
        return {}
    found: dict[str, str] = model.get_rt_info(["framework"]).value
    return found
