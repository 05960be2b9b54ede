"""One call for one registered pair of images."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_core.engine import Engine, open_bank, pick_device
from fusion_core.errors import MaskError
from fusion_core.memory import MemoryConfig
from fusion_core.models import load_model
from fusion_core.priors import PriorProvider, PriorsConfig, assess_pair, open_provider
from fusion_core.registration import Registrar, check_images
from fusion_core.thermal import ThermalConfig, ThermalProcessor
from fusion_core.types import Frame, ThermalImage, UInt8Image

_ENCODINGS = {"uint8": "mono8", "uint16": "mono16", "float32": "32FC1", "float64": "32FC1"}


def fuse(
    thermal: NDArray[Any],
    visible: UInt8Image,
    model: str = "m2pn-edge",
    device: str = "auto",
    mask: NDArray[Any] | None = None,
) -> UInt8Image:
    """Fuse one registered pair of images.

    Every call stands alone: no gain limits and no memory are carried from call to call. A model
    that uses a scene prior is told what the embedded provider says about this pair.

    Args:
        thermal: ``HxW``, hot is bright: uint8 or float in [0, 1] as shown, or uint16 or float
            counts of any other range.
        visible: ``HxWx3`` uint8 RGB of the same size.
        model: Name of a model.
        device: ``auto``, ``cpu`` or ``cuda``.
        mask: ``HxW``; every value but zero marks what matters, for models that take a mask.

    Returns:
        ``HxWx3`` uint8 RGB.

    Raises:
        UsageError: Unknown model or device.
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
    engine = _engine(model, device)
    prior = assess_pair(_provider(), aligned) if engine.uses_prior else None
    return engine.fuse(aligned, prior, marked).image


def _luminance(thermal: NDArray[Any]) -> ThermalImage:
    """Return counts after gain control; floats already in [0, 1] are taken as they are."""
    encoding = _ENCODINGS[str(thermal.dtype)]
    if encoding == "32FC1":
        thermal = thermal.astype(np.float32)
        if thermal.min() >= 0 and thermal.max() <= 1:
            return ThermalImage(thermal, None)
    alone = ThermalConfig(freeze_frames=0, dead_pixels=False)
    return ThermalProcessor(alone).process(Frame(0, "thermal", thermal, encoding))


@lru_cache(maxsize=4)
def _engine(model: str, device: str) -> Engine:
    """Return an engine whose memory bank stays as trained."""
    network = load_model(model, pick_device(device))
    return Engine(network, open_bank(network, MemoryConfig(mode="frozen")))


@lru_cache(maxsize=1)
def _provider() -> PriorProvider:
    """Return the embedded provider."""
    return open_provider("embedded", PriorsConfig(), "cpu")
