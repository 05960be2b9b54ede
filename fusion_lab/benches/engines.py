"""Kinds of engine beside each other: time in units and against PyTorch, and what differs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro

from fusion_core.config import Config
from fusion_core.engine import Engine, PairEngine
from fusion_core.engine.exported import (
    ExportedEngine,
    ExportedNetwork,
    exported_file,
    trained_bank,
)
from fusion_core.engine.picture_io import LumaIO
from fusion_core.engine.torch_engine import open_bank
from fusion_core.errors import FusionError, UsageError
from fusion_core.inference import SessionConfig, is_installed
from fusion_core.memory import MemoryConfig
from fusion_core.models import load_model
from fusion_core.types import AlignedPair, FloatImage
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.latency import convolution_unit, street_pairs
from fusion_lab.benches.tables import Cell, Table
from fusion_lab.benches.timing import Timing, interleaved

_FROZEN = MemoryConfig(mode="frozen")
_TORCH = "torch"


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """Figures of one kind of engine.

    Attributes:
        model: Name of the network.
        threads: Its threads.
        kind: The kind of engine with its precision.
        time: One pair, with what comes before and after the network.
        cpu: Processor time of it, over all threads; other work on the machine hardly changes it.
        units: Median over the rounds of it by the unit.
        against_torch: Median over the rounds of PyTorch's time by it: how many times as fast.
        cpu_against_torch: The same of the processor time.
        mean_difference: Of the picture from PyTorch's, in gray levels of 255.
        of_peers: Name of a peer -> median over the rounds of the time by the peer's with as many
            threads.
    """

    model: str
    threads: int
    kind: str
    time: Timing
    cpu: Timing
    units: float
    against_torch: float
    cpu_against_torch: float
    mean_difference: float
    of_peers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PeerFigures:
    """Figures of a network from elsewhere, alone, in PyTorch.

    Attributes:
        peer: Its name.
        threads: Its threads.
        time: One pair, from tensors to a tensor.
        units: Median over the rounds of it by the unit.
    """

    peer: str
    threads: int
    time: Timing
    units: float


@dataclass(frozen=True, slots=True)
class EnginesResult:
    """Figures of a run.

    Attributes:
        unit: One 3x3 convolution of 32 to 32 channels at 640x480, float32, channels last, with two
            threads.
        engines: One entry per model, number of threads and kind.
        peers: One entry per network from elsewhere and number of threads.
        left_out: Kind -> why it was not measured.
    """

    unit: Timing
    engines: tuple[EngineFigures, ...]
    peers: tuple[PeerFigures, ...]
    left_out: dict[str, str]

    def tables(self) -> Sequence[Table]:
        """Return one row per entry."""
        timed = ("p50 ms", "units", "times torch", "CPU ms", "times torch")
        peers = tuple(dict.fromkeys(entry.peer for entry in self.peers))
        of_peers = (f"of {peer}" for peer in peers)
        head = ("model", "threads", "engine", *timed, "mean difference", *of_peers)
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (
                entry.model,
                entry.threads,
                entry.kind,
                entry.time.median,
                entry.units,
                entry.against_torch,
                entry.cpu.median,
                entry.cpu_against_torch,
                entry.mean_difference,
                *(entry.of_peers[peer] for peer in peers),
            )
            for entry in self.engines
        )
        missing = "".join(f"; no {kind}: {reason}" for kind, reason in self.left_out.items())
        title = (
            f"640x480, a pair with pre- and post-processing, {self.unit.count} rounds in turns; "
            f"unit {self.unit.median:.2f} ms{missing}"
        )
        tables = [Table(title, head, rows)]
        if self.peers:
            alone = tuple(
                (entry.peer, entry.threads, entry.time.median, entry.units) for entry in self.peers
            )
            title = "Peers, the network alone in PyTorch"
            tables.append(Table(title, ("peer", "threads", "p50 ms", "units"), alone))
        return tables


@dataclass(frozen=True, kw_only=True)
class EnginesBench(BenchCommand):
    """Compare PyTorch, ONNX Runtime and OpenVINO on the CPU, in one process and in turns.

    Every round runs the unit and every engine once, so that other work on the machine meets all of
    them alike; ratios are medians over the rounds.
    """

    model: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME")] = (
        "m2pn-nano",
        "m2pn-edge",
    )
    """Models to measure; they must have been exported."""
    threads: tuple[int, ...] = (1, 2)
    """Numbers of threads."""
    rounds: int = 30
    """Rounds that count."""
    peer: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME=FILE.pt2")
    ] = ()
    """Networks from elsewhere to compare with: saved by `torch.export.save`, from thermal and
    visible luma, each 1x1x480x640 in [0, 1], to a picture."""

    def measure(self) -> EnginesResult:
        """Run all engines in turns."""
        pair = street_pair()
        peers = dict(read_peer(text, pair) for text in self.peer)
        return measure_engines(self.model, self.threads, self.rounds, pair, peers)


def street_pair() -> AlignedPair:
    """Return a registered pair of the synthetic street, 640x480."""
    from fusion_core.registration import Registrar
    from fusion_core.thermal import ThermalProcessor

    (pair,) = street_pairs(1)
    config = Config()
    assert pair.thermal is not None, "both streams are there"
    thermal = ThermalProcessor(config.thermal).process(pair.thermal)
    return Registrar(None, config.registration).align(0, pair.visible, thermal)


def read_peer(text: str, pair: AlignedPair) -> tuple[str, Callable[[], object]]:
    """Return the name of a peer, and what runs it on the lumas of a pair.

    Args:
        text: ``NAME=FILE.pt2`` of a network saved by ``torch.export.save``.
        pair: A pair of both sides.

    Raises:
        UsageError: The text is none such, or the file is missing.
    """
    name, _, file = text.partition("=")
    if not name or not Path(file).is_file():
        raise UsageError(
            f"--peer {text!r}: expected NAME=FILE.pt2, a file that torch.export.save has written"
        )
    network = torch.export.load(file).module()
    camera = LumaIO().read(np.asarray(pair.visible))
    planes = (np.asarray(pair.thermal), camera.luma.astype(np.float32) / 255)
    lumas = [torch.from_numpy(plane)[None, None] for plane in planes]

    def run() -> None:
        with torch.inference_mode():
            network(*lumas)

    return name, run


def measure_engines(
    models: Sequence[str],
    threads: Sequence[int],
    rounds: int,
    pair: AlignedPair,
    peers: Mapping[str, Callable[[], object]] | None = None,
) -> EnginesResult:
    """Run all kinds of engine on one pair, in turns.

    Args:
        models: Names of exported networks.
        threads: Numbers of threads.
        rounds: Rounds that count.
        pair: A pair of both sides.
        peers: Name of a network from elsewhere -> runs it once.
    """
    left_out: dict[str, str] = {}
    engines: dict[tuple[str, int, str], PairEngine] = {}
    for model in models:
        for number in threads:
            engines |= _engines(model, number, left_out)
    runs = {key: _Run(engine, key[1], pair) for key, engine in engines.items()}
    cases: dict[str, Callable[[], object]] = {"unit": convolution_unit()}
    cases |= {" ".join(map(str, key)): run for key, run in runs.items()}
    others = {(name, number): f"{name} {number}" for name in peers or {} for number in threads}
    for (name, number), case in others.items():
        cases[case] = _with_threads(number, (peers or {})[name])
    kept = torch.get_num_threads()
    try:
        times = {name: np.array(found) for name, found in interleaved(cases, rounds).items()}
    finally:
        torch.set_num_threads(kept)
    figures = []
    for key, engine in engines.items():
        run, other = runs[key], runs[key[0], key[1], _TORCH]
        taken, reference = (
            times[" ".join(map(str, each))] for each in (key, (key[0], key[1], _TORCH))
        )
        cpu, reference_cpu = (np.array(each.cpu_ms[-rounds:]) for each in (run, other))
        figures.append(
            EngineFigures(
                *key[:2],
                engine.kind,
                Timing.of(taken),
                Timing.of(cpu),
                units=float(np.median(taken / times["unit"])),
                against_torch=float(np.median(reference / taken)),
                cpu_against_torch=float(np.median(reference_cpu / cpu)),
                mean_difference=float(np.abs(run.picture - other.picture).mean()),
                of_peers={
                    name: float(np.median(taken / times[others[name, key[1]]]))
                    for name in peers or {}
                },
            )
        )
    foreign = tuple(
        PeerFigures(*key, Timing.of(times[case]), float(np.median(times[case] / times["unit"])))
        for key, case in others.items()
    )
    return EnginesResult(Timing.of(times["unit"]), tuple(figures), foreign, left_out)


def _with_threads(number: int, run: Callable[[], object]) -> Callable[[], object]:
    """Return a run with so many threads of PyTorch; the caller restores their number."""

    def call() -> None:
        torch.set_num_threads(number)
        run()

    return call


def _engines(
    model: str, threads: int, left_out: dict[str, str]
) -> dict[tuple[str, int, str], PairEngine]:
    """Return the engines of a model; of what cannot run the reason is noted."""
    network = load_model(model)
    found: dict[tuple[str, int, str], PairEngine] = {
        (model, threads, _TORCH): Engine(network, open_bank(network, _FROZEN))
    }
    kinds = {
        "onnx": SessionConfig("onnx", threads),
        "openvino float32": SessionConfig("openvino", threads),
        "openvino half": SessionConfig("openvino", threads, half=True),
    }
    for name, config in kinds.items():
        if not is_installed(config.kind):
            left_out[config.kind] = "not installed"
            continue
        try:
            exported = ExportedNetwork(exported_file(model), config)
        except FusionError as error:
            left_out[f"{config.kind} of {model}"] = str(error)
            continue
        if config.half and exported.precision == "float32":
            left_out["openvino bfloat16"] = "this processor does not multiply it"
            continue
        found[model, threads, name] = ExportedEngine(exported, trained_bank(exported, _FROZEN))
    return found


class _Run:
    """Fuses one pair again and again, and keeps the processor time and the last picture."""

    def __init__(self, engine: PairEngine, threads: int, pair: AlignedPair) -> None:
        self._engine, self._threads, self._pair = engine, threads, pair
        self.cpu_ms: list[float] = []
        self.picture: FloatImage

    def __call__(self) -> None:
        torch.set_num_threads(self._threads)
        start = time.process_time()
        image = self._engine.fuse(self._pair).image
        self.cpu_ms.append((time.process_time() - start) * 1e3)
        self.picture = image.astype(np.float32)
