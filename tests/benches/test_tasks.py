"""The bench of exposures and focus settings: who is in its table, and in which order."""

import json

import cv2
import numpy as np
import pytest

from fusion_core.cli.main import main
from fusion_lab.data.making import expose, focus_pair


def picture(seed):
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.integers(60, 200, (12, 14, 3), np.uint8), (224, 192))
    return np.clip(coarse + rng.normal(0, 12, (192, 224, 1)), 0, 255).astype(np.uint8)


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1])


@pytest.fixture
def sets(tmp_path):
    for seed in range(2):
        sharp, rng = picture(seed), np.random.default_rng(seed)
        under, over = expose(sharp, [-2, 2], rng)
        pair = focus_pair(sharp, rng)
        for task, first, second in (("mef", under, over), ("mff", pair.first, pair.second)):
            write(tmp_path / task / "a" / f"{seed}.png", first)
            write(tmp_path / task / "b" / f"{seed}.png", second)
            write(tmp_path / task / "fused" / "ideal" / f"{seed}.png", sharp)
    write(tmp_path / "mff" / "fused" / "partly" / "0.png", picture(0))
    return tmp_path


def test_models_rules_and_published_results_stand_in_one_table(sets, capsys):
    out = sets / "bench.json"
    options = ["--mef", sets / "mef", "--mff", sets / "mff", "--out", out]
    assert main(["bench", "tasks", *map(str, options)]) == 0
    printed = capsys.readouterr()
    assert "partly: 1 of 2 pictures, left out" in printed.err
    exposures, focus = json.loads(out.read_text())["result"]["sets"]
    assert exposures["ranked"] == ["MEF_SSIM_2015", "Qabf", "VIF", "SSIM", "EN"]
    assert focus["ranked"] == ["NMI", "Qabf", "VIF", "SSIM", "SF"]
    methods = {
        entry["task"]: [row["method"] for row in entry["rows"]] for entry in (exposures, focus)
    }
    assert {"ideal", "mertens-opencv", "mean"} <= {*methods["mef"]}
    assert {"ideal", "sharper", "mean"} <= {*methods["mff"]}
    assert "partly" not in methods["mff"]
    # The mean of two focus settings is worse than the choice between them.
    assert methods["mff"].index("sharper") < methods["mff"].index("mean")
    ranks = [row["mean_rank"] for row in focus["rows"]]
    assert ranks == sorted(ranks)
    assert "| sharper |" in printed.out


def test_nothing_to_score_is_said(capsys):
    assert main(["bench", "tasks"]) == 2
    assert "--mef DIR" in capsys.readouterr().err
