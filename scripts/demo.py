"""Two cameras, the fusion node and a recorder, each a process of its own, over a real DDS."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from tqdm import tqdm

from fusion_core.errors import FusionError, SourceError, UsageError
from fusion_core.runtime.process import tune_process
from fusion_core.sink.bag import BagRecorder
from fusion_core.source import open_source
from fusion_lab.synthetic import SyntheticScene

if TYPE_CHECKING:
    from fusion_core.config import Config

ROOT = Path(__file__).resolve().parents[1]
PROFILE = ROOT / "ros2_ws" / "src" / "fusion_node" / "config" / "fastdds.xml"
STREET = "synthetic://street?rgb_hz=10&thermal_hz=10"
PRODUCTS = (
    "fused.mp4",
    "fused.jsonl",
    "report.html",
    "run.json",
    "rig.yaml",
    "logs",
    "bag",
    "cameras",
)
# Says that a folder is the demo's own, so that its content may be replaced.
MARKER = ".fusion_demo"
END_S = 60.0
# Frames timed to choose the playing speed, and room left beside the fusing for the transport, the
# cameras and the recorder.
SAMPLES, RESERVE = 12, 2.0
# Slower than this, the 7 ms between the two shutters would exceed the default sync.max_skew_ms.
SLOWEST = 0.3
# With less than this share of the pairs fused live, the recording is fused again, pair by pair.
ENOUGH = 0.5
POLL_S = 0.5
# One core is left to the cameras, the recorder and the transport.
THREADS = max(1, (os.cpu_count() or 2) - 1)


def arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--bag", help="a ROS 1 or ROS 2 bag to play instead of the street")
    parser.add_argument("--visible", help="a video or folder of colour images to play instead")
    parser.add_argument("--thermal", help="a video or folder of thermal images to play instead")
    parser.add_argument("--calibration", default="", help="rig file of your cameras")
    parser.add_argument("--model", default="m2pn-edge", help="fusion model")
    parser.add_argument("--seconds", type=float, default=12.0, help="length of the street")
    parser.add_argument(
        "--speed",
        type=float,
        help="playing speed; by default what this machine keeps up with, at most 1",
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "demo_out", help="folder for the results"
    )
    options = parser.parse_args()
    if bool(options.visible) != bool(options.thermal) or (options.bag and options.visible):
        parser.error("give --bag, or --visible and --thermal together, or none of them")
    if options.seconds < 2:
        parser.error(f"--seconds {options.seconds:g}: at least 2")
    return options


def prepare(out: Path) -> None:
    """Make the folder and remove the results of an earlier demo from it.

    Raises:
        UsageError: The folder holds files and was not made by the demo.
    """
    if out.exists() and not (out / MARKER).exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"--out {out}: exists and was not made by the demo; choose a new folder")
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).touch()
    remove(out, PRODUCTS)
    (out / "logs").mkdir()


def remove(out: Path, names: tuple[str, ...]) -> None:
    """Remove results of the demo."""
    for name in names:
        product = out / name
        if product.is_dir():
            shutil.rmtree(product)
        else:
            product.unlink(missing_ok=True)


def progress_bar(total: int | None, unit: str) -> tqdm[Any]:
    """Return a bar; in a log it makes one entry in ten seconds."""
    interval_s = 0.2 if sys.stderr.isatty() else 10.0
    return tqdm(total=total, unit=unit, mininterval=interval_s, maxinterval=interval_s)


def film_street(out: Path, seconds: float) -> tuple[dict[str, str], str]:
    """Render the street into a bag; return what to play and the rig file."""
    print("filming a street by day, by night, in smoke, haze and glare ...", flush=True)
    scene = SyntheticScene.from_url(f"{STREET}&seconds={seconds}")
    rig = out / "rig.yaml"
    rig.write_text(yaml.safe_dump(scene.rig(), sort_keys=False), encoding="utf-8")
    total = round(seconds * (scene.rgb_hz + scene.thermal_hz))
    with BagRecorder(out / "cameras") as bag, progress_bar(total, "image") as progress:
        for frame in scene.frames():
            bag.write_frame(frame)
            progress.update()
    return {"bag": str(out / "cameras")}, str(rig)


def measure(played: dict[str, str], config: Config) -> tuple[float, int | None]:
    """Return the playing speed that this machine keeps up with, and the number of pairs.

    Raises:
        SourceError: The recording holds no pair.
    """
    from fusion_core.pipeline import Pipeline

    print(f"measuring this machine on the first {SAMPLES} pairs ...", flush=True)
    opened = open_source(
        played.get("bag"), visible=played.get("visible"), thermal=played.get("thermal")
    )
    with opened as source, Pipeline(config) as pipeline:
        results = list(itertools.islice(pipeline.stream(source), SAMPLES))
        total = source.total
    if not results:
        raise SourceError(f"{' and '.join(played.values())}: holds no pair of images")
    if len(results) == 1:
        return 1.0, total
    period_ms = (results[-1].stamp_ns - results[0].stamp_ns) / (len(results) - 1) / 1e6
    median_ms = statistics.median(fused.timings["total"] for fused in results)
    speed = period_ms / (RESERVE * median_ms)
    print(f"  {median_ms:.0f} ms per pair, the cameras give one every {period_ms:.0f} ms")
    return speed, total


def start(name: str, module: str, out: Path, *parameters: str) -> subprocess.Popen[bytes]:
    """Start one ROS process, its output in a log file."""
    command = [sys.executable, "-m", module, "--ros-args"]
    for parameter in parameters:
        command += ["-p", parameter]
    environment = dict(os.environ, FASTRTPS_DEFAULT_PROFILES_FILE=str(PROFILE))
    with (out / "logs" / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process by SIGINT, by SIGKILL when it takes longer than END_S."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def fuse_live(
    out: Path, config: Config, played: dict[str, str], speed: float, total: int | None
) -> None:
    """Run the three processes until the recording is over.

    Args:
        out: Folder for the results.
        config: Model, rig and threads of the node.
        played: Names and paths of what the cameras play.
        speed: Playing speed.
        total: Pairs expected, for the progress bar.

    Raises:
        FusionError: A process ended early or nothing was fused.
    """
    outputs = [str(out / "fused.mp4"), f"bag:{out / 'bag'}", str(out / "fused.jsonl")]
    with ExitStack() as stack:
        recorder = start(
            "recorder",
            "fusion_node.recorder",
            out,
            f"out:={json.dumps(outputs)}",
            f"report:={out / 'report.html'}",
            "overlay:=true",
        )
        stack.callback(end, recorder)
        node = start(
            "node",
            "fusion_node",
            out,
            f"model:={config.model}",
            f"threads:={config.threads}",
            f"calibration:='{config.calibration}'",
        )
        stack.callback(end, node)
        sources = [f"{name}:='{value}'" for name, value in played.items()]
        cameras = start(
            "cameras", "fusion_node.camera_publisher", out, f"speed:={speed:.3f}", *sources
        )
        stack.callback(end, cameras)
        with progress_bar(total, "pair") as progress:
            while cameras.poll() is None:
                for name, process in (("recorder", recorder), ("node", node)):
                    if process.poll() is not None:
                        raise FusionError(f"the {name} ended early: see {out / 'logs'}")
                progress.update(count_lines(out / "fused.jsonl") - progress.n)
                time.sleep(POLL_S)
            progress.update(count_lines(out / "fused.jsonl") - progress.n)
        if cameras.returncode:
            raise FusionError(f"the cameras failed: see {out / 'logs' / 'cameras.log'}")
        time.sleep(2.5)  # two more reports of the node, with the last frames in them


def count_lines(path: Path) -> int:
    """Return the number of lines written so far, 0 without the file."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def command(out: Path, config: Config, played: dict[str, str], *more: str) -> list[str]:
    """Return the arguments of `fusion` that fuse the same recording pair by pair."""
    words = ["run"]
    for name, value in (*played.items(), ("calibration", config.calibration)):
        words += [f"--{name}", value] if value else []
    if config.model != "m2pn-edge":
        words += ["--model", config.model]
    return [*words, "--overlay", "--out", str(out / "fused.mp4"), *more]


