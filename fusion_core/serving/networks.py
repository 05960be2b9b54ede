"""Networks that several sessions share."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from weakref import WeakValueDictionary

import torch

from fusion_core.config import Config
from fusion_core.errors import UsageError
from fusion_core.models import Fuser, load_model
from fusion_core.plugins import MODELS, plugin_names


class Networks:
    """Load networks once for all sessions with the same model and options, while one uses them.

    Args:
        device: Where they run.
        files: Checkpoints that clients may name beside the installed models.
        names: The only installed models that clients may name; all when empty.
    """

    def __init__(
        self, device: torch.device, files: Sequence[str] = (), names: Sequence[str] = ()
    ) -> None:
        self.device = device
        self._files = frozenset(files)
        self._names = frozenset(names)
        self._loaded: WeakValueDictionary[str, Fuser] = WeakValueDictionary()
        self._lock = threading.Lock()

    @property
    def served(self) -> tuple[str, ...]:
        """What clients may name."""
        chosen = (*sorted(self._names), *sorted(self._files))
        return chosen or plugin_names(MODELS)

    def loader(self, options: Mapping[str, object]) -> Callable[[str, torch.device], Fuser]:
        """Return what loads a network for a session with these options.

        Raises of what it returns are those of ``load_model``, and:

        Raises:
            UsageError: The network is not served here.
        """
        key = json.dumps(dict(options), sort_keys=True)

        def load(name: str, device: torch.device) -> Fuser:
            self.check(name)
            with self._lock:
                network = self._loaded.get(f"{name} {key}")
                if network is None:
                    network = self._loaded[f"{name} {key}"] = load_model(name, device)
            return network

        return load

    def check(self, name: str) -> None:
        """Refuse a network that is not served here.

        Raises:
            UsageError: It is none of :attr:`served`.
        """
        if name not in self.served:
            raise UsageError(
                f"model {name!r}: not served here; served are {', '.join(self.served)}: choose one "
                "of them, or start the server with `--model` for this one"
            )


def split_models(models: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the checkpoints and the names among models.

    Raises:
        UsageError: A checkpoint is not there.
    """
    files = tuple(name for name in models if name.endswith(".safetensors"))
    for name in files:
        if not Path(name).is_file():
            raise UsageError(f"--model {name}: no such file; give a checkpoint of `fusion train`")
    return files, tuple(name for name in models if name not in files)


def session_config(base: Config, settings: Mapping[str, object]) -> Config:
    """Return the configuration of a session: what the client wants, and the rest as served.

    Args:
        base: The server's own: device, threads, weights of priors.
        settings: Of the client, nested by block.

    Raises:
        UsageError: A setting is none that a client may choose.
        ConfigError: A value is wrong.
    """
    allowed = {"model", "prior", "temporal_smoothing", "adapt", "options", "memory"}
    if odd := sorted(settings.keys() - allowed):
        raise UsageError(f"setting {odd[0]!r} is the server's own; a client leaves it out")
    memory = settings.get("memory", {})
    if not isinstance(memory, Mapping) or memory.keys() - {"mode"}:
        raise UsageError("of the block memory a client chooses the mode; leave out the rest")
    data = {"device": base.device, "threads": base.threads, "priors": base.to_dict()["priors"]}
    data["detector"] = "none"  # it runs at the client: all threads are the networks'
    return Config.from_dict({**data, **settings}, "client")
