"""What codecs keep of pictures, and how long they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
import tyro
from torch import Tensor

from fusion_core.errors import UsageError
from fusion_core.models.mmaif.codec import FrozenCodec, open_codec
from fusion_core.types import UInt8Image
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.tables import Table
from fusion_lab.benches.timing import Timing, interleaved
from fusion_lab.metrics import to_gray
from fusion_lab.metrics.fidelity import psnr_to
from fusion_lab.metrics.structural import ssim_to
from fusion_lab.training.masked.pictures import find_pictures

_SIZE: Final = (480, 640)


@dataclass(frozen=True, slots=True)
class KeptRow:
    """Pictures of one folder through one codec.

    Attributes:
        pictures: The folder.
        codec: The codec as given.
        count: Pictures.
        psnr: Mean PSNR over all channels, in dB.
        least: PSNR of the worst picture, in dB.
        ssim: Mean SSIM of the lumas.
    """

    pictures: str
    codec: str
    count: int
    psnr: float
    least: float
    ssim: float


@dataclass(frozen=True, slots=True)
class CostRow:
    """What a codec costs at 640x480.

    Attributes:
        codec: The codec as given.
        channels: Channels of a latent.
        factor: Edge in pixels of its cells.
        parameters: In millions.
        encode: Milliseconds to encode one picture.
        decode: Milliseconds to decode one.
    """

    codec: str
    channels: int
    factor: int
    parameters: float
    encode: Timing
    decode: Timing


@dataclass(frozen=True, slots=True)
class CodecsResult:
    """All codecs.

    Attributes:
        threads: CPU threads of torch.
        kept: What they keep, per folder.
        cost: What they cost; empty when nothing was timed.
    """

    threads: int
    kept: tuple[KeptRow, ...]
    cost: tuple[CostRow, ...]

    def tables(self) -> Sequence[Table]:
        """Return what is kept and what it costs."""
        head = ("pictures", "codec", "count", "PSNR in dB", "worst", "SSIM")
        rows = tuple(
            (r.pictures, r.codec, r.count, r.psnr, r.least, f"{r.ssim:.4f}") for r in self.kept
        )
        cost = tuple(
            (
                r.codec,
                f"{r.channels} x 1/{r.factor}",
                r.parameters,
                round(r.encode.median),
                round(r.decode.median),
            )
            for r in self.cost
        )
        title = f"640x480, {self.threads} threads, float32, medians"
        costs = ("codec", "latent", "M parameters", "ms to encode", "ms to decode")
        return [
            Table("Pictures after the codec, against themselves", head, rows),
            *([Table(title, costs, cost)] if cost else []),
        ]


@dataclass(frozen=True, kw_only=True)
class CodecsBench(BenchCommand):
    """Send pictures through codecs, and compare them with themselves.

    A codec is NAME or NAME=WEIGHTS: the one that ships is `embedded`, TAEF2 is
    `embedded=FOLDER_OF_TAEF2`, and autoencoders of diffusers are `kl=FOLDER`, `tiny=FOLDER` and
    `cosmos=FOLDER`.
    """

    data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR [DIR ...]")] = ()
    """Folders of pictures; one row for each."""
    codec: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME[=WEIGHTS]")
    ] = ()
    """Codecs to measure; the one that ships when not given."""
    every: int = 1
    """Take every Nth picture of a folder."""
    rounds: int = 3
    """Pictures of 640x480 that are timed per codec; 0: none."""

    def measure(self) -> CodecsResult:
        """Run all codecs."""
        if not self.data or self.every < 1 or self.rounds < 0:
            raise UsageError("give --data DIR, --every of at least 1 and --rounds of at least 0")
        codecs = {given: _open(given) for given in self.codec or ("embedded",)}
        kept = []
        for folder in self.data:
            pictures = find_pictures([folder])[:: self.every]
            for name, codec in codecs.items():
                kept.append(_kept(str(folder), name, codec, pictures))
        cost = _costs(codecs, self.rounds) if self.rounds else ()
        return CodecsResult(torch.get_num_threads(), tuple(kept), cost)


def _open(given: str) -> FrozenCodec:
    name, _, weights = given.partition("=")
    return open_codec(name, weights)


@torch.inference_mode()
def _kept(folder: str, name: str, codec: FrozenCodec, pictures: Sequence[UInt8Image]) -> KeptRow:
    psnr, ssim = [], []
    for picture in pictures:
        given = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        height, width = picture.shape[:2]
        made = _pixels(codec.decode(codec.encode(given), (height, width)))
        psnr.append(psnr_to(made, picture))
        ssim.append(ssim_to(to_gray(made), to_gray(picture)))
    return KeptRow(
        folder, name, len(pictures), float(np.mean(psnr)), float(min(psnr)), float(np.mean(ssim))
    )


def _pixels(picture: Tensor) -> UInt8Image:
    pixels: UInt8Image = picture[0].mul(255).round().byte().permute(1, 2, 0).numpy()
    return np.ascontiguousarray(pixels)


@torch.inference_mode()
def _costs(
    codecs: dict[str, FrozenCodec], rounds: int, size: tuple[int, int] = _SIZE
) -> tuple[CostRow, ...]:
    """Time all codecs in turns."""
    picture = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    cases: dict[str, Callable[[], object]] = {}
    for name, codec in codecs.items():
        cases[f"{name} encode"] = partial(codec.encode, picture)
        cases[f"{name} decode"] = partial(codec.decode, codec.encode(picture), size)
    times = interleaved(cases, rounds)
    return tuple(
        CostRow(
            name,
            codec.channels,
            codec.factor,
            sum(p.numel() for p in codec.held.model.parameters()) / 1e6,
            Timing.of(times[f"{name} encode"]),
            Timing.of(times[f"{name} decode"]),
        )
        for name, codec in codecs.items()
    )
