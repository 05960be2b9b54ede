"""Scratch folders of fleets."""

import shutil

import pytest

from fusion_lab.fleet import scratch


def test_a_removal_that_is_cut_short_is_finished_by_the_next_one(tmp_path, monkeypatch):
    """Whatever is removed first, the lock by which a folder is found goes last."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / "fusion-batch-old"
    for name in ("results", "inputs"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text("x")
    (folder / ".lock").touch()
    remove, calls = shutil.rmtree, []

    def cut_short(path, **options):
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        remove(path, **options)

    monkeypatch.setattr(shutil, "rmtree", cut_short)
    with pytest.raises(KeyboardInterrupt):
        scratch.remove_stale()
    assert list(folder.iterdir())
    monkeypatch.setattr(shutil, "rmtree", remove)
    scratch.remove_stale()
    assert not folder.exists()
