"""Layouts of public video sets, and their scoring by one command."""

import json

import cv2
import numpy as np
import pytest
import tyro

from fusion_core.errors import SourceError
from fusion_lab.cli.evaluate import Evaluate
from fusion_lab.data import benchmark_clips


def frames(folder, count=4, seed=0):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    still = cv2.resize(rng.integers(40, 200, (6, 8, 3), np.uint8), (96, 64))
    for number in range(count):
        assert cv2.imwrite(str(folder / f"{number:05d}.png"), np.roll(still, number, axis=1))


def test_the_three_layouts_of_vf_bench(tmp_path):
    for task, (first, second) in {
        "vif": ("visible", "infrared"),
        "mef": ("under", "over"),
        "mff": ("far", "near"),
    }.items():
        for scene in ("s1", "s2"):
            frames(tmp_path / task / scene / first)
            frames(tmp_path / task / scene / second, seed=1)
        clips = benchmark_clips(tmp_path / task)
        assert [(clip.name, clip.task) for clip in clips] == [("s1", task), ("s2", task)]
        assert (clips[0].first.name, clips[0].second.name) == (first, second)


def test_the_test_split_of_vf_bench_and_its_faults(tmp_path):
    for scene in ("s1", "s2", "s3"):
        for name in ("under", "over"):
            frames(tmp_path / scene / name, 1)
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": ["s1"], "test": ["s3"]}))
    assert [clip.name for clip in benchmark_clips(tmp_path)] == ["s3"]
    split.write_text(json.dumps({"test": ["s9"]}))
    with pytest.raises(SourceError, match="'s9' is not in"):
        benchmark_clips(tmp_path)
    split.write_text("[]")
    with pytest.raises(SourceError, match="not a list of scenes"):
        benchmark_clips(tmp_path)


def test_m3svd_as_pictures_and_videos(tmp_path):
    for suffix in ("", "_Enhance"):
        root = tmp_path / f"set{suffix}"
        frames(root / f"visible{suffix}" / "0117_1620")
        frames(root / f"infrared{suffix}" / "0117_1620")
        (clip,) = benchmark_clips(root)
        assert (clip.name, clip.task, clip.first.parent.name) == (
            "0117_1620",
            "vif",
            f"visible{suffix}",
        )
    for name in ("visible", "infrared"):
        (tmp_path / "videos" / name).mkdir(parents=True)
        (tmp_path / "videos" / name / "0111_1716.mp4").touch()
    assert [clip.name for clip in benchmark_clips(tmp_path / "videos")] == ["0111_1716"]
    (tmp_path / "videos" / "infrared" / "0111_1716.mp4").unlink()
    with pytest.raises(SourceError, match=r"infrared/0111_1716.mp4: missing"):
        benchmark_clips(tmp_path / "videos")


def test_anything_else_is_refused(tmp_path):
    with pytest.raises(SourceError, match="neither VF-Bench"):
        benchmark_clips(tmp_path)


def test_one_command_scores_a_set(tmp_path, capsys):
    for scene in ("s1", "s2"):
        frames(tmp_path / "VTMOT" / scene / "visible")
        frames(tmp_path / "VTMOT" / scene / "infrared", seed=1)
    out = tmp_path / "s.json"
    arguments = ["--video-set", tmp_path / "VTMOT", "--model", "m2pn-edge", "--out", out]
    assert tyro.cli(Evaluate, args=[str(a) for a in arguments]).run() == 0
    written = json.loads(out.read_text())
    (method,) = written["methods"]
    assert (written["dataset"], method["clips"]) == ("VTMOT", 2)
    assert [clip["frames"] for clip in method["per_clip"]] == [4, 4]
    assert list(method["metrics"]) == ["VIF", "SSIM", "MI", "Qabf", "BiSWE", "MS2R"]
    assert all(value is not None for value in method["metrics"].values())
    assert "m2pn-edge: 2 clips" in capsys.readouterr().out
