"""Full disks, foreign files, links and modes: nothing is half written, moved or replaced."""

import json
import os
import stat

import cv2
import numpy as np
import pytest
import torch
from disks import fill

from fusion_core.cli.main import main
from fusion_core.cli.summary import write_summary
from fusion_core.errors import CalibrationError, MemoryBankError, SinkError
from fusion_core.memory import MemoryBank, MemoryConfig, SnapshotManager
from fusion_core.registration import Rig
from fusion_core.runtime.files import atomic_path, write_atomic
from fusion_core.runtime.tensors import write_tensors
from fusion_core.sink import open_sink
from fusion_core.sink.report import HtmlReport
from fusion_core.types import AlignedPair, Frame, FramePair, FusedFrame

SCENE = ["--bag", "synthetic://street?seed=1&registered=1&seconds=1&rgb_hz=10"]
FAST = ["--device", "cpu", "--detector", "none", "--prior", "none"]


def result(number=0):
    """A picture of noise, so that its file takes room."""
    image = np.random.default_rng(number).integers(0, 256, (120, 160, 3), np.uint8)
    frame = Frame(number, "visible", image, "rgb8", sequence=number)
    aligned = AlignedPair(number, image, None, np.ones(image.shape[:2], bool))
    return FusedFrame(number, number, image, FramePair(number, frame, None, None), aligned)


def bank():
    slots = torch.randn(100, 200, generator=torch.Generator().manual_seed(0))
    return MemoryBank(slots, MemoryConfig(mode="online"), "m2pn", accept_unjudged=True)


def save_bank(place):
    SnapshotManager(bank(), place / "bank", 0).save()


def save_rig(place):
    Rig((8, 8), (8, 8), homography=np.eye(3)).save(place / "rig.yaml")


def write_png(place):
    with open_sink(f"{place}/png/") as sink:
        sink.write(result())


def write_line(place):
    with open_sink(f"{place}/a.jsonl") as sink:
        sink.write(result())


def write_run(place):
    write_summary({"outputs": [f"{place}/a.mkv"], "error": ""})


def write_weights(place):
    write_tensors(place / "w.safetensors", {"w": torch.zeros(2000)}, {})


