"""What a GPU makes of the networks: first whether it is right, then how fast it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import numpy as np
import torch
import tyro

from fusion_core.config import Config
from fusion_core.detection import Detector
from fusion_core.engine import Engine, PairEngine, pick_device
from fusion_core.engine.exported import ExportedEngine, ExportedNetwork, exported_file, trained_bank
from fusion_core.engine.torch_engine import open_bank
from fusion_core.errors import FusionError
from fusion_core.inference import SessionConfig
from fusion_core.memory import MemoryConfig
from fusion_core.models import list_models, load_model
from fusion_core.pipeline import Pipeline
from fusion_core.priors import PriorsConfig, assess_pair, open_provider
from fusion_core.types import AlignedPair, ScenePrior
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.latency import street_pairs
from fusion_lab.benches.tables import Table
from fusion_lab.benches.timing import Timing

_FROZEN: Final = MemoryConfig(mode="frozen")
_SIZES: Final = ((480, 640), (1024, 1280))
_CHECKED: Final = (96, 128)
_VARIANTS: Final = ("eager float32", "eager half", "graph half", "onnx cuda", "tensorrt")
_ALL_KINDS: Final = {"cuda": _VARIANTS, "cpu": ("eager float32", "eager half", "onnx cpu")}
_TEXT: Final = "remove the noise and show the people"


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a model's picture on the device is from that on the CPU in float32.

    Attributes:
        model: Its name.
        precision: Of the device.
        largest: Largest difference in gray levels of 255, over all its tasks; NaN where it failed.
        mean: Mean difference over them.
        problem: What it failed of, else empty.
    """

    model: str
    precision: str
    largest: float
    mean: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Speed:
    """Time of a network, or of the whole pipeline.

    Attributes:
        what: Name of the network, ``detector`` or ``pipeline``.
        variant: How it was run.
        size: Of the pictures, as ``640x480``.
        time: One pair, in the network; NaN where it failed or the time was over.
        problem: What it failed of, else empty.
    """

    what: str
    variant: str
    size: str
    time: Timing
    problem: str = ""


@dataclass(frozen=True, slots=True)
class GpuResult:
    """Figures of a run.

    Attributes:
        device: Name of the device.
        agreement: One entry per model and precision.
        speed: One entry per network, variant and size.
        seconds: What the run took.
    """

    device: str
    agreement: tuple[Agreement, ...]
    speed: tuple[Speed, ...]
    seconds: float

    def tables(self) -> Sequence[Table]:
        """Return what is right, then what is fast."""
        right = tuple(
            (entry.model, entry.precision, entry.largest, entry.mean, entry.problem)
            for entry in self.agreement
        )
        fast = tuple(
            (each.what, each.variant, each.size, each.time.median, each.time.p99, each.problem)
            for each in self.speed
        )
        head = ("model", "precision", "largest difference", "mean", "problem")
        title = f"{self.device} against the CPU in float32, levels of 255"
        return [
            Table(title, head, right),
            Table(
                f"{self.device}, milliseconds of the network; {self.seconds:.0f} s in all",
                ("what", "variant", "size", "p50 ms", "p99", "problem"),
                fast,
                digits=3,
            ),
        ]


@dataclass(frozen=True, kw_only=True)
class GpuBench(BenchCommand):
    """Check every model on a GPU against the CPU, then time networks and pipeline, in 8 minutes.

    What comes after the limit is left out and says so. `--device cpu` runs the same on a CPU, where
    it takes seconds with few rounds.
    """

    device: Literal["cuda", "cpu"] = "cuda"
    """What to measure."""
    model: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME")] = ()
    """Models to check and to time; all with weights when not given."""
    rounds: int = 200
    """Pairs per figure."""
    limit_s: float = 480.0
    """Time after which nothing new begins, in seconds."""

    def measure(self) -> GpuResult:
        """Check and time."""
        return measure_gpu(self.device, self.model, self.rounds, self.limit_s)


def measure_gpu(
    device: str,
    models: Sequence[str],
    rounds: int,
    limit_s: float,
    sizes: Sequence[tuple[int, int]] = _SIZES,
) -> GpuResult:
    """Check and time; see :class:`GpuBench`.

    Args:
        device: ``cuda`` or ``cpu``.
        models: Names; all with weights when empty.
        rounds: Pairs per figure.
        limit_s: Time after which nothing new begins.
        sizes: Heights and widths of the pictures.

    Raises:
        UsageError: There is no GPU.
    """
    start = time.perf_counter()
    place = pick_device(device)
    names = tuple(models) or tuple(each.name for each in list_models() if each.weights_present)

    def over() -> bool:
        return time.perf_counter() - start > limit_s

    agreement = [entry for name in names if not over() for entry in _agreements(name, place)]

    def speeds(chosen: Sequence[str]) -> list[Speed]:
        return [
            _speed(name, variant, size, place, rounds)
            if not over()
            else _left_out(name, variant, size)
            for name in chosen
            for size in sizes
            for variant in _variants(name, device)
        ]

    # What runs on every frame first: the time may be over before the slower networks.
    speed = speeds([name for name in names if _is_exported(name)])
    for what, timed in (("detector", _detector), ("pipeline", _pipeline)):
        speed.append(timed(device, rounds) if not over() else _left_out(what, "", _SIZES[0]))
    speed += speeds([name for name in names if not _is_exported(name)])
    named = torch.cuda.get_device_name(place) if device == "cuda" else "CPU"
    return GpuResult(named, tuple(agreement), tuple(speed), time.perf_counter() - start)


