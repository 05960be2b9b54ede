"""``fusion label``: label frames by what a trained detector finds in several looks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from fusion_core.errors import UsageError

_MOST_TILES = 8


@dataclass(frozen=True)
class Label:
    """Label frames that nobody labelled, so that a detector can learn from them.

    A trained detector looks at every frame and at its mirror image, whole and in parts. What it
    finds in nearly every look is labelled, what it finds in some is labelled `ignore` and left out
    of training. Frames that have labels are passed over. OUT receives NAME/vi, NAME/ir and
    NAME/labels of every recording, as `fusion train` reads them: look at them before.
    """

    data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR [DIR ...]")]
    """Folders with vi/ and ir/ of equal stems, or vi.mp4 and ir.mp4 (every tenth frame), or folders
    of clips that hold them."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder to write to, new or empty."""
    detector: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="default|pair-nano-aerial|FILE.onnx ...")
    ] = ("default",)
    """Detectors that look; the labels are what all of them agree on."""
    tiles: Annotated[int, tyro.conf.arg(metavar="N")] = 2
    """Each looks at N by N parts beside the whole in a second look; 1: it does not."""
    every: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Label every n-th frame of those without labels."""

    def run(self) -> int:
        """Label, write, and say how much there was."""
        from fusion_lab.cli.paths import check_outputs

        if self.every < 1:
            raise UsageError(f"--every {self.every}: must be at least 1")
        if not 1 <= self.tiles <= _MOST_TILES:
            raise UsageError(f"--tiles {self.tiles}: must be from 1 to {_MOST_TILES}")
        check_outputs(self.data, [], [self.out])
        if self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise UsageError(f"--out {self.out}: is no empty folder; name a new one")
        from fusion_core.detection import Detector
        from fusion_lab.training.detector.pseudo import label_frames

        views = sorted({1, self.tiles})
        teachers = [Detector(name, tiles=tiles) for name in self.detector for tiles in views]
        made = label_frames(self.data, teachers, self.out, self.every)
        print(
            f"{self.out}: {made.frames} frames, {made.objects} objects, "
            f"{made.doubtful} doubtful ones to ignore"
        )
        return 0
