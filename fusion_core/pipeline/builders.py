"""From a configuration to the modules that a pipeline joins."""

from __future__ import annotations

from pathlib import Path

import torch

from fusion_core.config import Config
from fusion_core.detection import DetectionRunner, Detector
from fusion_core.engine import Engine, SwitchingEngine, open_bank
from fusion_core.engine.switching import FADE_FRAMES
from fusion_core.errors import DetectorError, UsageError
from fusion_core.foundation import load_frozen
from fusion_core.masks import MaskProvider
from fusion_core.memory import MemoryBank, MemoryConfig, SnapshotManager
from fusion_core.models import Fuser, find_models, load_model, model_options
from fusion_core.models.cues import VISIBLE_INFRARED
from fusion_core.models.options import OptionField, options_fields, read_options, split_options
from fusion_core.priors import PriorScheduler, open_provider
from fusion_core.runtime.timed_call import START_TIMEOUT_S, CallTimeoutError, TimedCaller
from fusion_core.scene_memory import SceneMemory, SceneMemoryConfig


def open_engine(
    config: Config, device: torch.device
) -> tuple[Fuser, MemoryBank | None, Engine | SwitchingEngine]:
    """Return the network, or that of clear scenes, its bank, and what runs it.

    Raises:
        UsageError: Unknown model, one that the prior is to pick without a provider, or one that
            does not fuse visible and thermal pictures.
        ConfigError: The model has no such option, or its value has the wrong type or range.
        WeightsError: Weights of the model, or of a frozen model in it, are missing, torn or others
            than it was trained with.
        MissingExtraError: A frozen model needs a package that is not installed.
    """
    adapt = config.adapt
    if config.model != "auto":
        model = load_model(config.model, device)
        _check_stream_use(model)
        model.configure(read_options(model.Options, config.options, config.model))
        bank = open_bank(model, config.memory)
        return model, bank, _engine(config, model, bank)
    if config.prior == "none":
        raise UsageError("model 'auto' is picked by the prior: prior 'none' gives none; set one")
    names = adapt.clean, adapt.degraded
    model, other = (load_model(name, device) for name in names)
    kinds = {name: network.Options for name, network in zip(names, (model, other), strict=True)}
    options = split_options(kinds, config.options)
    for name, network in zip(names, (model, other), strict=True):
        _check_stream_use(network)
        network.configure(options[name])
    bank = open_bank(model, config.memory)
    clean = _engine(config, model, bank)
    degraded = _engine(config, other, open_bank(other, config.memory))
    return model, bank, SwitchingEngine(clean, degraded)


def tune_engine(config: Config, engine: Engine | SwitchingEngine) -> None:
    """Set what may change on an engine that was made with another configuration of its model.

    Raises:
        ConfigError: The model has no such option, or its value has the wrong type or range.
    """
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

    Raises:
        UsageError: Unknown model.
        WeightsError: A checkpoint is missing, torn or foreign.
    """
    pair = config.adapt.clean, config.adapt.degraded
    names = pair if config.model == "auto" else (config.model,)
    fields = {field.name: field for name in names for field in options_fields(model_options(name))}
    return tuple(fields.values())


def open_detection(config: Config, device: torch.device) -> DetectionRunner | None:
    """Return the detector and what follows it, None without one.

    Raises:
        DetectorError: The detector's file is missing, broken or of an unknown output format, or
            the detector times out.
    """
    if config.detector == "none":
        return None
    # It runs once when it is opened, which is its first chance to hang.
    with TimedCaller("detector-start") as caller:
        try:
            detector = caller.call(
                lambda: Detector(
                    config.detector,
                    device=device.type,
                    threads=config.threads,
                    output_format=config.detection.output_format,
                ),
                START_TIMEOUT_S,
            )
        except CallTimeoutError:
            raise DetectorError(
                f"{config.detector}: no result for a blank picture within {START_TIMEOUT_S:g} s; "
                "choose a faster detector"
            ) from None
    return DetectionRunner(detector, config.detection)


def open_masks(
    config: Config, model: Fuser, detection: DetectionRunner | None
) -> MaskProvider | None:
    """Return where masks come from, None for a model that takes none.

    Raises:
        UsageError: Masks were given to a model that takes none, or shall come from no detector or
            from classes that it does not have.
        MaskError: The file or folder of masks is missing or holds none.
    """
    if not model.features.uses_mask:
        if config.mask.file:
            known = ", ".join(find_models(lambda features: features.uses_mask))
            raise UsageError(
                f"mask {config.mask.file!r}: model {config.model!r} takes no mask; "
                f"models that do: {known}"
            )
        return None
    provider = MaskProvider(config.mask)
    if provider.uses_detections:
        if detection is None:
            raise UsageError(
                "mask.source 'detector': no detector is chosen; set detector 'default'"
            )
        detection.class_names.select(config.mask.labels, "mask.labels")
    return provider


def open_priors(
    config: Config, device: torch.device, engine: Engine | SwitchingEngine
) -> PriorScheduler | None:
    """Return what schedules the provider of scene priors, None without a provider.

    Raises:
        UsageError: The network cannot read this provider's tokens.
        WeightsError: The provider's weights are missing or torn.
        MissingExtraError: The provider needs a package that is not installed.
    """
    if config.prior == "none":
        return None
    provider = open_provider(config.prior, config.priors, device.type)
    engine.check_prior(provider.name, provider.dim)
    return PriorScheduler(provider, config.priors)


def open_scene_memory(config: SceneMemoryConfig) -> SceneMemory | None:
    """Return the scene memory, None where it is switched off."""
    return SceneMemory(config) if config.mode == "on" else None


def open_snapshots(
    config: MemoryConfig, bank: MemoryBank | None, scenes: SceneMemory | None
) -> tuple[SnapshotManager, SnapshotManager]:
    """Return what keeps the memory bank and the scene memory across restarts."""
    path = Path(config.file) if config.file else None
    beside = Path(f"{config.file}.places") if config.file else None
    return (
        SnapshotManager(bank, path, config.save_every_s),
        SnapshotManager(scenes, beside, config.save_every_s),
    )
