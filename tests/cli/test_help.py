"""Help, the version and wrong verbs; help is quick because it loads nothing heavy."""

import subprocess
import sys

import pytest

from fusion_core import __version__
from fusion_core.cli.main import main
from fusion_core.plugins import VERBS, plugin_names

HEAVY = ("numpy", "torch", "cv2", "av", "pydantic", "rosbags", "onnxruntime", "matplotlib")
LOADED = """
import sys
from fusion_core.cli.main import main
try:
    main(sys.argv[2:])
except SystemExit as end:
    assert end.code == 0, end.code
print("loaded:", *(name for name in sys.argv[1].split(",") if name in sys.modules))
"""


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], HEAVY),
        (["--version"], (*HEAVY, "tyro")),
        *(([verb, "--help"], HEAVY) for verb in plugin_names(VERBS)),
    ],
)
def test_help_loads_nothing_heavy(arguments, heavy):
    command = [sys.executable, "-c", LOADED, ",".join(heavy), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["loaded:"]


def test_help_names_every_verb(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {verb} " in shown for verb in plugin_names(VERBS))


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"fusion {__version__}\n"


def test_run_takes_settings(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["run", "--help"])
    assert caught.value.code == 0
    assert "--set KEY=VALUE" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["fly"], ["Run"], ["--set"]])
def test_wrong_usage_is_two(arguments, capsys):
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert "run" in printed.out + printed.err
