"""``fusion evaluate`` from its flags to its files."""

import json

import cv2
import numpy as np
import pytest
import tyro

from fusion_core.errors import SourceError, UsageError
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
    of_sources = [name for name, metric in METRICS.items() if not metric.needs_target]
    assert list(written["methods"][0]["metrics"]) == of_sources
    assert html.read_text(encoding="utf-8").lower().startswith("<!doctype html>")


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


@pytest.fixture
def exposures(tmp_path):
    """Two pairs of exposures, with targets that the folder `exact` repeats."""
    rng = np.random.default_rng(1)
    for stem in ("p", "q"):
        images = {name: rng.integers(0, 256, (190, 200, 3), np.uint8) for name in ("a", "b", "gt")}
        images["../exact"] = images["gt"]
        for name, image in images.items():
            folder = tmp_path / "exposures" / name
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f"{stem}.png"), image)
    return tmp_path


def test_exposures_with_targets(exposures, capsys):
    out, page = exposures / "scores.json", exposures / "page.html"
    base = ("--task", "mef", "--data", exposures / "exposures", "--out", out)
    assert run(*base, "--fused", exposures / "exact", "--baselines", "--html", page) == 0
    methods = {entry["method"]: entry for entry in json.loads(out.read_text())["methods"]}
    exact, mean = methods["exact"]["metrics"], methods["mean"]["metrics"]
    assert exact["SSIM_target"] == pytest.approx(1)
    assert exact["MS_SSIM_target"] == pytest.approx(1)
    assert exact["PSNR_target"] is None  # infinite
    assert mean["SSIM_target"] < 0.5
    assert "MEF_SSIM" in mean
    assert "under-exposed" in page.read_text()


def test_pairs_without_targets_have_no_scores_of_them(exposures):
    out = exposures / "scores.json"
    for file in (exposures / "exposures" / "gt").iterdir():
        file.unlink()
    (exposures / "exposures" / "gt").rmdir()
    base = ("--data", exposures / "exposures", "--out", out, "--baselines")
    assert run(*base, "--task", "mff", "--metrics", "all") == 0
    (first, *_) = json.loads(out.read_text())["methods"]
    assert list(first["metrics"]) == [n for n, m in METRICS.items() if not m.needs_target]
    with pytest.raises(UsageError, match="needs a target"):
        run(*base, "--task", "mff", "--metrics", "PSNR_target")


def test_what_a_task_cannot_do_is_a_usage_error(exposures):
    base = ("--task", "mef", "--data", exposures / "exposures", "--out", exposures / "s.json")
    with pytest.raises(UsageError, match="'m2pn-edge': does vif, not 'mef'"):
        run(*base, "--model", "m2pn-edge")
    with pytest.raises(UsageError, match="--detector scores visible and thermal"):
        run(*base, "--detector", "default")
    with pytest.raises(SourceError, match=r"exposures/vi: no such folder; task vif reads vi/"):
        run("--data", exposures / "exposures", "--out", exposures / "s.json", "--baselines")
