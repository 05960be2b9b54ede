"""The verb: its list, its errors, tables on screen and figures as JSON."""

import json
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from fusion_core.cli.main import main
from fusion_core.errors import UsageError
from fusion_lab.benches import command
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.registry import BENCHES, bench_name, load_bench
from fusion_lab.benches.tables import Table, plain


@pytest.mark.parametrize("name", BENCHES)
def test_every_bench_can_be_loaded_and_explains_its_options(name, capsys):
    assert issubclass(load_bench(name), BenchCommand)
    assert bench_name(load_bench(name)) == name
    with pytest.raises(SystemExit) as ended:
        main(["bench", name, "--help"])
    assert ended.value.code == 0
    assert "--out" in capsys.readouterr().out


def test_listing_imports_neither_torch_nor_a_bench():
    program = (
        "import sys; from fusion_core.cli.main import main; main(['bench', '--help']);"
        "sys.exit(any(n == 'torch' or n.startswith('fusion_lab.benches.l') for n in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    for name, entry in BENCHES.items():
        assert any(line.split()[:1] == [name] and line.endswith(entry.summary) for line in lines)


def test_an_unknown_bench_is_refused_with_the_known_ones(capsys):
    assert main(["bench", "speed"]) == UsageError.exit_code
    assert (
        "'speed': no such bench; known benches: latency, engines, gpu, ros"
        in capsys.readouterr().err
    )


@dataclass(frozen=True)
class Figures:
    value: float

    def tables(self):
        return [Table("Figures", ("name", "value"), (("a", self.value),))]


def test_figures_are_printed_and_written_with_the_machine(tmp_path, capsys, monkeypatch):
    @dataclass(frozen=True, kw_only=True)
    class LatencyBench(BenchCommand):  # the registry finds benches by the names of their classes
        def measure(self):
            return Figures(float("nan"))

    monkeypatch.setattr(command.os, "getloadavg", lambda: (1.5, 2.0, 3.0))
    assert LatencyBench(out=tmp_path / "b.json").run() == 0
    written = json.loads((tmp_path / "b.json").read_text())
    assert (written["bench"], written["result"]) == ("latency", {"value": None})
    assert written["machine"]["load_before"] == [1.5, 2.0, 3.0]
    assert written["machine"]["cores"] >= 1
    shown = capsys.readouterr().out
    assert "| a | – |" in shown
    assert "load before 1.50 2.00 3.00" in shown


def test_tables_are_markdown():
    table = Table("T", ("set", "n", "px"), (("a", 3, 1.239), ("b", 10, float("nan"))))
    assert table.markdown().splitlines()[1:] == [
        "T", "", "| set | n | px |", "|---|---|---|", "| a | 3 | 1.24 |", "| b | 10 | – |",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="2 cells, the head has 3"):
        Table("", ("a", "b", "c"), ((1, 2),)).markdown()


def test_results_become_plain_data():
    value = {("a", 1): np.array([1.5, np.inf]), "b": (Figures(np.float32(2)), None, True)}
    assert plain(value) == {"('a', 1)": [1.5, None], "b": [{"value": 2.0}, None, True]}
    with pytest.raises(TypeError, match="object cannot be written"):
        plain(object())
