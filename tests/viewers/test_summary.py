"""A run whose viewer is not there."""

import json

import pytest

from fusion_core.cli.main import main

pytest.importorskip("rerun")


def test_a_run_without_its_viewer_says_so_and_is_complete(tmp_path, monkeypatch, capsys, free_port):
    monkeypatch.chdir(tmp_path)
    viewer = f"rerun://127.0.0.1:{free_port}"
    scene = "synthetic://street?seed=1&registered=1"
    options = ("--max-frames", "3", "--prior", "none", "--detector", "none", "--device", "cpu")
    assert main(["run", "--bag", scene, *options, "--out", "a.jsonl", "--out", viewer]) == 0
    summary = json.loads((tmp_path / "run.json").read_text())
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 3
    # Of those that it has no time to leave to an absent viewer, all are counted.
    assert sum(summary["not_shown"][viewer].values()) == 3
    assert summary["not_shown"][viewer]["viewer_away"] >= 1
    assert "viewer_away" in capsys.readouterr().out
