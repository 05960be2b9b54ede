"""``fusion serve``: run networks for pipelines elsewhere."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from fusion_core.cli.settings import Assignments, read_config
from fusion_core.cli.stop_signal import StopSignal, quiet_abort
from fusion_core.errors import UsageError


@dataclass(frozen=True)
class Serve:
    """Run networks for pipelines in other processes and on other machines.

    A pipeline uses this server with the setting engine.endpoint: `fusion run --set
    engine.endpoint=ENDPOINT ...`, the node's parameter of the same name, or a configuration file.
    """

    bind: Annotated[str | None, tyro.conf.arg(metavar="ENDPOINT")] = None
    """Where to listen: ipc://FILE or tcp://HOST:PORT. Other machines need --keys."""
    keys: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder of the server's keys, of --make-keys: only clients in its folder `clients` are let
    in."""
    make_keys: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Make keys and end: DIR/server for this server, DIR/client to be copied to the client. Again
    for one more client."""
    model: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME")] = ()
    """What clients may choose: names of `fusion models`, and checkpoints of `fusion train` by their
    path here; all installed models when not given. May be given several times."""
    device: Literal["auto", "cpu", "cuda"] | None = None
    """Where the networks run."""
    settings: Assignments = ()
    """Any setting that is the server's own: threads, priors.weights."""

    def run(self) -> int:
        """Make keys, or serve until a signal comes."""
        if self.make_keys is not None:
            from fusion_core.transport.keys import make_keys

            server, client = make_keys(self.make_keys)
            print(f"server   --keys {server}")
            print(f"client   engine.keys={client}  (copy this folder to the client)")
            return 0
        if self.bind is None:
            raise UsageError(
                "nothing to do: give --bind ENDPOINT, such as --bind ipc:///run/user/1000/fusion, "
                "or --make-keys DIR"
            )
        with StopSignal() as stop:
            return self._serve(stop, self.bind)

    def _serve(self, stop: StopSignal, bind: str) -> int:
        with quiet_abort():
            from fusion_core.pipeline.device import prepare_device
            from fusion_core.serving import Server
            from fusion_core.serving.networks import Networks, split_models
        config = read_config(None, {"device": self.device}, self.settings)
        device = prepare_device(config)
        networks = Networks(device, *split_models(self.model))
        ended = threading.Event()
        with Server(bind, config, networks, self.keys) as server:
            print(f"listening on {bind}, networks on {device.type}", flush=True)
            try:
                with stop.interruptible():
                    server.serve(ended)
            except KeyboardInterrupt:
                pass
        return 0
