"""Entry point of the ``fusion`` command."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from fusion_core.cli.bench import Bench
from fusion_core.cli.calibrate import Calibrate
from fusion_core.cli.evaluate import Evaluate
from fusion_core.cli.export import Export
from fusion_core.cli.models import Models
from fusion_core.cli.run import Run
from fusion_core.cli.train import Train
from fusion_core.errors import FusionError

_VERBS: dict[str, Callable[..., Any]] = {
    "run": Run,
    "train": Train,
    "evaluate": Evaluate,
    "calibrate": Calibrate,
    "export": Export,
    "models": Models,
    "bench": Bench,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return 0, 2 for bad usage, 1 for a failure with one clear line."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        verb = tyro.extras.subcommand_cli_from_dict(
            _VERBS, prog="fusion", description="Fuse thermal and RGB streams.", args=arguments
        )
        return int(verb.run())
    except FusionError as error:
        print(f"fusion: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("fusion: interrupted", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
