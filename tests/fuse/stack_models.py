"""A model of somebody else for tests of stacks, found like any installed one."""

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch.nn import functional as F

from fusion_core import plugins
from fusion_core.models import Features, Fuser, FuserOutput, ModelSpec, save_weights
from fusion_core.runtime.settings import Settings

DISTRIBUTION = """Metadata-Version: 2.1
Name: stack-models
Version: 1.0
"""


@dataclass(frozen=True)
class NoArchitecture:
    pass


@dataclass(frozen=True)
class ChooserOptions(Settings):
    bias: Annotated[float, Field(ge=0, le=1, description="Added to the result.")] = 0.0


class Chooser(Fuser):
    """Takes the sharper pixel (mff), weighs by exposure (mef, Mertens), or the brighter (vif)."""

    features = Features(tasks=("vif", "mef", "mff"), max_pictures=8)
    Options = ChooserOptions

    def __init__(self, name="chooser", config=NoArchitecture()):
        super().__init__(name, config, torch.zeros(0, 1))
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def fuse(self, first, second, cues):
        if cues.task == "vif":
            image = torch.maximum(first, second)
        elif cues.task == "mff":
            sharper = _detail(second) > _detail(first)
            image = torch.where(sharper, second, first)
        else:
            weights = [torch.exp(-((x - 0.5) ** 2) / 0.08).mean(1, True) for x in (first, second)]
            image = (weights[0] * first + weights[1] * second) / (weights[0] + weights[1])
        return FuserOutput((image + self.options.bias).clamp(0, 1))


def _detail(picture):
    gray = picture.mean(1, keepdim=True)
    return F.avg_pool2d((gray - F.avg_pool2d(gray, 3, 1, 1)).abs(), 9, 1, 4)


def install(folder, monkeypatch):
    """Declare the model ``chooser`` in a package beside the installed ones."""
    weights = folder / "chooser.safetensors"
    save_weights(Chooser(), weights)
    info = folder / "stack_models-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(DISTRIBUTION)
    (info / "entry_points.txt").write_text("[fusion.models]\nchooser = chooser_spec:CHOOSER\n")
    (folder / "chooser_spec.py").write_text(
        "from pathlib import Path\n"
        "from stack_models import Chooser, ModelSpec, NoArchitecture\n"
        "CHOOSER = ModelSpec(Chooser, NoArchitecture(), paper='', description='test',\n"
        "                    parameters=1, weights=Path(__file__).parent / 'chooser.safetensors')\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    plugins._entries.cache_clear()


def forget():
    plugins._entries.cache_clear()


__all__ = ["Chooser", "ModelSpec", "NoArchitecture", "forget", "install"]
