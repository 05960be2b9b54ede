"""The bench of restoring while fusing: options and parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import cv2
import numpy as np
import tyro

from fusion_core.detection import Detector
from fusion_core.models import load_model
from fusion_core.models.mdaif import MdaIF
from fusion_core.priors import assess_pair
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.networks import pair_fuser
from fusion_lab.benches.pictures import write_picture
from fusion_lab.benches.progress import with_progress
from fusion_lab.benches.restoring.comparison import Comparison, compare
from fusion_lab.benches.restoring.finding import Finds, count_finds, read_labelled
from fusion_lab.benches.restoring.methods import compared_methods
from fusion_lab.benches.restoring.pictures import degrade_picture, read_degraded
from fusion_lab.benches.restoring.prototypes import (
    PrototypeFigures,
    draw_prototypes,
    measure_prototypes,
)
from fusion_lab.benches.tables import Table
from fusion_lab.data import aligned_pair, pair_files, read_example

Part = Literal["restoration", "prototypes", "detection"]
# Frames, and what is done to them beyond what they show.
_SHOWN: tuple[tuple[str, dict[str, float]], ...] = (
    ("0117_1620_0120", {}),
    ("0117_1620_0540", {}),
    ("0117_1620_0120", {"rain": 0.8}),
    ("1230_1202_0060", {"snow": 0.8}),
    ("1230_1202_0060", {}),
)
_TILE, _SEED = (320, 240), 3


@dataclass(frozen=True, slots=True)
class RestoringResult:
    """Figures of the parts that were run."""

    restoration: Comparison | None = None
    prototypes: PrototypeFigures | None = None
    detection: Finds | None = None

    def tables(self) -> Sequence[Table]:
        """Return the tables of the parts."""
        parts = (self.restoration, self.prototypes, self.detection)
        return [table for part in parts if part is not None for table in part.tables()]


@dataclass(frozen=True, kw_only=True)
class RestoringBench(BenchCommand):
    """Compare restoring while fusing with fusing alone and with restoring first.

    On the visible pictures of the fixed degraded test set. `restoration`: how like the fused
    picture is to what the same method makes of the clean pair, how like the restored visible
    picture is to the clean one, and PSNR and SSIM to both clean sources, per degradation.
    `prototypes`: what the prototypes and experts of mdaif do. `detection`: what the shipped
    detector finds of labelled pairs of roadscene/val and msrs in haze, rain, snow and smoke, and of
    frames of video/0117_1620 in their own smoke, in restored pictures beside the thermal ones and
    in fused pictures alone.
    """

    parts: tyro.conf.Positional[tuple[Part, ...]] = ()
    """Parts to run; all when not given."""
    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder that holds roadscene/val, msrs and llvip; for detection also video/0117_1620."""
    restorer: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Weights of a learned restorer; adds it to the classical ones that restore before fusing."""
    every: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Use every n-th pair of the test set."""
    slow: bool = False
    """Compare with the full m2pn as well."""
    pictures: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Draw into this folder: mdaif.jpg of frames in video_frames/, and mdaif_prototypes.png."""

    def measure(self) -> RestoringResult:
        """Run the parts."""
        parts = self.parts or get_args(Part)
        pictures = list(read_degraded(self.data, self.every)) if {*parts} != {"detection"} else []
        comparison = prototypes = finds = None
        compares = {"restoration", "detection"} & {*parts}
        methods = compared_methods(self.restorer, slow=self.slow) if compares else {}
        if "restoration" in parts:
            comparison = compare(methods, with_progress(pictures, "restoration"))
        if "prototypes" in parts:
            model = load_model("mdaif")
            assert isinstance(model, MdaIF)
            prototypes = measure_prototypes(model, with_progress(pictures, "prototypes"))
        if "detection" in parts:
            finds = count_finds(methods, read_labelled(self.data, self.every), Detector("default"))
        if self.pictures:
            draw_frames(self.data / "video_frames", self.pictures / "mdaif.jpg")
            if prototypes:
                draw_prototypes(prototypes, self.pictures / "mdaif_prototypes.png")
        return RestoringResult(comparison, prototypes, finds)


def draw_frames(folder: Path, path: Path) -> None:
    """Draw real smoke and synthetic rain and snow: visible, thermal, m2pn-edge, mdaif."""
    provider = EmbeddedProvider()
    fusers = [pair_fuser(load_model(name), with_prior=True) for name in ("m2pn-edge", "mdaif")]
    files = {entry.stem: entry for entry in pair_files(folder)}
    rows = []
    for stem, severities in _SHOWN:
        read = read_example(files[stem])
        visible = degrade_picture(read.first, severities, _SEED)
        aligned = aligned_pair(visible, read.second)
        prior = assess_pair(provider, aligned)
        shown = [visible, cv2.cvtColor(read.second, cv2.COLOR_GRAY2RGB)]
        shown += [fuse(aligned, prior) for fuse in fusers]
        tiles = [cv2.resize(image, _TILE, interpolation=cv2.INTER_AREA) for image in shown]
        rows.append(np.hstack(tiles))
    write_picture(path, np.vstack(rows).astype(np.uint8))
