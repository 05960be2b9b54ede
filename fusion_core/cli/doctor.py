"""``fusion doctor``: what this machine has for running the networks, and what is picked."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Literal

import tyro

from fusion_core.cli.settings import Assignments, read_config

_PACKAGES = ("torch", "openvino", "onnxruntime", "onnxruntime-gpu")


@dataclass(frozen=True)
class Doctor:
    """Tell which engines this Python has, which one runs a model here and why, and the detector.

    Where nothing has been measured yet, this measures; later runs then start at once.
    """

    model: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """One of `fusion models`, or a checkpoint; the default model when not given."""
    device: Literal["auto", "cpu", "cuda"] | None = None
    """Where the network runs."""
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE.yaml")] = None
    """Configuration file."""
    settings: Assignments = ()
    """Any setting, such as engine.kind=onnx or threads=2."""

    def run(self) -> int:
        """Print packages, providers, the engine with the reason, and the detector."""
        from fusion_core.pipeline.builders import open_detection, open_local_engine

        flags = {"model": self.model, "device": self.device}
        config = read_config(self.config, flags, self.settings)
        for package in _PACKAGES:
            print(f"{package:16s} {_version(package)}")
        print(f"{'providers':16s} {', '.join(_providers()) or 'none'}")
        engine = open_local_engine(config)
        print(f"{'model':16s} {engine.name} on {engine.device}")
        why = engine.choice or ("as set" if config.engine.kind != "auto" else "the only one")
        print(f"{'engine':16s} {engine.kind} ({why})")
        detection = open_detection(config, engine.device)
        about = detection.status() if detection else None
        found = f"{about['file']}: {about['input']}, {about['provider']}" if about else "none"
        print(f"{'detector':16s} {found}")
        if detection:
            detection.close()
        return 0


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _providers() -> list[str]:
    """Return the execution providers of ONNX Runtime."""
    try:
        import onnxruntime
    except ImportError:
        return []
    found = onnxruntime.get_available_providers()
    return [name.removesuffix("ExecutionProvider") for name in found]
