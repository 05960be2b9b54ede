"""The bench of the memory bank on two short synthetic recordings."""

import av
import numpy as np
import pytest

from fusion_core.errors import UsageError
from fusion_core.memory import bank
from fusion_lab.benches.bank import BankBench


def record(folder, seed):
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for name in ("vi", "ir"):
        texture = rng.integers(0, 255, (64, 96), np.uint8).repeat(3, 0)[:64].repeat(2, 1)[:, :96]
        with av.open(str(folder / f"{name}.mp4"), "w") as file:
            stream = file.add_stream("libx264", rate=30, width=96, height=64, pix_fmt="yuv420p")
            for shift in range(6):
                picture = np.repeat(np.roll(texture // (7 - shift), shift, 1)[..., None], 3, 2)
                file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            file.mux(stream.encode(None))
    return folder


def test_every_scene_is_fused_with_every_bank(tmp_path, monkeypatch):
    monkeypatch.setattr(bank, "score_threshold", lambda *_: 0.0)  # every frame is good enough
    folders = tuple(record(tmp_path / name, seed) for seed, name in enumerate("ab"))
    result = BankBench(recordings=folders, frames=5, every=2).measure()
    assert [(row.seen, row.scene) for row in result.rows] == [
        (seen, scene) for seen in "ab" for scene in "ab"
    ]
    for row in result.rows:
        assert row.frames == 3
        assert row.change > 0  # the bank has moved
        assert len(row.trained) == len(row.adapted) == 4
    (table,) = result.tables()
    assert len(table.markdown().splitlines()) >= 6


def test_one_recording_has_no_next_scene(tmp_path):
    with pytest.raises(UsageError, match="two --recordings"):
        BankBench(recordings=(tmp_path,)).measure()
