"""The examples are of the forms that systemd and Docker Compose read."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "remote"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_accepts_the_unit(tmp_path):
    text = (EXAMPLES / "fusion-serve.service").read_text()
    unit = tmp_path / "fusion-serve.service"
    # systemd looks for the program, which lies elsewhere on this machine.
    unit.write_text(text.replace("/opt/fusion/venv/bin/fusion", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if "fusion-serve" in line]
    assert complaints == []


def test_the_unit_and_the_composition_name_one_socket():
    unit = (EXAMPLES / "fusion-serve.service").read_text()
    composition = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
    engine, node = composition["services"]["engine"], composition["services"]["node"]
    bind = engine["entrypoint"][-1]
    assert f"--bind {bind}" in unit
    assert f"endpoint:={bind}" in node["command"]
    folder = Path(bind.removeprefix("ipc://")).parent
    assert f"RuntimeDirectory={folder.name}" in unit
    shared = {entry for service in (engine, node) for entry in service["volumes"]}
    assert f"socket:{folder}" in shared
    assert composition["volumes"].keys() == {entry.partition(":")[0] for entry in shared}
    assert engine["healthcheck"]["test"][-1] == bind.removeprefix("ipc://")
