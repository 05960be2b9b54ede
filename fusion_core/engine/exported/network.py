"""One exported network: pictures in, picture out."""

from __future__ import annotations

from contextlib import suppress
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.engine.exported.maps import apply_maps
from fusion_core.engine.picture_io import NetworkPicture
from fusion_core.errors import UsageError, WeightsError
from fusion_core.inference import SessionConfig, open_session
from fusion_core.models.exported import ExportedCard
from fusion_core.plugins import MODELS, plugin_names
from fusion_core.runtime.safetensors_file import read_safetensors, weights_identity
from fusion_core.types import FloatImage, UInt8Image

_LUMA: Final = np.array((0.299, 0.587, 0.114), np.float32)
_EXPORT: Final = "make it with `fusion export`"


def exported_file(model: str) -> Path:
    """Return where the exported network of a model lies: beside its weights.

    Nothing that needs PyTorch is imported.

    Args:
        model: Name of an installed model, whose weights lie in the folder ``weights`` beside the
            module that declares it; or a ``.safetensors`` checkpoint.

    Raises:
        UsageError: No such model.
        WeightsError: Nothing was exported.
    """
    if model.endswith(".safetensors"):
        path = Path(model).with_suffix(".onnx")
    else:
        known = {entry.name: entry for entry in entry_points(group=MODELS)}
        if model not in known:
            raise UsageError(f"model {model!r}: unknown; known models: {', '.join(sorted(known))}")
        path = _folder(known[model].module) / f"{model}.onnx"
    if not path.is_file():
        raise WeightsError(
            f"model {model!r}: no exported network {path}; "
            f"run `fusion export --model {model} --out {path}`, or set engine.kind torch"
        )
    return path


def _folder(module: str) -> Path:
    """Return the folder of weights beside a module, which is not imported.

    Raises:
        WeightsError: The module is no file, or its package cannot be imported.
    """
    try:
        spec = find_spec(module)
    except ImportError:
        spec = None
    if spec is None or not spec.origin:
        raise WeightsError(f"{module}: cannot be found; reinstall its package")
    return Path(spec.origin).parent / "weights"


def exported_models() -> tuple[str, ...]:
    """Return the installed models that were exported."""
    found = []
    for name in plugin_names(MODELS):
        with suppress(WeightsError):
            exported_file(name)
            found.append(name)
    return tuple(found)


class ExportedNetwork:
    """A network of ``fusion export`` in a session.

    Args:
        path: Its ONNX file. Weights of the same stem beside it must be those it was made from.
        config: How it is executed.

    Raises:
        WeightsError: The file is missing, torn or foreign, or made from other weights.
        MissingExtraError: The run time is not installed.
        UsageError: The execution provider is missing.
    """

    def __init__(self, path: Path, config: SessionConfig) -> None:
        self.path, self.config = path, config
        self._session = open_session(path, config)
        self.card = ExportedCard.from_metadata(self._session.metadata, str(path))
        weights = path.with_suffix(".safetensors")
        if weights.is_file() and _identity(weights) != self.card.weights:
            raise WeightsError(
                f"{path}: was made from other weights than {weights.name} beside it; {_EXPORT}"
            )

    @property
    def precision(self) -> str:
        """Type of the numbers that it computes with."""
        return self._session.precision

    def run(
        self,
        thermal: FloatImage,
        seen: UInt8Image,
        *,
        chroma: UInt8Image | None = None,
        tokens: FloatImage | None = None,
        mask: FloatImage | None = None,
        slots: FloatImage | None = None,
    ) -> NetworkPicture:
        """Return what the network makes of a pair.

        Args:
            thermal: ``HxW`` float32 in [0, 1].
            seen: Visible picture as the network sees it, ``HxW`` luma or ``HxWx3`` RGB.
            chroma: ``HxWx2`` Cb and Cr of it, for a network that looks at them.
            tokens: ``SxC`` tokens of the scene prior, for a network that needs it.
            mask: ``HxW`` in [0, 1], for a network that takes one; None marks nothing.
            slots: ``NxD`` slots of the memory bank; None: as trained.

        Raises:
            UsageError: It was exported with a prior, and there is none.
            NetworkError: It cannot be executed.
        """
        features = self.card.features
        height, width = thermal.shape
        pad = -height % self.card.grid, -width % self.card.grid
        hot, visible = _padded(thermal[None], pad), _padded(_planes(seen), pad)
        if features.gives == "luma":
            feeds: dict[str, NDArray[Any]] = {"thermal": hot[None], "visible": visible[None]}
        else:
            feeds = {"first": visible[None], "second": np.repeat(hot, 3, 0)[None]}
        if features.uses_memory:
            feeds["slots"] = self.card.slots if slots is None else slots
        if features.uses_chroma and chroma is not None:
            feeds["chroma"] = _padded(_planes(chroma), pad)[None]
        if features.uses_prior:
            if tokens is None:
                raise UsageError(
                    f"model {self.card.model!r}: was exported with a scene prior and needs one; "
                    "set prior embedded, or engine.kind torch"
                )
            feeds["tokens"] = tokens[None]
        if features.uses_mask:
            marked = np.zeros_like(thermal) if mask is None else mask
            feeds["mask"] = _padded(marked[None], pad)[None]
        made = self._session.run(feeds)
        if "maps" in made:  # OpenCV interpolates in an eighth of the time of ONNX Runtime
            made["fused"] = apply_maps(made["maps"][0], hot[0], visible[0])[None, None]
        return self._picture(made, height, width)

    def _picture(self, made: dict[str, NDArray[Any]], height: int, width: int) -> NetworkPicture:
        query = made["query"][0] if "query" in made else None
        if "image" in made:
            image = np.ascontiguousarray(made["image"][0, :, :height, :width].transpose(1, 2, 0))
            return NetworkPicture(image @ _LUMA, image=image, memory_query=query)
        chroma = made.get("fused_chroma")
        if chroma is not None:
            chroma = np.ascontiguousarray(chroma[0, :, :height, :width].transpose(1, 2, 0))
        luma = np.ascontiguousarray(made["fused"][0, 0, :height, :width])
        return NetworkPicture(luma, chroma=chroma, memory_query=query)


def _identity(weights: Path) -> str:
    return weights_identity(read_safetensors(weights, "numpy", {}, WeightsError, _EXPORT)[1])


def _planes(picture: UInt8Image) -> FloatImage:
    """Return ``CxHxW`` in [0, 1] of an ``HxW`` or ``HxWxC`` picture."""
    planes = picture[None] if picture.ndim == 2 else picture.transpose(2, 0, 1)
    scaled: FloatImage = np.multiply(planes, np.float32(1 / 255), dtype=np.float32)
    return scaled


def _padded(planes: FloatImage, pad: tuple[int, int]) -> FloatImage:
    """Pad ``CxHxW`` at the bottom and on the right as the networks themselves do."""
    if not any(pad):
        return np.ascontiguousarray(planes)
    mirrored = pad[0] < planes.shape[1] and pad[1] < planes.shape[2]
    edges = ((0, 0), (0, pad[0]), (0, pad[1]))
    return np.pad(planes, edges, mode="reflect" if mirrored else "edge")
