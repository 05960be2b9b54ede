"""``fusion fuse``: fuse pictures of one scene: bands, exposures or focus settings."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fusion_core.cli.settings import Assignments, read_config
from fusion_core.cli.stop_signal import quiet_abort
from fusion_core.errors import FusionError, UsageError

if TYPE_CHECKING:
    from fusion_core.cli.picture_sets import PictureSet
    from fusion_core.cli.set_fuser import FusedSet, SetFuser


@dataclass(frozen=True)
class Fuse:
    """Fuse two or more pictures: visible and infrared, exposures, or focus settings.

    A, B, C ... are pictures of one size, or folders of equal stems; then --out is a folder that
    ends in / and gets one PNG per stem. Exposures and focus settings may be given in any order.
    Stacks that were taken by hand are aligned where that is surely better, and what moved between
    them is shown as the reference picture shows it.
    """

    pictures: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="A B [C ...]")
    ]
    """Pictures or folders. For vif the visible one, then the thermal one (8 or 16 bits)."""
    out: Annotated[str, tyro.conf.arg(metavar="DST")]
    """Fused picture (*.png, *.jpg, *.webp, *.bmp, *.tif), or a folder ending in /."""
    task: Literal["vif", "mef", "mff", "auto"] = "auto"
    """Visible and infrared, multi-exposure, multi-focus; auto: told from the pictures."""
    model: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """One of `fusion models`, or weights.safetensors of `fusion train`; default: by the task."""
    text: str | None = None
    """Description of the result, for models that take a text."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network runs."""
    align: Literal["auto", "off"] = "auto"
    """Alignment of exposures and focus settings."""
    ghosts: Literal["remove", "keep"] = "remove"
    """What to do with things that moved between exposures or focus settings."""
    side_by_side: Annotated[str | None, tyro.conf.arg(metavar="DST")] = None
    """Write the pictures and the result beside each other, too."""
    maps: Annotated[str | None, tyro.conf.arg(metavar="DIR/")] = None
    """Write which picture made each pixel, and which the model's prompts asked for, as colours:
    STEM_pixels.png and STEM_prompts.png, for models that have them (tcmoa)."""
    settings: Assignments = ()
    """Set an option of the model, as options.NAME=VALUE; may be given several times."""

    def run(self) -> int:
        """Fuse every set and write it; a set that fails costs only itself."""
        options = self._options()
        with quiet_abort():
            from fusion_core.cli.picture_sets import list_sets, one_set
            from fusion_core.cli.set_fuser import SetFuser

        many = any(path.is_dir() for path in self.pictures)
        destinations = self._destinations(many=many)
        sets = list_sets(self.pictures) if many else [one_set(self.pictures)]
        targets = [_places(destinations, entry.name if many else "") for entry in sets]
        fuser = SetFuser(
            task=self.task,
            model=self.model,
            text=self.text,
            device=self.device,
            options=options,
            align=self.align == "auto",
            still=self.ghosts == "remove",
        )
        if not many:
            print(self._fuse(fuser, sets[0], targets[0]).described())
            return 0
        return self._fuse_all(fuser, sets, targets)

    def _fuse_all(
        self, fuser: SetFuser, sets: list[PictureSet], targets: list[tuple[Path, ...]]
    ) -> int:
        from tqdm import tqdm

        done, failed = 0, 0
        bar = tqdm(total=len(sets), unit="set", desc="fusing", dynamic_ncols=True)
        with bar:
            for entry, places in zip(sets, targets, strict=True):
                try:
                    self._fuse(fuser, entry, places)
                    done += 1
                except UsageError:
                    raise
                except (FusionError, OSError) as error:
                    failed += 1
                    bar.write(f"fusion: {entry.name}: {error}", file=sys.stderr)
                bar.update()
        print(f"{done} of {len(sets)} sets fused into {self.out}")
        return 1 if failed else 0

    def _fuse(self, fuser: SetFuser, entry: PictureSet, places: tuple[Path, ...]) -> FusedSet:
        from fusion_core.cli.set_fuser import beside, write_picture

        fused = fuser.fuse(entry, maps=self.maps is not None)
        write_picture(places[0], fused.image)
        if len(places) > 1:
            write_picture(places[1], beside([*fused.pictures, *fused.maps.values(), fused.image]))
        for name, drawn in fused.maps.items():
            write_picture(Path(self.maps or "") / f"{entry.name}_{name}.png", drawn)
        return fused

    def _destinations(self, *, many: bool) -> tuple[str, ...]:
        """Return where results go, checked: nothing is written that was read."""
        from fusion_core.cli.picture_sets import check_target
        from fusion_core.runtime.overlap import refuse_overlap

        destinations = (self.out, *([self.side_by_side] if self.side_by_side else []))
        for destination in destinations:
            check_target(destination, folder=many)
        if self.maps:
            check_target(self.maps, folder=True)
        written = [*destinations, *([self.maps] if self.maps else [])]
        refuse_overlap(self.pictures, [Path(destination) for destination in written])
        return destinations

    def _options(self) -> dict[str, str | int | float | bool]:
        """Return the options of the model."""
        for text in self.settings:
            if not text.startswith("options."):
                raise UsageError(
                    f"--set {text}: pictures have options of the model only; give options.NAME=..."
                )
        return dict(read_config(None, {}, self.settings).options)


def _places(destinations: tuple[str, ...], stem: str) -> tuple[Path, ...]:
    """Return the files of one set; without a stem the destinations are the files."""
    if not stem:
        return tuple(Path(destination) for destination in destinations)
    return tuple(Path(destination) / f"{stem}.png" for destination in destinations)
