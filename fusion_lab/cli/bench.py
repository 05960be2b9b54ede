"""``fusion bench``: figures of the project, measured on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fusion_lab.benches.registry import BENCHES, DEFAULT_BENCH, load_bench

if TYPE_CHECKING:
    from fusion_lab.benches.command import BenchCommand

_HELP = {"-h", "--help"}


class Bench:
    """Measure latency, accuracy and the cost of parts; `fusion bench --help` lists the benches."""

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> Bench | BenchCommand:
        """Return what ``[NAME] [options]`` asks for; without a name that is `latency`.

        Raises:
            UsageError: There is no bench of this name.
        """
        if arguments and arguments[0] in _HELP:
            return cls()
        named = bool(arguments) and not arguments[0].startswith("-")
        name = arguments[0] if named else DEFAULT_BENCH
        command = load_bench(name)
        import tyro

        return tyro.cli(command, prog=f"fusion bench {name}", args=arguments[named:])

    def run(self) -> int:
        """Print the benches, one line each."""
        print("usage: fusion bench [NAME] [options]\n\nMeasure the project on this machine.\n")
        for name, entry in BENCHES.items():
            print(f"  {name:14s} {entry.summary}")
        print(
            f"\nWithout a name: {DEFAULT_BENCH}. `fusion bench NAME --help` explains its options."
        )
        return 0
