"""With the networks on a server, a client works in a Python that has no torch."""

import json
import os
import subprocess
import sys

import pytest
from servers import path_without_torch

STREET = "synthetic://street?seed=1&registered=1"


@pytest.fixture
def torchless(tmp_path):
    """Environment of a Python in which importing torch fails."""
    return {**os.environ, "PYTHONPATH": path_without_torch(tmp_path / "site")}


def run(environment, *arguments):
    command = [sys.executable, "-m", "fusion_core.cli.main", *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=240, check=False
    )


def test_the_block_blocks(torchless):
    done = subprocess.run(
        [sys.executable, "-c", "import torch"], env=torchless, capture_output=True, check=False
    )
    assert b"No module named 'torch'" in done.stderr


@pytest.mark.parametrize("prior", ["none", "embedded"])
def test_a_run_fuses_on_the_server(torchless, endpoint, tmp_path, prior):
    done = run(
        torchless, "run", "--bag", STREET, "--max-frames", "3", "--prior", prior,
        "--out", f"{tmp_path}/out.jsonl", "--set", f"engine.endpoint={endpoint}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["health"] for line in lines] == [[]] * 3
    summary = json.loads((tmp_path / "run.json").read_text())
    assert summary["fusion_failures"] == 0
    assert summary["engine"]["endpoint"] == endpoint
    assert (summary["priors"] != {}) == (prior != "none")
    assert f"engine   {endpoint}" in done.stdout


def test_without_a_server_the_message_says_what_to_do(torchless, tmp_path):
    """One line, whether torch is missing here or the server is."""
    local = run(
        torchless, "run", "--bag", STREET, "--max-frames", "1", "--out", f"{tmp_path}/a.jsonl",
        "--model", "ctrlfuse",
    )  # fmt: skip
    assert local.returncode == 1
    assert "engine.endpoint" in local.stderr.splitlines()[-1]
    absent = run(
        torchless, "run", "--bag", STREET, "--max-frames", "1", "--out", f"{tmp_path}/b.jsonl",
        "--set", f"engine.endpoint=ipc://{tmp_path}/nobody",
    )  # fmt: skip
    assert absent.returncode == 1
    assert "no server answers; start one" in absent.stderr.splitlines()[-1]
