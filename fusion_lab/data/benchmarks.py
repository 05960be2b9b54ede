"""Folders of public video benchmarks, as pairs of this project's tasks.

VF-Bench (Zhao et al. 2025), unpacked: ``VTMOT/SCENE/{visible,infrared}``,
``YouTube-HDR*/SCENE/{under,over}``, ``DAVIS*/SCENE/{far,near}``; with the ``split.json`` of its
repository beside the scenes only those of ``test`` are read. M3SVD (Tang et al. 2026): videos
``{visible,infrared}/NAME.mp4``, or pictures
``{visible,infrared}[_Enhance]/NAME/*.png``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fusion_core.errors import SourceError
from fusion_lab.data.layout import FusionTask

_VF_BENCH: Final[tuple[tuple[FusionTask, str, str], ...]] = (
    ("vif", "visible", "infrared"),
    ("mef", "under", "over"),
    ("mff", "far", "near"),
)
_M3SVD: Final = (("visible", "infrared"), ("visible_Enhance", "infrared_Enhance"))
_SPLIT: Final = "split.json"


@dataclass(frozen=True, slots=True)
class Clip:
    """One scene of a benchmark; both inputs open with ``open_source``.

    Attributes:
        name: Name of the scene.
        task: What it is for.
        first: Folder of pictures or video: visible, under-exposed, far in focus.
        second: Infrared, over-exposed, near in focus.
    """

    name: str
    task: FusionTask
    first: Path
    second: Path


def benchmark_clips(folder: Path) -> list[Clip]:
    """Return the clips of a VF-Bench data set or of M3SVD, sorted by name.

    Raises:
        SourceError: The folder has neither layout, a clip lacks its partner, or ``split.json``
            names a scene that is not there.
    """
    clips = [*_m3svd_clips(folder)] or [*_vf_bench_clips(folder)]
    if not clips:
        raise SourceError(
            f"{folder}: neither VF-Bench (SCENE/visible and infrared, under and over, or far and "
            "near) nor M3SVD (visible/ and infrared/ of equal names)"
        )
    return sorted(clips, key=lambda clip: clip.name)


def _vf_bench_clips(folder: Path) -> Iterator[Clip]:
    for scene in _chosen_scenes(folder):
        for task, first, second in _VF_BENCH:
            if (scene / first).is_dir() or (scene / second).is_dir():
                _require(scene / first, scene / second)
                yield Clip(scene.name, task, scene / first, scene / second)


def _chosen_scenes(folder: Path) -> list[Path]:
    split = folder / _SPLIT
    if not split.is_file():
        return [path for path in folder.glob("*/") if path.is_dir()]
    try:
        names = json.loads(split.read_text(encoding="utf-8"))["test"]
        scenes = [folder / name.replace("^", "/") for name in names]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SourceError(
            f"{split}: not a list of scenes by train and test; take that of VF-Bench's repository"
        ) from None
    for scene in scenes:
        if not scene.is_dir():
            raise SourceError(f"{split}: scene {scene.name!r} is not in {folder}")
    return scenes


def _m3svd_clips(folder: Path) -> Iterator[Clip]:
    for first, second in _M3SVD:
        visible, infrared = folder / first, folder / second
        if not (visible.is_dir() and infrared.is_dir()):
            continue
        videos = [path for path in visible.iterdir() if path.suffix == ".mp4" or path.is_dir()]
        for video in videos:
            _require(video, infrared / video.name)
            yield Clip(video.stem, "vif", video, infrared / video.name)
        return


def _require(*paths: Path) -> None:
    for path in paths:
        if not path.exists():
            raise SourceError(f"{path}: missing; both streams of a scene have the same name")
