"""What a fusion network takes and gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

VISIBLE_INFRARED: Final = "vif"
Need = Literal["prior", "mask", "text", "edit"]


@dataclass(frozen=True, slots=True)
class Features:
    """What a fusion network can do, what it takes and what it gives.

    Attributes:
        tasks: Fusion tasks it is trained for: ``vif`` visible and infrared, ``mef`` pictures of
            several exposures, ``mff`` pictures of several focus distances.
        gives: ``luma`` when it fuses the luma and the colour of the first picture is attached
            afterwards, ``rgb`` when it gives the colour picture itself.
        uses_chroma: Looks at the chroma of the first picture, and gives the chroma of the result.
        uses_prior: The tokens of a scene prior change the result.
        prior_width: Width of the tokens it reads; None when it reads any width, or none.
        uses_text: Tokens of a text change the result.
        uses_mask: A mask that marks what matters changes the result.
        segments: It finds the object in a box that a mask marks itself.
        uses_edit: Its prompts can be edited.
        uses_memory: The slots of a memory bank change the result.
        uses_stream: Keeps values from one frame of a stream to the next.
        max_pictures: Pictures that it can fuse.
        needs: Cues without which it cannot work; the others are optional.
    """

    tasks: tuple[str, ...] = ("vif",)
    gives: Literal["luma", "rgb"] = "rgb"
    uses_chroma: bool = False
    uses_prior: bool = False
    prior_width: int | None = None
    uses_text: bool = False
    uses_mask: bool = False
    segments: bool = False
    uses_edit: bool = False
    uses_memory: bool = False
    uses_stream: bool = False
    max_pictures: int = 2
    needs: frozenset[Need] = field(default_factory=frozenset)
