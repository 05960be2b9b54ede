"""What executes an ONNX file, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
Provider = Literal["cpu", "cuda", "tensorrt"]


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """How a file is executed.

    Attributes:
        kind: ``onnx`` for ONNX Runtime, or ``openvino``.
        threads: CPU threads; 0: all cores.
        half: Compute with 16 bits where the hardware multiplies them fast.
        provider: Execution provider of ONNX Runtime.
    """

    kind: Literal["onnx", "openvino"]
    threads: int = 0
    half: bool = False
    provider: Provider = "cpu"


class Session(Protocol):
    """An ONNX file that is ready to run; safe to run from several threads."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """The file's ``metadata_props``."""
        ...

    @property
    def precision(self) -> str:
        """Type of the numbers that it computes with, such as ``float32``."""
        ...

    def run(self, feeds: Arrays) -> dict[str, NDArray[Any]]:
        """Return name -> output.

        Args:
            feeds: Name of an input -> array; sizes may change from call to call.

        Raises:
            NetworkError: The network cannot be executed.
        """
        ...