def fuse_recording(out: Path, config: Config, played: dict[str, str]) -> None:
    """Fuse every pair without ROS, however long each takes.

    Raises:
        FusionError: The run failed; its message has been printed.
    """
    remove(out, ("fused.mp4", "fused.jsonl", "report.html", "run.json", "bag"))
    more = ["--out", str(out / "fused.jsonl"), "--out", f"bag:{out / 'bag'}"]
    more += ["--report", str(out / "report.html")]
    words = [str(Path(sys.executable).with_name("fusion")), *command(out, config, played, *more)]
    if subprocess.run(words, check=False).returncode:
        raise FusionError("the recording could not be fused")


def print_next_steps(out: Path, config: Config, played: dict[str, str]) -> None:
    """Print how to go on with `fusion` on the command line."""
    words = ["fusion", *command(out, config, played, "--report", str(out / "report.html"))]
    activate = Path(sys.prefix) / "bin" / "activate"
    print("\nOn the command line, without ROS, the same recording and your own:")
    print(f"  source {shlex.quote(str(activate))}")
    print(f"  {shlex.join(words)}")
    print("  fusion run --visible rgb.mp4 --thermal thermal.mp4 --out fused.mp4")
    print("  fusion --help")


def print_summary(out: Path, summary: dict[str, Any]) -> None:
    """Print the counters of the live run and where its results are."""
    read = ", ".join(f"{count} {name}" for name, count in summary["read"].items())
    drops = ", ".join(f"{count} {cause}" for cause, count in summary["drops"].items()) or "none"
    print(f"\nread      {read} images over DDS")
    print(
        f"fused     {summary['fused']} of {summary['pairs']} pairs, {summary['recorded']} recorded"
    )
    print(f"dropped   {drops}")
    print(f"model     {summary['model']} on {summary['device']}")
    for stage, ranks in summary["latency_ms"].items():
        values = "  ".join(f"{rank} {value:7.1f}" for rank, value in ranks.items())
        print(f"  {stage:<14s}{values}  ms")
    for title, name in (
        ("video", "fused.mp4"),
        ("report", "report.html"),
        ("bag", "bag"),
        ("lines", "fused.jsonl"),
        ("counters", "run.json"),
    ):
        print(f"{title:<10s}{out / name}")


