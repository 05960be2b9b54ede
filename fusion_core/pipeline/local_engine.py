"""What runs the networks in this process: PyTorch, OpenVINO or ONNX Runtime."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from fusion_core.config import Config
from fusion_core.engine import PairEngine, SwitchingEngine
from fusion_core.engine.exported import (
    ExportedEngine,
    ExportedNetwork,
    exported_file,
    trained_bank,
)
from fusion_core.engine.switching import FADE_FRAMES
from fusion_core.errors import (
    FusionError,
    MissingExtraError,
    UsageError,
    WeightsError,
    missing_extra,
)
from fusion_core.inference import SessionConfig, is_installed
from fusion_core.inference.choice import Choice, kept_choice, machine, measure
from fusion_core.inference.session import Provider
from fusion_core.models.options import NoOptions, read_options
from fusion_core.pipeline.threads import fusion_threads
from fusion_core.runtime.shared_parts import file_identity
from fusion_core.types import AlignedPair

# In the order of preference where they are equally fast: what starts soonest first.
KINDS: Final = ("openvino", "onnx", "torch")
# Some processors that multiply bfloat16 are faster in float32.
_FULL: Final = "openvino float32"
_SIZE: Final = (480, 640)
_GPUS: Final = ("/dev/nvidiactl", "/dev/nvhost-gpu")


LocalEngine = PairEngine | SwitchingEngine
OpenTorch = Callable[[Config], LocalEngine]


def open_local(config: Config, open_torch: OpenTorch) -> LocalEngine:
    """Return what runs the networks in this process; see ``open_local_engine``.

    Args:
        config: The configuration.
        open_torch: Opens the engine in PyTorch, which is installed when this is called.
    """
    kind = config.engine.kind
    if kind == "torch" or (kind == "auto" and config.model == "auto"):
        return _torch(config, open_torch)
    if config.model == "auto":
        return _exported_pair(config)
    if kind != "auto":
        return _exported(config, config.model, kind)
    return _fastest(config, open_torch)


def _fastest(config: Config, open_torch: OpenTorch) -> LocalEngine:
    """Return the engine that is fastest here; where only one kind can run the model, that one."""
    openings = _openings(config, open_torch)
    if len(openings) == 1:
        return next(iter(openings.values()))()
    key = machine(
        model=config.model,
        weights=_weights(config.model),
        size=_SIZE,
        threads=fusion_threads(config) or 0,
        device=config.device,
        provider=config.engine.provider,
    )
    choice = kept_choice(key, tuple(openings))
    if choice is not None:
        return _told(_single(openings[choice.kind]()), choice)
    engines: dict[str, PairEngine] = {}
    refused: dict[str, FusionError] = {}
    for kind, opening in openings.items():
        try:
            engines[kind] = _single(opening())
        except FusionError as error:
            refused[kind] = error
    if not engines:
        raise next(iter(refused.values()))
    if _FULL in engines and engines[_FULL].kind == engines["openvino"].kind:
        del engines[_FULL]
        refused[_FULL] = UsageError("openvino computes in float32 here")
    runs = {kind: partial(_run_once, engine) for kind, engine in engines.items()}
    choice = measure(key, runs, {kind: str(error) for kind, error in refused.items()})
    chosen = engines[choice.kind]
    chosen.restart()  # what was measured with is no frame of a stream
    return _told(chosen, choice)


def _openings(config: Config, open_torch: OpenTorch) -> dict[str, Callable[[], LocalEngine]]:
    """Return kind of engine -> what opens it, for those that can run the model here.

    Raises:
        FusionError: None can.
    """
    try:
        exported_file(config.model)
        wanted: tuple[str, ...] = KINDS if not config.options else ("torch",)
        lacking: FusionError | None = None
    except (WeightsError, UsageError) as error:
        wanted, lacking = ("torch",), error
    if config.device != "cpu" and _has_gpu():
        wanted = tuple(kind for kind in wanted if kind != "openvino")  # it runs on the CPU
    found: dict[str, Callable[[], LocalEngine]] = {}
    for kind in wanted:
        if not is_installed(kind) or (kind == "onnx" and not _can_provide(config)):
            continue
        if kind == "torch":
            found[kind] = partial(_torch, config, open_torch)
        else:
            found[kind] = partial(_exported, config, config.model, kind)
        if kind == "openvino":
            found[_FULL] = partial(_exported, config, config.model, kind, half=False)
    if not found:
        if isinstance(lacking, UsageError):
            raise lacking
        raise _needs_torch(config)
    return found


def _torch(config: Config, open_torch: OpenTorch) -> LocalEngine:
    """Return the engine in PyTorch.

    Raises:
        MissingExtraError: It is not installed.
    """
    if not is_installed("torch"):
        raise _needs_torch(config)
    try:
        return open_torch(config)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise _needs_torch(config) from None  # what is left of it is no package


def _needs_torch(config: Config) -> MissingExtraError:
    lacking = missing_extra(f"model {config.model!r} in this process", "torch", "torch")
    return MissingExtraError(
        f"{lacking}, or let a `fusion serve` in another Python run it and set engine.endpoint"
    )


def _exported(
    config: Config,
    model: str,
    kind: Any,  # noqa: ANN401 - a name
    *,
    half: bool = True,
) -> ExportedEngine:
    """Return the engine of an exported network, with half the bits where the hardware has them.

    Raises:
        UsageError: The kind does not run on the device, or lacks the provider.
        WeightsError: There is no exported network.
        ConfigError: Options are set, which an exported network does not have.
    """
    provider = _provider(config) if kind == "onnx" else "cpu"
    if kind == "openvino" and config.device == "cuda":
        raise UsageError("engine.kind 'openvino' runs on the CPU: set device cpu, or another kind")
    read_options(NoOptions, config.options, model)
    session = SessionConfig(kind, fusion_threads(config) or 0, half=half, provider=provider)
    network = ExportedNetwork(exported_file(model), session)
    return ExportedEngine(
        network,
        trained_bank(network, config.memory),
        config.temporal_smoothing,
        correct_inputs=config.adapt.correct_inputs,
        fade_frames=FADE_FRAMES,
    )


def _exported_pair(config: Config) -> SwitchingEngine:
    """Return the engine of model ``auto``, whose networks were both exported."""
    if config.prior == "none":
        raise UsageError("model 'auto' is picked by the prior: prior 'none' gives none; set one")
    names = config.adapt.clean, config.adapt.degraded
    clean, degraded = (_exported(config, name, config.engine.kind) for name in names)
    return SwitchingEngine(clean, degraded)


def _provider(config: Config) -> Provider:
    if config.engine.provider != "auto":
        return config.engine.provider
    return "cuda" if config.device == "cuda" or (config.device == "auto" and _has_gpu()) else "cpu"


def _can_provide(config: Config) -> bool:
    """Return whether ONNX Runtime has the provider that it would take."""
    if _provider(config) == "cpu":
        return True
    import onnxruntime

    return any("CUDA" in name for name in onnxruntime.get_available_providers())


def _has_gpu() -> bool:
    """Return whether an NVIDIA driver is there; nothing is imported."""
    return any(Path(name).exists() for name in _GPUS)


def _run_once(engine: PairEngine) -> None:
    """Run the network on a picture of the usual size."""
    ramp = np.linspace(0, 1, math.prod(_SIZE), dtype=np.float32).reshape(_SIZE)
    visible = np.repeat((ramp * 255).astype(np.uint8)[..., None], 3, axis=2)
    pair = AlignedPair(0, visible, np.ascontiguousarray(ramp[::-1]), np.ones(_SIZE, bool))
    engine.run(engine.prepare(pair, None, None))


def _single(engine: LocalEngine) -> PairEngine:
    assert isinstance(engine, PairEngine), "only model 'auto' has two networks"
    return engine


def _told(engine: PairEngine, choice: Choice) -> PairEngine:
    """Return the engine, which tells why it was picked."""
    engine.choice = choice.reason()
    return engine


def _weights(model: str) -> object:
    """Return what identifies the exported network."""
    return file_identity(exported_file(model))[1:]