def _agreements(name: str, device: torch.device) -> Iterator[Agreement]:
    """Compare a model on the device with itself on the CPU."""
    expected = _pictures(Engine(load_model(name), None, precision=torch.float32))
    for precision in (torch.float32, None):
        title = "float32" if precision else "half"
        try:
            network = load_model(name, device)
            made = _pictures(Engine(network, None, precision=precision))
        except (FusionError, RuntimeError) as error:
            yield Agreement(name, title, np.nan, np.nan, _line(error))
            continue
        off = np.abs(made - expected)
        yield Agreement(name, title, float(off.max()), float(off.mean()))


def _pictures(engine: Engine) -> np.ndarray:
    """Return what a network makes of a pair in each of its tasks, with all cues that it takes."""
    pair = _pair(*_CHECKED)
    features = engine.network.features
    assert pair.visible is not None, "both sides are there"
    assert pair.thermal is not None, "both sides are there"
    prior = _prior(pair) if features.uses_prior else None
    mask = np.zeros(_CHECKED, np.float32)
    mask[20:60, 30:80] = 1
    gray = np.repeat((pair.thermal * 255).astype(np.uint8)[..., None], 3, 2)
    text = _TEXT if features.uses_text else None
    engine.describe(text or "")
    pictures = []
    for task in features.tasks:
        if task == "vif":
            image = engine.fuse(pair, prior, mask if features.uses_mask else None).image
        else:
            image = engine.fuse_pictures([pair.visible, gray], task, prior=prior, text=text)
        pictures.append(image.astype(np.float32))
    return np.stack(pictures)


def _speed(
    name: str, variant: str, size: tuple[int, int], device: torch.device, rounds: int
) -> Speed:
    """Time one network in one way."""
    text = _text(size)
    try:
        engine = _engine(name, variant, device)
        pair = _pair(*size)
        prior = _prior(pair) if engine.uses_prior else None
        mask = np.zeros(size, np.float32)
        mask[size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = 1
        prepared = engine.prepare(pair, prior, mask)
        found = _times(lambda: engine.run(prepared)[1], rounds)
    except (FusionError, RuntimeError) as error:
        return Speed(name, variant, text, _nothing(), _line(error))
    return Speed(name, variant, text, Timing.of(found))


def _engine(name: str, variant: str, device: torch.device) -> PairEngine:
    if variant.startswith(("onnx", "tensorrt")):
        provider: Literal["cpu", "cuda", "tensorrt"] = "tensorrt"
        if variant != "tensorrt":
            provider = "cuda" if variant.endswith("cuda") else "cpu"
        exported = ExportedNetwork(
            exported_file(name), SessionConfig("onnx", half=True, provider=provider)
        )
        return ExportedEngine(exported, trained_bank(exported, _FROZEN))
    network = load_model(name, device)
    return Engine(
        network,
        open_bank(network, _FROZEN),
        precision=torch.float32 if variant.endswith("float32") else None,
        graphs=variant.startswith("graph"),
    )


def _detector(device: str, rounds: int) -> Speed:
    """Time the shipped detector, 640x480."""
    pair = _pair(*_SIZES[0])
    try:
        detector = Detector("default", device=device)
        found = _times(lambda: _milliseconds(lambda: detector.detect(None, pair)), rounds)
    except (FusionError, RuntimeError) as error:
        return Speed("detector", "", _text(_SIZES[0]), _nothing(), _line(error))
    return Speed("detector", detector.about["provider"], _text(_SIZES[0]), Timing.of(found))


def _milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3


def _pipeline(device: str, rounds: int) -> Speed:
    """Time whole steps with prior and detector, 640x480."""
    pairs = street_pairs(4)
    config = Config.from_dict({"device": device})
    try:
        with Pipeline(config) as pipeline:
            variant = str(pipeline.status().engine.get("kind", ""))
            steps = iter(pairs * (rounds // len(pairs) + 4))

            def step() -> float:
                fused = pipeline.step(next(steps))
                return 0.0 if fused is None else fused.timings["total"]

            return Speed("pipeline", variant, _text(_SIZES[0]), Timing.of(_times(step, rounds)))
    except (FusionError, RuntimeError) as error:
        return Speed("pipeline", "", _text(_SIZES[0]), _nothing(), _line(error))


def _times(run: Callable[[], float], rounds: int) -> list[float]:
    for _ in range(3):
        run()
    return [run() for _ in range(rounds)]


def _pair(height: int, width: int) -> AlignedPair:
    """Return a pair of smooth shapes with some noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = np.stack([np.sin(x / 17 + y / 29 + shift) for shift in range(3)], -1)
    visible = np.clip(127 + 90 * waves + rng.normal(0, 4, waves.shape), 0, 255).astype(np.uint8)
    thermal = (0.5 + 0.4 * np.cos(x / 41 - y / 23)).astype(np.float32)
    return AlignedPair(0, visible, thermal, np.ones((height, width), bool))


def _prior(pair: AlignedPair) -> ScenePrior:
    """Return what the embedded provider gives for a pair."""
    return assess_pair(open_provider("embedded", PriorsConfig(), "cpu"), pair)


def _variants(name: str, device: str) -> tuple[str, ...]:
    """Return the ways in which a network is run on a device; one without a file only in torch."""
    in_torch = ("eager", "graph")
    return tuple(
        each for each in _ALL_KINDS[device] if _is_exported(name) or each.startswith(in_torch)
    )


def _is_exported(name: str) -> bool:
    try:
        exported_file(name)
    except FusionError:
        return False
    return True


def _left_out(what: str, variant: str, size: tuple[int, int]) -> Speed:
    return Speed(what, variant, _text(size), _nothing(), "left out, the time is over")


def _nothing() -> Timing:
    return Timing(0, np.nan, np.nan, np.nan)


def _text(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
