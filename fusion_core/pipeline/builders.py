"""From a configuration to the modules that a pipeline joins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fusion_core.config import Config
from fusion_core.detection import DetectionRunner, Detector
from fusion_core.detection.network import DetectorEngine
from fusion_core.engine.remote import RemoteEngine, RemoteProvider
from fusion_core.engine.settings import EngineKind
from fusion_core.errors import DetectorError, UsageError, missing_extra
from fusion_core.inference import is_installed
from fusion_core.masks import MaskProvider
from fusion_core.memory import MemoryConfig, SnapshotManager
from fusion_core.memory.kept import KeptBank
from fusion_core.models.options import OptionField, options_fields, read_options, split_options
from fusion_core.pipeline.local_engine import open_local
from fusion_core.pipeline.threads import detector_threads, usable_threads
from fusion_core.priors import PriorProvider, open_provider
from fusion_core.runtime.timed_call import START_TIMEOUT_S, CallTimeoutError, TimedCaller
from fusion_core.scene_memory import SceneMemory, SceneMemoryConfig

if TYPE_CHECKING:
    import torch

    from fusion_core.engine import Engine, PairEngine, SwitchingEngine
    from fusion_core.memory import MemoryBank
    from fusion_core.models import Fuser
    from fusion_core.pipeline.bracket_merger import BracketMerger

    StreamEngine = PairEngine | SwitchingEngine | RemoteEngine

# Kind of engine of the fusion -> what runs the detector on a CPU.
_DETECTOR_ENGINES: dict[EngineKind, DetectorEngine] = {
    "auto": "auto",
    "torch": "onnx",
    "openvino": "openvino",
    "onnx": "onnx",
}

# What of torch is needed is imported where torch runs a network in this process: with exported
# networks, or the networks on a server, the pipeline works in a Python without it.


def open_stream_engine(config: Config, *, server_required: bool) -> StreamEngine:
    """Return what runs the networks, in this process or on the server that is configured.

    Args:
        config: The configuration.
        server_required: The server has to answer now; otherwise it may come later.

    Raises:
        UsageError: As :func:`open_engine`, or the server's address or the keys are of no use.
        MissingExtraError: The networks are to run in this process, and it has no torch.
        EngineAwayError: The server does not answer.
        FusionError: It refuses the settings.
    """
    if not config.engine.endpoint:
        return open_local_engine(config)
    engine = RemoteEngine(config.engine, server_settings(config))
    try:
        engine.start(required=server_required)
    except Exception:
        engine.close()
        raise
    return engine


def open_local_engine(config: Config) -> PairEngine | SwitchingEngine:
    """Return what runs the networks in this process.

    Raises:
        UsageError: As :func:`open_engine`, or the kind of engine cannot run the model.
        MissingExtraError: What runs the model is not installed.
        WeightsError: The model was not exported for the kind of engine that is asked for.
    """
    return open_local(config, _open_torch)


def _open_torch(config: Config) -> Engine | SwitchingEngine:
    from fusion_core.pipeline.device import prepare_device

    return open_engine(config, prepare_device(config))[2]


def server_settings(config: Config) -> dict[str, object]:
    """Return what a server needs to know of a configuration, nested by block."""
    known = config.to_dict()
    names = ("model", "prior", "temporal_smoothing", "adapt", "options")
    return {name: known[name] for name in names} | {"memory": {"mode": config.memory.mode}}


def load_model(name: str, device: torch.device) -> Fuser:
    """Return a network whose weights are shared with all pipelines of this process that use it."""
    from fusion_core.models.sharing import shared_model

    return shared_model(name, device)


def open_engine(
    config: Config,
    device: torch.device,
    load: Callable[[str, torch.device], Fuser] | None = None,
) -> tuple[Fuser, MemoryBank | None, Engine | SwitchingEngine]:
    """Return the network, or that of clear scenes, its bank, and what runs it.

    Args:
        config: The configuration.
        device: Where the network runs.
        load: Loads a network by its name; None for `load_model`.

    Raises:
        UsageError: Unknown model, one that the prior is to pick without a provider, or one that
            does not fuse visible and thermal pictures.
        ConfigError: The model has no such option, or its value has the wrong type or range.
        WeightsError: Weights of the model, or of a frozen model in it, are missing, torn or others
            than it was trained with.
        MissingExtraError: A frozen model needs a package that is not installed.
    """
    from fusion_core.engine import SwitchingEngine, open_bank

    load = load or load_model
    adapt = config.adapt
    if config.model != "auto":
        model = load(config.model, device)
        _check_stream_use(model)
        model.configure(read_options(model.Options, config.options, config.model))
        bank = open_bank(model, config.memory)
        return model, bank, _engine(config, model, bank)
    if config.prior == "none":
        raise UsageError("model 'auto' is picked by the prior: prior 'none' gives none; set one")
    names = adapt.clean, adapt.degraded
    model, other = (load(name, device) for name in names)
    kinds = {name: network.Options for name, network in zip(names, (model, other), strict=True)}
    options = split_options(kinds, config.options)
    for name, network in zip(names, (model, other), strict=True):
        _check_stream_use(network)
        network.configure(options[name])
    bank = open_bank(model, config.memory)
    clean = _engine(config, model, bank)
    degraded = _engine(config, other, open_bank(other, config.memory))
    return model, bank, SwitchingEngine(clean, degraded)


def tune_engine(config: Config, engine: StreamEngine) -> None:
    """Set what may change on an engine that was made with another configuration of its model.

    On a server nothing may.

    Raises:
        ConfigError: The model has no such option, or its value has the wrong type or range.
    """
    if isinstance(engine, RemoteEngine):
        return
    engine.tune(
        split_options(engine.option_kinds, config.options),
        config.temporal_smoothing,
        correct_inputs=config.adapt.correct_inputs,
    )


def _check_stream_use(model: Fuser) -> None:
    """Refuse a network that cannot fuse a visible and a thermal stream.

    Raises:
        UsageError: It is made for other tasks, or needs a text or an edit for every picture.
    """
    from fusion_core.models import find_models
    from fusion_core.models.features import VISIBLE_INFRARED

    features = model.features
    if VISIBLE_INFRARED not in features.tasks:
        known = ", ".join(find_models(lambda other: VISIBLE_INFRARED in other.tasks))
        raise UsageError(
            f"model {model.name!r}: does {', '.join(features.tasks)}; models that fuse a visible "
            f"and a thermal stream: {known}"
        )
    if missing := sorted(features.needs & {"text", "edit"}):
        raise UsageError(
            f"model {model.name!r}: needs a cue {missing[0]!r}, which a stream does not have; "
            "choose another model"
        )


def _engine(config: Config, model: Fuser, bank: MemoryBank | None) -> Engine:
    from fusion_core.engine import Engine
    from fusion_core.engine.switching import FADE_FRAMES
    from fusion_core.foundation import load_frozen

    load_frozen(model)
    return Engine(
        model,
        bank,
        config.temporal_smoothing,
        correct_inputs=config.adapt.correct_inputs,
        fade_frames=FADE_FRAMES,
    )


def option_fields(config: Config) -> tuple[OptionField, ...]:
    """Return the options of the model, or of both models of ``auto``; no network is built.

    Those of a model on a server are known there only: here there are none.

    Raises:
        UsageError: Unknown model.
        WeightsError: A checkpoint is missing, torn or foreign.
    """
    if config.engine.endpoint or not is_installed("torch"):
        return ()  # exported networks have none
    from fusion_core.models import model_options

    pair = config.adapt.clean, config.adapt.degraded
    names = pair if config.model == "auto" else (config.model,)
    fields = {field.name: field for name in names for field in options_fields(model_options(name))}
    return tuple(fields.values())


def open_detection(config: Config, device: str) -> DetectionRunner | None:
    """Return the detector and what follows it, None without one.

    Args:
        config: The configuration.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        DetectorError: The detector's file is missing, broken or of an unknown output format, or
            the detector times out.
    """
    if config.detector == "none":
        return None
    beside = detector_threads(config)
    detector = _open_detector(config, device, beside)
    # One that looks at the fused picture works when the fusion is done, with all threads.
    if not detector.takes_pair and beside != (alone := usable_threads(config)):
        detector = _open_detector(config, device, alone)
    return DetectionRunner(detector, config.detection)


def _open_detector(config: Config, device: str, threads: int) -> Detector:
    """Return the detector, which runs once when it is opened: its first chance to hang."""
    detection = config.detection
    engine = _DETECTOR_ENGINES[config.engine.kind]
    with TimedCaller("detector-start") as caller:
        try:
            return caller.call(
                lambda: Detector(
                    config.detector,
                    device=device,
                    threads=threads,
                    output_format=detection.output_format,
                    engine=engine,
                    input_choice=detection.input,
                    tiles=detection.tiles,
                ),
                START_TIMEOUT_S,
            )
        except CallTimeoutError:
            raise DetectorError(
                f"{config.detector}: no result for a blank picture within {START_TIMEOUT_S:g} s; "
                "choose a faster detector"
            ) from None


def open_bracket_merger(config: Config) -> BracketMerger | None:
    """Return what merges the exposures of a bracket, None where the camera does not alternate.

    It runs in this process.

    Raises:
        UsageError: No installed model does multi-exposure fusion, or the one named does not.
        WeightsError: Its weights are missing or torn.
        MissingExtraError: Torch is not installed.
    """
    if config.source.bracket == 1:
        return None
    if not is_installed("torch"):
        raise missing_extra(f"source.bracket {config.source.bracket}", "torch", "torch")
    from fusion_core.pipeline.bracket_merger import BracketMerger
    from fusion_core.pipeline.device import prepare_device

    return BracketMerger.open(config.source, prepare_device(config))


def open_masks(
    config: Config, engine: StreamEngine, detection: DetectionRunner | None
) -> MaskProvider | None:
    """Return where masks come from, None for a model that takes none.

    Raises:
        UsageError: Masks were given to a model that takes none, or shall come from no detector or
            from classes that it does not have.
        MaskError: The file or folder of masks is missing or holds none.
    """
    if not engine.uses_mask:
        if given := config.mask.file or config.mask.box:
            raise UsageError(
                f"mask {given!r}: model {config.model!r} takes no mask; "
                f"models that do: {_mask_models(engine)}"
            )
        return None
    provider = MaskProvider(config.mask)
    if provider.needs_detections:
        if detection is None:
            raise UsageError(
                "mask.source 'detector': no detector is chosen; set detector 'default'"
            )
        detection.class_names.select(config.mask.labels, "mask.labels")
    return provider


def _mask_models(engine: StreamEngine) -> str:
    """Return the models of this machine that take a mask."""
    if isinstance(engine, RemoteEngine):
        return "as the server's `fusion models` says"
    from fusion_core.models import find_models

    return ", ".join(find_models(lambda features: features.uses_mask))


def open_prior_provider(config: Config, engine: StreamEngine) -> PriorProvider | None:
    """Return the provider of scene priors, None without one; it runs where the networks run.

    Raises:
        UsageError: The network cannot read this provider's tokens.
        WeightsError: The provider's weights are missing or torn.
        MissingExtraError: The provider needs a package that is not installed.
    """
    if config.prior == "none":
        return None
    if isinstance(engine, RemoteEngine):
        return RemoteProvider(config.engine, config.prior)
    # Beside an exported network nothing shall wait for torch, or need it.
    exported = not engine.kind.startswith("torch")
    provider = open_provider(config.prior, config.priors, engine.device, exported=exported)
    engine.check_prior(provider.name, provider.dim)
    return provider


def open_scene_memory(config: SceneMemoryConfig) -> SceneMemory | None:
    """Return the scene memory, None where it is switched off."""
    return SceneMemory(config) if config.mode == "on" else None


def open_snapshots(
    config: MemoryConfig, bank: KeptBank | None, scenes: SceneMemory | None
) -> tuple[SnapshotManager, SnapshotManager]:
    """Return what keeps the memory bank and the scene memory across restarts."""
    path = Path(config.file) if config.file else None
    beside = Path(f"{config.file}.places") if config.file else None
    return (
        SnapshotManager(bank, path, config.save_every_s),
        SnapshotManager(scenes, beside, config.save_every_s),
    )
