"""``fusion evaluate`` from its flags to its files."""

import json

import cv2
import numpy as np
import pytest
import tyro

from fusion_core.errors import UsageError
from fusion_lab.cli.evaluate import Evaluate
from fusion_lab.metrics import METRICS


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    for folder in ("set/vi", "set/ir", "ours"):
        (tmp_path / folder).mkdir(parents=True)
        for stem in ("a", "b"):
            image = rng.integers(0, 256, (50, 60), np.uint8)
            cv2.imwrite(str(tmp_path / folder / f"{stem}.png"), image)
    return tmp_path


def run(*arguments):
    return tyro.cli(Evaluate, args=[str(a) for a in arguments]).run()


def test_a_folder_of_fused_images(data, capsys):
    out = data / "scores.json"
    assert run("--data", data / "set", "--fused", data / "ours", "--out", out) == 0
    written = json.loads(out.read_text())
    assert written["method"] == "ours"
    assert written["pairs"] == 2
    table = capsys.readouterr().out
    assert "set: 2 pairs" in table
    assert "ours" in table


def test_named_folders_rules_all_metrics_and_a_page(data):
    out, html = data / "scores.json", data / "page.html"
    fused = [f"one={data / 'ours'}", f"two={data / 'set' / 'ir'}"]
    code = run(
        *("--data", data / "set", "--fused", *fused, "--baselines"),
        *("--metrics", "all", "--out", out, "--html", html, "--workers", 2),
    )
    assert code == 0
    written = json.loads(out.read_text())
    names = [entry["method"] for entry in written["methods"]]
    assert names == ["one", "two", "max", "mean", "laplacian", "guided"]
    assert list(written["methods"][0]["metrics"]) == list(METRICS)
    assert html.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_an_unknown_model_is_a_usage_error(data):
    with pytest.raises(UsageError, match="'nope'"):
        run("--data", data / "set", "--out", data / "scores.json", "--model", "nope")


def test_a_shipped_model(data):
    out = data / "scores.json"
    assert run("--data", data / "set", "--out", out, "--model", "m2pn-edge") == 0
    written = json.loads(out.read_text())
    assert written["method"] == "m2pn-edge"
    assert written["metrics"]["EN"] > 0


def test_wrong_flags_are_usage_errors_before_any_work(data):
    out = data / "scores.json"
    base = ["--data", data / "set", "--out", out]
    with pytest.raises(UsageError, match="--model NAME, --fused DIR or --baselines"):
        run(*base)
    with pytest.raises(UsageError, match="'XX'"):
        run(*base, "--baselines", "--metrics", "XX")
    with pytest.raises(UsageError, match="--workers -1"):
        run(*base, "--baselines", "--workers", "-1")
    assert not out.exists()