def run(out: Path, config: Config, played: dict[str, str], wanted: float | None) -> None:
    """Fuse live where the machine keeps up with it, else pair by pair.

    Args:
        out: Folder for the results.
        config: Model, rig and threads.
        played: Names and paths of what is played.
        wanted: Playing speed; None for what the machine keeps up with.

    Raises:
        FusionError: Nothing was fused.
    """
    possible, total = measure(played, config)
    if wanted is None and possible < SLOWEST:
        print(
            f"This machine, or what else runs on it, is too slow to fuse live: it would keep up "
            f"with {possible:.2f} times the recorded speed, {SLOWEST} is the least.\n"
            "Fusing the recording pair by pair instead, so that none is lost. "
            f"--speed {SLOWEST} runs it live all the same.",
            flush=True,
        )
        fuse_recording(out, config, played)
        return
    speed = wanted or min(1.0, possible)
    print(f"fusing live over ROS 2 at {speed:.2f} times the recorded speed ...", flush=True)
    fuse_live(out, config, played, speed, total)
    summary = json.loads((out / "run.json").read_text(encoding="utf-8"))
    if wanted is None and summary["recorded"] < ENOUGH * summary.get("pairs", 1):
        print(
            f"Only {summary['recorded']} of {summary.get('pairs', 0)} pairs were fused live: the "
            "machine has become too slow for it.\nFusing the recording pair by pair instead.",
            flush=True,
        )
        fuse_recording(out, config, played)
        return
    if not summary["recorded"]:
        raise FusionError(f"nothing was fused: see {out / 'logs'}")
    print_summary(out, summary)


def main() -> int:
    """Run the demo; return the exit code."""
    options = arguments()
    tune_process()
    # Imports torch: only after the process is set up for it.
    from fusion_core.config import Config

    out = options.out.resolve()
    try:
        prepare(out)
        if options.bag:
            played, rig = {"bag": options.bag}, options.calibration
        elif options.visible:
            played = {"visible": options.visible, "thermal": options.thermal}
            rig = options.calibration
        else:
            played, rig = film_street(out, options.seconds)
        config = Config(model=options.model, calibration=rig, threads=THREADS)
        run(out, config, played, options.speed)
        print_next_steps(out, config, played)
    except FusionError as error:
        print(f"demo: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
