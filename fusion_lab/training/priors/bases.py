"""Pictures to degrade, with what is known of their own state."""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from fusion_core.thermal import ThermalConfig, ThermalProcessor
from fusion_core.types import UInt8Image
from fusion_lab.data import Example, FusionTask, read_examples
from fusion_lab.synthetic import SyntheticScene

# Below, a condition of a synthetic scene is fading in or out and has no label.
_VISIBLE_SEVERITY = 0.15
_SYNTHETIC = ("day", "night", "smoke", "haze", "glare", "rain", "snow")
# Share of pixels that are clipped in all colours: below the first a picture is surely not
# over-exposed, from the second on it is. A mean below the third is dark, from the fourth on it is
# not.
_CLIPPED_LEVEL, _UNCLIPPED, _CLIPPED = 250, 0.03, 0.1
_DARK, _BRIGHT = 0.15, 0.3
# What pictures of other cameras and purposes may show.
_UNJUDGED = frozenset(
    ("defocus", "gaussian_blur", "downsampling", "motion_blur", "noise", "jpeg", "low_contrast")
)
# A thermal picture with less deviation than this may be flat by itself.
_FLAT = 0.09


@dataclass(frozen=True, slots=True)
class Base:
    """One registered pair as recorded.

    Attributes:
        scene: Recording it belongs to.
        key: Last two folders and stem, or the scene's address.
        visible: ``HxWx3`` uint8 RGB.
        thermal: ``HxW`` uint8.
        present: Degradation -> severity that the visible picture has by itself.
        unknown: Degradations that the visible picture may have.
        thermal_unknown: The same for the thermal picture.
    """

    scene: str
    key: str
    visible: UInt8Image
    thermal: UInt8Image
    present: dict[str, float]
    unknown: frozenset[str]
    thermal_unknown: frozenset[str]


def load_bases(folders: Sequence[Path]) -> list[Base]:
    """Decode the pairs below the folders, see :func:`read_examples`.

    Raises:
        SourceError: A folder holds no pairs, or a file cannot be decoded.
    """
    return [_base(example) for example in read_examples(folders)]


def picture_bases(folder: Path, task: FusionTask) -> list[Base]:
    """Decode the colour pictures of another task's folder, which have no thermal one.

    Of pairs for ``mff`` the first is taken. Those for ``mef`` are both taken, and labelled by what
    is clipped and dark in them; none of these pictures shows weather, smoke or haze.

    Raises:
        SourceError: The folder holds no pairs, or a file cannot be decoded.
    """
    bases = []
    for example in read_examples([folder], task):
        pictures = (example.first, example.second) if task == "mef" else (example.first,)
        for number, picture in enumerate(pictures):
            present, unknown = exposure_labels(picture)
            if not present:
                unknown = unknown | {"clean"}
            key = f"{task}/{number}/{example.name}"
            nothing = np.zeros(picture.shape[:2], np.uint8)
            bases.append(
                Base(key, key, picture, nothing, present, unknown | _UNJUDGED, frozenset())
            )
    return bases


def exposure_labels(picture: UInt8Image) -> tuple[dict[str, float], frozenset[str]]:
    """Return what the exposure of a picture surely is, and what it may be.

    Args:
        picture: ``HxWx3`` uint8 RGB.
    """
    clipped = clipped_share(picture)
    brightness = float(picture.mean()) / 255
    present: dict[str, float] = {}
    unknown: set[str] = set()
    if clipped >= _CLIPPED:
        present["over_exposure"] = 0.6
    elif clipped >= _UNCLIPPED:
        unknown.add("over_exposure")
    if brightness < _DARK:
        present["low_light"] = 0.5
    elif brightness < _BRIGHT:
        unknown.add("low_light")
    return present, frozenset(unknown)


def clipped_share(picture: UInt8Image) -> float:
    """Return the share of the pixels that are white, of ``HxWx3`` RGB."""
    return float((picture.min(2) >= _CLIPPED_LEVEL).mean())


def synthetic_bases(
    seeds: Sequence[int], per_scene: int = 6, scenes: Sequence[str] = _SYNTHETIC
) -> list[Base]:
    """Render frames of synthetic scenes; their truth gives the labels."""
    return [
        base
        for seed in seeds
        for name in scenes
        for base in _rendered(f"synthetic://{name}?seed={seed}", per_scene)
    ]


def native(key: str) -> tuple[dict[str, float], frozenset[str]]:
    """Return what a recording's visible picture shows, and what it may show, by its key."""
    for rule in _rules():
        if fnmatch.fnmatch(key, rule["match"]) and _in_ranges(key, rule.get("numbers")):
            return dict(rule.get("present", {})), frozenset(rule.get("unknown", ()))
    return {}, frozenset()


@functools.cache
def _rules() -> list[dict[str, Any]]:
    text = Path(__file__).with_name("native.yaml").read_text(encoding="utf-8")
    rules: list[dict[str, Any]] = yaml.safe_load(text)
    return rules


def _in_ranges(key: str, ranges: list[list[int]] | None) -> bool:
    found = re.search(r"\d+", key.rpartition("/")[2])
    if ranges is None or found is None:
        return ranges is None
    return any(low <= int(found[0]) <= high for low, high in ranges)


def _base(example: Example) -> Base:
    """Return a recorded pair; its key does not depend on where the data lie."""
    clip = example.folder.resolve()
    key = "/".join((*clip.parts[-2:], example.name))
    scene = str(clip) if example.scene == str(example.folder) else key
    present, unknown = native(key)
    if clipped_share(example.first) >= _UNCLIPPED:
        unknown |= {"over_exposure"}
    hidden = _thermal_unknown(example.second)
    return Base(scene, key, example.first, example.second, present, unknown, hidden)


def _rendered(url: str, count: int) -> list[Base]:
    """Render ``count`` moments of one scene, a second apart."""
    scene = SyntheticScene.from_url(f"{url}&seconds={count}&rgb_hz=1&registered=1")
    gain = ThermalProcessor(ThermalConfig(freeze_frames=0, dead_pixels=False))
    bases, visible = [], None
    for frame in scene.frames():
        if frame.modality == "visible":
            visible = frame
            continue
        assert visible is not None, "visible comes first"
        assert visible.truth is not None, "synthetic frames carry their truth"
        luminance = gain.process(frame).luminance
        thermal = np.rint(luminance * 255).astype(np.uint8)
        truth = {k: s for k, s in visible.truth.degradations.items() if k != "clean"}
        present = {kind: s for kind, s in truth.items() if s >= _VISIBLE_SEVERITY}
        unknown = truth.keys() - present.keys()
        if "low_light" in present:
            unknown = {*unknown, "noise"}
        bases.append(
            Base(
                url,
                f"{url}#{frame.sequence}",
                visible.image,
                thermal,
                present,
                frozenset(unknown),
                _thermal_unknown(thermal),
            )
        )
    return bases


def _thermal_unknown(thermal: UInt8Image) -> frozenset[str]:
    return frozenset({"low_contrast"} if thermal.std() / 255 < _FLAT else set())
