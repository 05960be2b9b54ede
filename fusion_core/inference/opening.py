"""One ONNX file, loaded once for all who run it alike."""

from __future__ import annotations

from pathlib import Path

from fusion_core.inference.onnx_session import OnnxSession
from fusion_core.inference.openvino_session import OpenVinoSession
from fusion_core.inference.session import Session, SessionConfig
from fusion_core.runtime.shared_parts import SharedParts, file_identity

_sessions: SharedParts[Session] = SharedParts()


def open_session(path: Path, config: SessionConfig) -> Session:
    """Return a session of a file; one that somebody holds already is shared.

    Raises:
        WeightsError: The file is missing or broken.
        MissingExtraError: The run time is not installed.
        UsageError: ONNX Runtime lacks the execution provider.
    """

    def make() -> Session:
        kind = OpenVinoSession if config.kind == "openvino" else OnnxSession
        return kind(path, config)

    return _sessions.get((*file_identity(path), config), make)
