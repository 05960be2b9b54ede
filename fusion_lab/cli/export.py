"""``fusion export``: write a network as ONNX."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from fusion_core.errors import UsageError

_LARGEST = 8192


@dataclass(frozen=True)
class Export:
    """Write a fusion network as ONNX for TensorRT, OpenVINO or ONNX Runtime.

    The file holds the network in float32 for pictures of one size; docs/guide/export.md names what
    goes in and comes out.
    """

    model: Annotated[str, tyro.conf.arg(metavar="NAME")]
    """One of `fusion models` with weights, or a checkpoint of `fusion train`."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE.onnx")]
    """File to write."""
    size: Annotated[str, tyro.conf.arg(metavar="WxH")] = "640x480"
    """Width and height of the pictures in pixels."""
    task: Literal["vif", "mef", "mff"] = "vif"
    """What the file does, of a network of several tasks."""

    def run(self) -> int:
        """Write the file and print its interface."""
        match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", self.size)
        if match is None or not all(32 <= int(edge) <= _LARGEST for edge in match.groups()):
            raise UsageError(
                f"--size {self.size}: expected WIDTHxHEIGHT, 32 to {_LARGEST} pixels each, "
                "such as 640x480"
            )
        if not self.out.parent.is_dir():
            raise UsageError(f"--out {self.out}: no folder {self.out.parent}; make it first")
        from fusion_core.models import load_model
        from fusion_lab.cli.paths import check_outputs
        from fusion_lab.export import export_network

        check_outputs([], [self.model], [self.out])
        width, height = (int(edge) for edge in match.groups())
        made = export_network(load_model(self.model), self.out, (height, width), self.task)
        for title, named in (("in", made.inputs), ("out", made.outputs)):
            for name, shape in named.items():
                print(f"{title:4s}{name:14s}{'x'.join(map(str, shape))}")
        megabytes = self.out.stat().st_size / 1e6
        print(
            f"{self.out}: {megabytes:.1f} MB; ONNX Runtime differs from PyTorch by at most "
            f"{made.difference:.3f} of 255"
        )
        return 0
