"""One call for one registered set of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusion_core.engine import ExplainedPicture, PairEngine
from fusion_core.engine.exported import (
    ExportedEngine,
    ExportedNetwork,
    exported_file,
    trained_bank,
)
from fusion_core.errors import (
    CalibrationError,
    EncodingError,
    MaskError,
    UsageError,
    WeightsError,
    missing_extra,
)
from fusion_core.inference import SessionConfig, is_installed
from fusion_core.memory import MemoryConfig
from fusion_core.models.features import VISIBLE_INFRARED
from fusion_core.priors import PriorProvider, PriorsConfig, assess_pair, open_provider
from fusion_core.registration import Registrar, check_images
from fusion_core.thermal import ThermalConfig, ThermalProcessor
from fusion_core.types import AlignedPair, Frame, ScenePrior, ThermalImage, UInt8Image

if TYPE_CHECKING:
    from fusion_core.engine import Engine
    from fusion_core.models import Fuser

_DEFAULT = "m2pn-edge"
_ENCODINGS = {"uint8": "mono8", "uint16": "mono16", "float32": "32FC1", "float64": "32FC1"}


def fuse(
    thermal: NDArray[Any],
    visible: UInt8Image,
    model: str | Fuser = _DEFAULT,
    device: str = "auto",
    mask: NDArray[Any] | None = None,
) -> UInt8Image:
    """Fuse one registered pair of images.

    Every call stands alone: no gain limits and no memory are carried from call to call. A model
    that uses a scene prior gets that of the embedded provider for this pair.

    Args:
        thermal: ``HxW``, hot is bright: uint8 or float in [0, 1] as shown, or uint16 or float
            counts of any other range.
        visible: ``HxWx3`` uint8 RGB of the same size.
        model: Name of a model, or one that `load_model` returned, with the options set there.
        device: ``auto``, ``cpu`` or ``cuda``; a loaded model stays where it is.
        mask: ``HxW``; every value but zero marks what matters, for models that take a mask.

    Returns:
        ``HxWx3`` uint8 RGB.

    Raises:
        UsageError: Unknown model or device, or the model does not fuse visible and thermal images.
        EncodingError: An array has the wrong type or shape.
        CalibrationError: The sizes differ.
        MaskError: The mask has another size.
    """
    check_images(thermal, visible)
    frame = Frame(0, "visible", visible, "rgb8")
    aligned = Registrar(None).align(0, frame, _luminance(thermal))
    if mask is not None and mask.shape != visible.shape[:2]:
        raise MaskError(
            f"mask: shape {mask.shape} for a visible image of {visible.shape[:2]}: "
            "a mask lies on the visible image's grid"
        )
    marked = None if mask is None else (np.asarray(mask) != 0).astype(np.float32)
    engine = _pair_engine(model, device)
    prior = assess_pair(_provider(), aligned) if engine.uses_prior else None
    return engine.fuse(aligned, prior, marked).image


def fuse_images(
    *images: UInt8Image,
    task: str = VISIBLE_INFRARED,
    text: str | None = None,
    model: str | Fuser | None = None,
    device: str = "auto",
) -> UInt8Image:
    """Fuse two or more registered colour pictures.

    Every call stands alone, as with :func:`fuse`, which is the call for a thermal picture as the
    camera gives it.

    Args:
        images: ``HxWx3`` uint8 RGB of one size. ``vif``: the visible picture, then the thermal one
            as gray. ``mef``: pictures of several exposures, the darkest first. ``mff``: pictures
            of several focus distances.
        task: ``vif``, ``mef`` or ``mff``.
        text: Description of the result, for models that take a text.
        model: Name of a model, or one that `load_model` returned; None takes the model of
            :func:`fuse` where it does the task, else the first installed one that does it, with
            this text.
        device: ``auto``, ``cpu`` or ``cuda``; a loaded model stays where it is.

    Returns:
        ``HxWx3`` uint8 RGB.

    Raises:
        UsageError: Unknown model or device, no model does the task, or the model cannot fuse so
            many pictures or lacks something that it needs.
        EncodingError: An array has the wrong type or shape.
        CalibrationError: The sizes differ.
    """
    ready = _ready(images, task, text, model, device)
    return ready.engine.fuse_pictures(images, task, prior=ready.prior, text=text)


def explain_images(
    *images: UInt8Image,
    task: str = VISIBLE_INFRARED,
    text: str | None = None,
    model: str | Fuser | None = None,
    device: str = "auto",
) -> ExplainedPicture:
    """Fuse as :func:`fuse_images` does, and say which picture made each pixel.

    Returns:
        The picture, with the shares of the given ones where the model has any.
    """
    ready = _ready(images, task, text, model, device)
    return ready.engine.explain_pictures(images, task, prior=ready.prior, text=text)


def _ready(
    images: Sequence[UInt8Image],
    task: str,
    text: str | None,
    model: str | Fuser | None,
    device: str,
) -> _Ready:
    """Return what fuses these pictures, checked."""
    _check_pictures(images)
    if model is None:
        model = model_for(task, text)
    loaded = _engine(model, device)
    features, name = loaded.network.features, loaded.network.name
    if task not in features.tasks:
        raise UsageError(
            f"model {name!r}: does {', '.join(features.tasks)}, not {task!r}; {_models_for(task)}"
        )
    if len(images) > features.max_pictures:
        raise UsageError(
            f"model {name!r}: fuses up to {features.max_pictures} pictures, {len(images)} are "
            "given; leave some out"
        )
    prior = None
    if task == VISIBLE_INFRARED and features.uses_prior:
        visible, thermal = images[:2]
        gray = thermal[..., 0] / np.float32(255)
        valid = np.ones(gray.shape, bool)
        prior = assess_pair(_provider(), AlignedPair(0, visible, gray, valid))
    return _Ready(loaded.engine, prior)


class _Ready(NamedTuple):
    """An engine, and what it is told of the pictures that it is to fuse."""

    engine: Engine
    prior: ScenePrior | None


class _Loaded(NamedTuple):
    """A network and what runs it, with a memory bank that stays as trained."""

    network: Fuser
    engine: Engine


def _check_pictures(images: Sequence[UInt8Image]) -> None:
    if len(images) < 2:
        raise UsageError(f"{len(images)} picture(s) given: fusion takes two or more")
    for number, image in enumerate(images, start=1):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise EncodingError(
                f"picture {number}: {image.dtype} array of shape {image.shape}; "
                "give HxWx3 uint8 RGB"
            )
        if image.shape != images[0].shape:
            raise CalibrationError(
                f"picture {number} is {image.shape[1]}x{image.shape[0]}, the first one "
                f"{images[0].shape[1]}x{images[0].shape[0]}: register them first"
            )


def model_for(task: str, text: str | None = None) -> str:
    """Return the model that :func:`fuse_images` takes when none is named.

    Raises:
        UsageError: No installed model does the task, with this text.
    """
    from fusion_core.models import find_models

    # A model that reads texts is for those who say something.
    known = find_models(
        lambda features: task in features.tasks and features.uses_text == (text is not None)
    ) or find_models(lambda features: task in features.tasks and text is None)
    if not known:
        what = f"task {task!r}" + (" with a text" if text is not None else "")
        raise UsageError(f"no installed model does {what}; install or train one that does")
    return _DEFAULT if _DEFAULT in known else known[0]


def _models_for(task: str) -> str:
    from fusion_core.models import find_models

    known = find_models(lambda features: task in features.tasks)
    return f"models that do: {', '.join(known)}" if known else f"no installed model does {task!r}"


def _pair_engine(model: str | Fuser, device: str) -> PairEngine:
    """Return what fuses a pair: PyTorch, or where it is not installed the exported network.

    Raises:
        MissingExtraError: The model was not exported, and needs it.
    """
    if isinstance(model, str) and not is_installed("torch"):
        return _load_exported(model)
    return _engine(model, device).engine


@lru_cache(maxsize=4)
def _load_exported(model: str) -> ExportedEngine:
    try:
        path = exported_file(model)
    except WeightsError:
        raise missing_extra(f"model {model!r}", "torch", "torch") from None
    network = ExportedNetwork(path, SessionConfig("onnx"))
    return ExportedEngine(network, trained_bank(network, MemoryConfig(mode="frozen")))


def _engine(model: str | Fuser, device: str) -> _Loaded:
    return _load(model, device) if isinstance(model, str) else _wrap(model)


@lru_cache(maxsize=4)
def _load(model: str, device: str) -> _Loaded:
    if not is_installed("torch"):
        raise missing_extra(f"model {model!r}", "torch", "torch")
    from fusion_core.engine import pick_device
    from fusion_core.models import load_model

    return _wrap(load_model(model, pick_device(device)))


def _wrap(network: Fuser) -> _Loaded:
    from fusion_core.engine import Engine, open_bank

    return _Loaded(network, Engine(network, open_bank(network, MemoryConfig(mode="frozen"))))


@lru_cache(maxsize=1)
def _provider() -> PriorProvider:
    """Return the embedded provider."""
    exported = not is_installed("torch")
    return open_provider("embedded", PriorsConfig(), "cpu", exported=exported)


def _luminance(thermal: NDArray[Any]) -> ThermalImage:
    """Return counts after gain control; floats already in [0, 1] are taken as they are."""
    encoding = _ENCODINGS[str(thermal.dtype)]
    if encoding == "32FC1":
        thermal = thermal.astype(np.float32)
        if thermal.min() >= 0 and thermal.max() <= 1:
            return ThermalImage(thermal, None)
    alone = ThermalConfig(freeze_frames=0, dead_pixels=False)
    return ThermalProcessor(alone).process(Frame(0, "thermal", thermal, encoding))
