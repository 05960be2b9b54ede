"""Open what a user names as a sink of fused frames."""

from __future__ import annotations

from pathlib import Path

from fusion_core.errors import UsageError
from fusion_core.plugins import SINKS, load_plugin, load_plugins, plugin_names
from fusion_core.sink.base import Sink, SinkKind


def open_sink(dst: str, *, overlay: bool = False) -> Sink:
    """Open one output; videos and JSON lines replace an old file, bags and recordings refuse to.

    An address ``NAME:...`` or a file ``*.NAME`` is opened by the entry point NAME of the group
    ``fusion.sinks``, a folder ending in ``/`` by the entry point ``folder``.

    Args:
        dst: ``*.mp4``, ``*.mkv``, ``*.jsonl``, ``*.rrd``, ``*.mcap``, a folder ending in ``/``,
            ``bag:DIR``, ``zmq://host:port/topic``, ``rerun://host:port`` or
            ``foxglove://host:port``.
        overlay: Whether videos show what the detector found.

    Returns:
        A sink; use it as a context manager.

    Raises:
        UsageError: The kind is unknown.
        SinkError: The output cannot be created, or the bag's folder exists.
    """
    sink: Sink = _load(output_kind(dst)).open(dst, overlay)
    return sink


def output_kind(dst: str) -> str:
    """Return the name of the entry point that opens an output.

    Raises:
        UsageError: The kind is unknown.
    """
    name = _kind_name(dst)
    if name not in plugin_names(SINKS):
        hint = f"for the folder write {dst}/; " if dst and Path(dst).is_dir() else ""
        raise UsageError(f"output {dst!r} is of no known kind: {hint}expected {_kinds()}")
    return name


def output_path(dst: str) -> Path | None:
    """Return the file or folder that an output writes; None for an address such as a socket's."""
    scheme, separator, rest = dst.partition(":")
    if rest.startswith("//"):
        return None
    return Path(rest if separator and rest and scheme in plugin_names(SINKS) else dst)


def _kind_name(dst: str) -> str:
    """Return the name of the entry point that opens an output; empty when there is none."""
    scheme, _, rest = dst.partition(":")
    if rest and (scheme in plugin_names(SINKS) or rest.startswith("//")):
        return scheme
    return "folder" if dst.endswith("/") else Path(dst).suffix[1:]


def _load(name: str) -> SinkKind:
    kind: SinkKind = load_plugin(SINKS, name, SinkKind)
    return kind


def _kinds() -> str:
    examples = list(dict.fromkeys(kind.example for kind in load_plugins(SINKS, SinkKind).values()))
    return " or ".join([", ".join(examples[:-1]), *examples[-1:]])
