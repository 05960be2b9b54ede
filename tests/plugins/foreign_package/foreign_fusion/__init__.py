"""A package of somebody else: one model, one source, one sink and one verb in one file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fusion_core.models import LumaFuser, LumaOutput, ModelSpec
from fusion_core.runtime.drop_log import DropLog
from fusion_core.sink.base import Sink, SinkKind
from fusion_core.source.base import SourceKind
from fusion_core.types import Frame

HEIGHT, WIDTH, PERIOD_NS = 48, 64, 100_000_000


@dataclass(frozen=True)
class BlendConfig:
    """Share of the thermal image before training."""

    start: float = 0.0


class Blend(LumaFuser):
    """A weighted mean with one trained weight."""

    def __init__(self, name, config):
        super().__init__(name, config)
        self.share = nn.Parameter(torch.tensor(config.start))

    def fuse_luma(self, thermal, visible, slots, cues):
        return LumaOutput(torch.lerp(visible, thermal, self.share))


class RampStream:
    """Gray pictures, one level brighter each time; thermal is the inverse."""

    def __init__(self, address, modalities):
        self.total = int(address.removeprefix("ramp://"))
        self.drop_log = DropLog()
        self._modalities = modalities

    def frames(self):
        for number in range(self.total):
            for modality in self._modalities:
                level = 50 + number if modality == "visible" else 150 - number
                shape = (HEIGHT, WIDTH, 3) if modality == "visible" else (HEIGHT, WIDTH)
                encoding = "rgb8" if modality == "visible" else "mono8"
                image = np.full(shape, level, np.uint8)
                yield Frame(number * PERIOD_NS, modality, image, encoding)

    def close(self):
        pass


class TallySink(Sink):
    """Writes the mean level of every result, one line each."""

    def __init__(self, address, overlay):
        self._path = Path(address.removeprefix("tally:"))
        self._levels = []

    def write(self, fused):
        self._levels.append(f"{fused.image.mean():.1f}")

    def close(self):
        self._path.write_text("\n".join(self._levels))


@dataclass(frozen=True)
class Greet:
    """Greet somebody."""

    name: str = "world"

    def run(self):
        print(f"hello {self.name}")  # noqa: T201
        return 0


BLEND = ModelSpec(
    network=Blend,
    config=BlendConfig(),
    paper="none",
    description="A weighted mean from a package of somebody else.",
    parameters=1,
    weights=Path(__file__).parent / "blend.safetensors",
)
RAMP = SourceKind(RampStream, "ramp://COUNT", holds_both=True)
TALLY = SinkKind(TallySink, "tally:FILE")
