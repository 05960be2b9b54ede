"""The bench of the ROS node: options, and the node's process."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from fusion_core.cli.settings import Assignments, read_config
from fusion_core.errors import FusionError, MissingExtraError
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.tables import Table
from fusion_lab.benches.timing import Timing

PROFILE_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
_TIMEOUT_S, _END_S = 120.0, 60.0
EXCLUDED = "networks excluded"


@dataclass(frozen=True, slots=True)
class RosFigures:
    """Figures of one network at one rate.

    Attributes:
        network: Name of the model, or that networks are excluded.
        rate_hz: Pairs per second.
        sent: Pairs sent.
        latency: From just before the visible image is published to the receiver's callback; None
            when nothing arrived.
        delivered: Share of the pairs whose fused image arrived.
    """

    network: str
    rate_hz: float
    sent: int
    latency: Timing | None
    delivered: float


@dataclass(frozen=True, slots=True)
class RosResult:
    """Figures per network."""

    networks: tuple[RosFigures, ...]

    def tables(self) -> Sequence[Table]:
        """Return one row per network."""
        nan = float("nan")
        rows = tuple(
            (
                row.network,
                row.rate_hz,
                row.latency.median if row.latency else nan,
                row.latency.p99 if row.latency else nan,
                100 * row.delivered,
            )
            for row in self.networks
        )
        head = ("network", "Hz", "p50 ms", "p99 ms", "delivered %")
        return [Table("Cameras to fused image over DDS, 640x480", head, rows, digits=1)]


@dataclass(frozen=True, kw_only=True)
class RosBench(BenchCommand):
    """Measure the node over a real DDS: latency and delivery from cameras to fused image.

    Cameras and receiver share one process, the node is another. In the first row the mean of both
    images takes the network's place, without detector and prior. Needs rclpy.
    """

    model: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME")] = (
        "m2pn-edge",
    )
    """Models to measure beside none."""
    settings: Assignments = ()
    """Any other setting of the node, as its parameter."""
    rate: Annotated[float, tyro.conf.arg(metavar="HZ")] = 30.0
    """Pairs per second."""
    seconds: Annotated[float, tyro.conf.arg(metavar="S")] = 20.0
    """Length of each row."""

    def measure(self) -> RosResult:
        """Run the node once per row."""
        names = (EXCLUDED, *dict.fromkeys(self.model))
        return RosResult(
            tuple(measure_ros(name, self.rate, self.seconds, self.settings) for name in names)
        )


def measure_ros(
    name: str, rate_hz: float, seconds: float, settings: Sequence[str] = ()
) -> RosFigures:
    """Run the node with one network between cameras and a receiver.

    Args:
        name: Name of a model, or ``EXCLUDED``.
        rate_hz: Pairs per second.
        seconds: How long.
        settings: ``KEY=VALUE`` of other settings.

    Raises:
        ConfigError: A key or a value is wrong.
        MissingExtraError: There is no rclpy, or the node's package is not found.
        FusionError: The node does not start.
    """
    require_ros("ros")
    read_config(None, {}, settings)
    os.environ.setdefault(PROFILE_VARIABLE, str(transport_profile()))
    from fusion_lab.benches.ros.cameras import ros_cameras

    with ros_cameras() as cameras, node_process(name, settings) as process:
        await_node(lambda: cameras.is_connected, process, name)
        sent, latencies = cameras.run(rate_hz, seconds)
    latency = Timing.of(latencies) if latencies else None
    return RosFigures(name, rate_hz, sent, latency, len(latencies) / max(sent, 1))


def require_ros(bench: str) -> None:
    """Refuse to run without ROS.

    Raises:
        MissingExtraError: There is no rclpy, or the node's package is not found.
    """
    for module in ("rclpy", "fusion_node"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(
                f"bench {bench}: no module {module!r}; source the ROS installation and the "
                "workspace"
            )


@contextmanager
def node_process(name: str, settings: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run the node's process until the block ends."""
    from fusion_lab.benches.ros import node

    command = [sys.executable, "-m", node.__name__]
    parameters = [text.replace("=", ":=", 1) for text in settings]
    if name == EXCLUDED:
        command.append(node.WITHOUT_NETWORKS)
        parameters += ["detector:=none", "prior:=none"]
    else:
        parameters.append(f"model:={name}")
    command += ["--ros-args", "--log-level", "warn"]
    command += [word for parameter in parameters for word in ("-p", parameter)]
    process = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - this interpreter
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(_END_S)


def await_node(
    is_connected: Callable[[], bool], process: subprocess.Popen[bytes], name: str
) -> None:
    """Wait until the node's process has subscribed.

    Raises:
        FusionError: It ends or does not subscribe.
    """
    end = time.monotonic() + _TIMEOUT_S
    while not is_connected():
        if process.poll() is not None or time.monotonic() > end:
            raise FusionError(f"bench ros: the node did not start with {name!r}; see its log above")
        time.sleep(0.1)
    time.sleep(1.0)


def transport_profile() -> Path:
    """Return the transport profile of the node's package, in its source or installed."""
    spec = importlib.util.find_spec("fusion_node")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).parents[1] / "config" / "fastdds.xml"
    if source.is_file():
        return source
    from ament_index_python.packages import get_package_share_directory

    return Path(get_package_share_directory("fusion_node")) / "config" / "fastdds.xml"
