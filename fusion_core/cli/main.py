"""The ``fusion`` command; its verbs are the entry points of the group ``fusion.verbs``."""

from __future__ import annotations

import inspect
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from fusion_core import __version__
from fusion_core.cli.stop_signal import ignore_signals, quiet_abort
from fusion_core.errors import FusionError, UsageError, missing_extra
from fusion_core.plugins import VERBS, load_plugin, load_plugins, plugin_names
from fusion_core.runtime.process import end_process, tune_process

_HELP = {"-h", "--help", "help"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return 0, 2 for bad usage, 1 for a failure with one clear line."""
    tune_process()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(given)
    except FusionError as error:
        print(f"fusion: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        print(f"fusion: {missing_extra(f'`fusion {given[0]}`', 'torch', 'torch')}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        ignore_signals()
        print("fusion: interrupted", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read the output has enough of it; what Python still holds goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"fusion: {place}{error.strerror or error}", file=sys.stderr)
        return 1


def _run(given: list[str]) -> int:
    """Run the verb, or print what was asked for instead."""
    if not given or given[0] in _HELP:
        print(_overview())
        return 0 if given else UsageError.exit_code
    if given[0] == "--version":
        print(f"fusion {__version__}")
        return 0
    with quiet_abort():
        verb = _parsed(given[0], given[1:])
    return int(verb.run())


def _parsed(verb: str, arguments: list[str]) -> Any:  # noqa: ANN401 - the verb's own class
    """Return the verb with its options; only the module of this verb is imported."""
    if verb not in plugin_names(VERBS):
        raise UsageError(f"{verb!r}: no such verb; known verbs: {', '.join(plugin_names(VERBS))}")
    options = load_plugin(VERBS, verb, type)
    if hasattr(options, "from_arguments"):  # chooses among options of its own
        return options.from_arguments(arguments)
    import tyro

    return tyro.cli(options, prog=f"fusion {verb}", args=arguments)


def _overview() -> str:
    """Return the verbs, one line each."""
    lines = ["usage: fusion VERB [options]", "", "Fuse thermal and RGB streams.", ""]
    for verb, options in load_plugins(VERBS, type).items():
        summary = (inspect.getdoc(options) or "").partition("\n")[0]
        lines.append(f"  {verb:10s} {summary}")
    return "\n".join([*lines, "", "`fusion VERB --help` explains a verb's options."])


def program() -> NoReturn:
    """Run the command as a program."""
    end_process(main())


if __name__ == "__main__":
    program()
