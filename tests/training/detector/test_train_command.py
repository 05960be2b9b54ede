import pytest
import tyro

from fusion_core.errors import SourceError, UsageError
from fusion_lab.cli.train import Train


def command(folder, out, *more):
    args = ["--model", "pair-nano", "--data", str(folder), "--out", str(out), *more]
    return tyro.cli(Train, args=args)


def test_detectors_have_no_ablations(tmp_path, labelled_folder):
    with pytest.raises(UsageError, match="no-memory"):
        command(labelled_folder, tmp_path / "run", "--ablation", "no-memory").run()


def test_pairs_without_labels_are_an_error(tmp_path):
    with pytest.raises(SourceError, match="no labelled pairs"):
        command(tmp_path, tmp_path / "run").run()


def test_initial_weights_that_are_not_there_are_an_error(tmp_path, labelled_folder):
    with pytest.raises(UsageError, match=r"none\.onnx.*yolox_nano"):
        command(labelled_folder, tmp_path / "run", "--init", "none.onnx").run()
