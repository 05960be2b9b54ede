"""Stacks: several pictures of one scene, taken one after the other, made ready to be fused."""

from fusion_core.stacks.preparing import Prepared, prepare_stack
from fusion_core.stacks.task import guess_task

__all__ = ["Prepared", "guess_task", "prepare_stack"]
