"""Networks that fuse the luma of the first picture with the second one."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace

from torch import Tensor

from fusion_core.models.base import Fuser
from fusion_core.models.colour import attach_luma, split_planes
from fusion_core.models.cues import NO_CUES, Cues
from fusion_core.models.features import Features
from fusion_core.models.outputs import FuserOutput, LumaOutput
from fusion_core.models.requirements import check_pictures


class LumaFuser(Fuser):
    """A network that fuses a thermal picture with the luma of a registered visible picture.

    The colour of the visible picture, or the chroma that the network gives, is attached to the
    fused luma when the colour picture is asked for.
    """

    features: Features = Features(gives="luma")

    @property
    def luma_path(self) -> LumaFuser:
        """The network itself."""
        return self

    @abstractmethod
    def fuse_luma(self, thermal: Tensor, visible: Tensor, slots: Tensor, cues: Cues) -> LumaOutput:
        """Fuse checked inputs.

        Args:
            thermal: ``Bx1xHxW`` in [0, 1], hot is bright.
            visible: ``Bx1xHxW`` luma in [0, 1].
            slots: ``NxD`` slots of the memory bank, ``D`` = :attr:`dim`.
            cues: What else is known.
        """

    def forward_luma(self, thermal: Tensor, visible: Tensor, cues: Cues = NO_CUES) -> LumaOutput:
        """Check the inputs and fuse them; see :meth:`fuse_luma`.

        Raises:
            UsageError: The shapes do not fit together, or a cue is missing or wrong.
        """
        check_pictures(self.name, 1, thermal=thermal, visible=visible)
        return self._fuse_complete(thermal, visible, self.complete_cues(visible, cues))

    def fuse(self, first: Tensor, second: Tensor, cues: Cues) -> FuserOutput:
        """Fuse checked inputs; see :meth:`Fuser.forward`."""
        luma, chroma = split_planes(first)
        if self.features.uses_chroma:
            cues = replace(cues, chroma=chroma)
        made = self._fuse_complete(second[:, :1], luma, cues)
        query = made.query if self.features.uses_memory else None
        return FuserOutput(
            lambda: attach_luma(first, made.fused, made.chroma), luma=made, memory_query=query
        )

    def _fuse_complete(self, thermal: Tensor, visible: Tensor, cues: Cues) -> LumaOutput:
        slots = self.bank if cues.memory is None else cues.memory
        return self.fuse_luma(thermal, visible, slots, cues)
