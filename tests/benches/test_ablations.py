"""The bench of ablations on the shipped networks, as if they were runs."""

import shutil

import pytest
from street import masked_street

from fusion_core.errors import UsageError
from fusion_core.models import load_model, save_weights
from fusion_lab.benches.ablations import AblationsResult, compare_prompting, load_runs


def test_runs_are_compared_by_name(tmp_path):
    for case in ("full", "no-prompt"):
        (tmp_path / case).mkdir()
        save_weights(load_model("ctrlfuse"), tmp_path / case / "weights.safetensors")
    (tmp_path / "log").mkdir()
    models = load_runs(tmp_path)
    assert list(models) == ["full", "no-prompt"]
    found = compare_prompting(models, [masked_street()])
    assert found.cases["full"] == found.cases["no-prompt"]
    assert found.cases["full"].effects["true"].prompt_iou == 1
    assert found.cases["full"].quality["SSIM"] > 0
    effects, quality = AblationsResult(prompting=found).tables()
    assert [row[:2] for row in effects.rows][:2] == [("full", "true"), ("full", "boxes")]
    assert len(quality.rows) == 2
    quality.markdown()


def test_a_folder_without_runs_is_refused(tmp_path):
    shutil.rmtree(tmp_path)
    with pytest.raises(UsageError, match=r"CASE/weights\.safetensors"):
        load_runs(tmp_path)
