import json

import pytest
import tyro

from fusion_core.errors import SourceError, UsageError
from fusion_core.models import load_model
from fusion_lab.cli.train import Train


def command(folder, out, *more):
    return tyro.cli(
        Train,
        args=["--model", "m2pn-edge", "--data", str(folder), "--out", str(out), *more],
    )


def test_a_run_leaves_loadable_weights(tmp_path, pair_folder, capsys):
    run = command(pair_folder, tmp_path / "run", "--steps", "1", "--precision", "float32")
    assert run.run() == 0
    assert "1 steps" in capsys.readouterr().out
    load_model(str(tmp_path / "run" / "weights.safetensors"))
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["recipe"]["steps"] == 1


def test_several_folders_are_taken(tmp_path, pair_folder, clip_folder):
    parsed = command(pair_folder, tmp_path / "run", "--data", str(pair_folder), str(clip_folder))
    assert parsed.data == (pair_folder, clip_folder)


def test_empty_folder_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="no pairs"):
        command(tmp_path, tmp_path / "run").run()


def test_negative_threads_are_refused(tmp_path, pair_folder):
    with pytest.raises(UsageError, match="-1"):
        command(pair_folder, tmp_path / "run", "--threads", "-1").run()