WRITERS = {
    "bank": (save_bank, MemoryBankError),
    "rig.yaml": (save_rig, CalibrationError),
    "png/000000.png": (write_png, SinkError),
    "a.jsonl": (write_line, SinkError),
    "run.json": (write_run, SinkError),
    "w.safetensors": (write_weights, OSError),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_named_and_leaves_no_half_file(full_disk, name):
    write, kind = WRITERS[name]
    with pytest.raises(kind, match="No space left on device"):
        write(full_disk)
    left = [path for path in full_disk.rglob("*") if path.is_file() and path.name != "filler"]
    assert all(path.name == "a.jsonl" and path.stat().st_size == 0 for path in left)


@pytest.mark.parametrize("name", [name for name in WRITERS if name not in {"a.jsonl", "run.json"}])
def test_on_a_full_disk_the_old_file_stays(small_disk, name):
    write, kind = WRITERS[name]
    write(small_disk)
    before = (small_disk / name).read_bytes()
    fill(small_disk)
    with pytest.raises(kind, match="No space left"):
        write(small_disk)
    assert (small_disk / name).read_bytes() == before


def test_lines_written_before_the_disk_was_full_are_whole(small_disk):
    count = 0

    def write_on(sink):
        nonlocal count
        while True:
            sink.write(result())
            count += 1

    with (
        open_sink(f"{small_disk}/a.jsonl") as sink,
        pytest.raises(SinkError, match="No space left"),
    ):
        write_on(sink)
    lines = (small_disk / "a.jsonl").read_text().splitlines()
    assert len(lines) == count > 100
    assert all(json.loads(line)["frame"] == 0 for line in lines)


def test_a_run_onto_a_disk_that_fills_ends_in_one_line(small_disk, capsys):
    outputs = [f"{small_disk}/p/", f"{small_disk}/a.jsonl", f"{small_disk}/a.mkv"]
    command = ["run", *SCENE, *FAST, *(word for out in outputs for word in ("--out", out))]
    assert main([*command, "--memory", f"{small_disk}/bank"]) == 1
    printed = capsys.readouterr()
    errors = [line for line in printed.err.splitlines() if line.startswith("fusion:")]
    assert len(errors) == 1
    assert "No space left" in errors[0]
    assert "Traceback" not in printed.err
    pictures = list((small_disk / "p").glob("*.png"))
    assert pictures
    assert all(cv2.imread(str(path)) is not None for path in pictures)
    for line in (small_disk / "a.jsonl").read_text().splitlines():
        json.loads(line)
    assert not list(small_disk.rglob(".*"))


# What is there already


def test_convention_a_replaced_file_keeps_its_mode_and_a_new_one_takes_the_usual(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"")
    old.chmod(0o640)
    before = os.umask(0o027)
    try:
        for path in (old, new):
            write_atomic(path, b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert stat.S_IMODE(new.stat().st_mode) == 0o640


@pytest.mark.parametrize("present", [True, False], ids=["whole", "dangling"])
def test_a_link_stays_and_its_file_is_written(tmp_path, present):
    real = tmp_path / "real" / "bank"
    real.parent.mkdir()
    link = tmp_path / "bank"
    link.symlink_to(real)
    if present:
        SnapshotManager(bank(), real, 0).save()
    manager = SnapshotManager(bank(), link, 0)
    manager.load(reset_invalid=True)
    manager.close()
    assert link.is_symlink()
    assert real.stat().st_size > 80_000
    names = sorted(path.name for path in tmp_path.rglob("*") if path.suffix != ".lock")
    assert names == ["bank", "bank", "real"]


def make_folder(path):
    path.mkdir()
    (path / "photo.jpg").write_bytes(b"mine")


def make_pipe(path):
    os.mkfifo(path)


def make_text(path):
    path.write_text("my notes of the last drive\n")


def make_weights(path):
    write_tensors(path, {"layer": torch.ones(3)}, {"format": "other"})


def make_folder_link(path):
    make_folder(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def make_circle(path):
    path.symlink_to(path)


FOREIGN = [make_folder, make_pipe, make_text, make_weights, make_folder_link, make_circle]


def listing(folder):
    return sorted(
        (str(path.relative_to(folder)), path.lstat().st_mode, path.lstat().st_ino)
        for path in folder.rglob("*")
        if path.suffix != ".lock"
    )


@pytest.mark.parametrize("make", FOREIGN, ids=lambda make: make.__name__)
def test_what_is_no_snapshot_is_neither_moved_nor_replaced(tmp_path, make, caplog):
    path = tmp_path / "bank"
    make(path)
    before = listing(tmp_path)
    with pytest.raises(MemoryBankError):
        SnapshotManager(bank(), path, 0).load(reset_invalid=False)
    manager = SnapshotManager(bank(), path, 0.001)
    assert manager.load(reset_invalid=True) == ("memory_fresh", "memory_unsaved")
    manager.tick()
    with pytest.raises(MemoryBankError, match=r"set memory\.file to another file"):
        manager.save()
    manager.close()
    assert listing(tmp_path) == before
    assert "left alone" in caplog.text


def cut(data):
    return data[: len(data) // 2]


def cut_in_the_header(data):
    return data[:60]


def zeros(data):
    return bytes(len(data))


def nothing(data):
    return b""


@pytest.mark.parametrize("damage", [cut, cut_in_the_header, zeros, nothing])
def test_a_torn_snapshot_is_set_aside_under_a_free_name(tmp_path, damage):
    real, link = tmp_path / "real", tmp_path / "bank"
    link.symlink_to(real)
    (tmp_path / "real.rejected").write_text("an earlier one")
    SnapshotManager(bank(), real, 0).save()
    torn = damage(real.read_bytes())
    real.write_bytes(torn)
    manager = SnapshotManager(bank(), link, 0)
    assert manager.load(reset_invalid=True) == ("memory_fresh",)
    assert (tmp_path / "real.rejected").read_text() == "an earlier one"
    assert (tmp_path / "real.rejected-2").read_bytes() == torn
    manager.close()
    assert SnapshotManager(bank(), real, 0).load(reset_invalid=False) == ()
    assert link.is_symlink()


def make_device(path):
    path.symlink_to("/dev/null")


def make_dangling(path):
    path.symlink_to(path.with_name("nowhere") / "deeper")


NO_FILES = [make_folder, make_pipe, make_circle, make_device]


@pytest.mark.parametrize("make", NO_FILES, ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", ["a.jsonl", "a.mp4", "a.mkv", "a.html", "bag:a.bag", "bag"])
def test_no_writer_replaces_what_is_no_file(tmp_path, make, name):
    path = tmp_path / name.partition(":")[2] if ":" in name else tmp_path / name
    make(path)
    before = listing(tmp_path)
    if name == "a.html":
        with pytest.raises(SinkError):
            HtmlReport(path)
    elif name != "bag":
        with pytest.raises(SinkError), open_sink(name.replace(path.name, str(path))):
            pytest.fail("was opened")
    with pytest.raises(OSError, match=r"directory|regular|links"), atomic_path(path):
        pytest.fail("was opened")
    assert listing(tmp_path) == before


@pytest.mark.parametrize("name", ["{}", "{}.mp4", "bag:{}", "{}/"])
@pytest.mark.parametrize("make", [make_pipe, make_circle, make_device, make_dangling])
def test_an_output_that_cannot_be_made_is_one_line(tmp_path, make, name):
    path = tmp_path / ("a.mp4" if "mp4" in name else "a.jsonl")
    make(path)
    before = listing(tmp_path)
    with pytest.raises(SinkError) as caught, open_sink(name.replace(".mp4", "").format(path)):
        pytest.fail("was opened")
    assert "\n" not in str(caught.value)
    assert listing(tmp_path) == before
