"""``fusion export``: write a network as ONNX."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from fusion_core.errors import UsageError

_LARGEST = 8192
_PRIOR = "prior"


@dataclass(frozen=True)
class Export:
    """Write a fusion network as ONNX for TensorRT, OpenVINO or ONNX Runtime.

    The file holds the network in float32; docs/guide/export.md names what goes in and comes out.
    `engine.kind` onnx and openvino run the file that lies beside the weights.
    """

    model: Annotated[str, tyro.conf.arg(metavar="NAME")]
    """One of `fusion models` with weights, a checkpoint of `fusion train`, or prior: the embedded
    provider of scene priors."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE.onnx")]
    """File to write."""
    size: Annotated[str | None, tyro.conf.arg(metavar="WxH")] = None
    """Width and height of the pictures in pixels; any when not given."""
    task: Literal["vif", "mef", "mff"] = "vif"
    """What the file does, of a network of several tasks."""

    def run(self) -> int:
        """Write the file and print its interface."""
        size = self._size()
        if not self.out.parent.is_dir():
            raise UsageError(f"--out {self.out}: no folder {self.out.parent}; make it first")
        from fusion_core.models import load_model
        from fusion_lab.cli.paths import check_outputs
        from fusion_lab.export import export_network, export_prior

        check_outputs([], [self.model], [self.out])
        if self.model == _PRIOR:
            made = export_prior(self.out)
        else:
            made = export_network(load_model(self.model), self.out, size, self.task)
        for title, named in (("in", made.inputs), ("out", made.outputs)):
            for name, shape in named.items():
                print(f"{title:4s}{name:24s}{'x'.join(map(str, shape))}")
        megabytes = self.out.stat().st_size / 1e6
        print(
            f"{self.out}: {megabytes:.1f} MB; ONNX Runtime differs from PyTorch by at most "
            f"{made.difference:.3f} of 255"
        )
        return 0

    def _size(self) -> tuple[int, int] | None:
        """Return height and width, None for any.

        Raises:
            UsageError: What is given is no size, or out of range.
        """
        if self.size is None:
            return None
        match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", self.size)
        if match is None or not all(32 <= int(edge) <= _LARGEST for edge in match.groups()):
            raise UsageError(
                f"--size {self.size}: expected WIDTHxHEIGHT, 32 to {_LARGEST} pixels each, "
                "such as 640x480"
            )
        width, height = (int(edge) for edge in match.groups())
        return height, width
