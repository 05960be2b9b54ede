"""Parts of batches and of what networks made of them, out of and back into the whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from fusion_core.models import LumaOutput
from fusion_core.models.blocks.joint import WHOLE, JointBatch

BatchT = TypeVar("BatchT", bound="tuple[Any, ...]")


def own_rows(joint: JointBatch, batch: BatchT) -> BatchT:
    """Return the rows of this process, of a named tuple of tensors and of such tuples."""
    parts = (joint.own(p) if isinstance(p, Tensor) else own_rows(joint, p) for p in batch)
    return type(batch)(*parts)


def gather_parts(joint: JointBatch, parts: Sequence[Tensor]) -> list[Tensor]:
    """Return several tensors of the rows of this process with all rows, gathered at once.

    Where processes share the batch they come back as float32, as the losses compute.
    """
    if joint is WHOLE:
        return list(parts)
    packed = joint.gather(torch.cat([part.float().reshape(len(part), -1) for part in parts], 1))
    widths = [part[0].numel() for part in parts]
    return [
        found.reshape(-1, *part.shape[1:])
        for found, part in zip(torch.split(packed, widths, 1), parts, strict=True)
    ]


def gather_luma(joint: JointBatch, output: LumaOutput) -> LumaOutput:
    """Return what a network made of all rows of the batch."""
    tensors = {
        field.name: value
        for field in dataclasses.fields(output)
        if isinstance(value := getattr(output, field.name), Tensor) and len(value)
    }
    found = gather_parts(joint, [*tensors.values(), *output.nodes.values()])
    changes: dict[str, Any] = dict(zip(tensors, found, strict=False))
    nodes = dict(zip(output.nodes, found[len(tensors) :], strict=True))
    return dataclasses.replace(output, **changes, nodes=nodes)
