"""`fusion fuse`: what it writes, in which formats, and what it refuses."""

import io
from contextlib import redirect_stderr, redirect_stdout

import cv2
import numpy as np
import pytest
from scenes import exposed, read, scene, write

from fusion_core.cli.main import main


def fuse(*arguments):
    """Return exit code and all that was printed."""
    text = io.StringIO()
    with redirect_stdout(text), redirect_stderr(text):
        code = main(["fuse", *map(str, arguments)])
    return code, text.getvalue()


@pytest.fixture
def bracket(tmp_path):
    return [
        write(tmp_path / "in" / f"{name}.png", exposed(scene(1), stops))
        for name, stops in (("dark", -2), ("middle", 0), ("bright", 2))
    ]


def test_a_bracket_in_any_order_gives_one_picture(chooser, bracket, tmp_path):
    outs = [tmp_path / "one.png", tmp_path / "other.png"]
    for out, order in zip(outs, ((0, 1, 2), (2, 0, 1)), strict=True):
        code, text = fuse(*(bracket[n] for n in order), "--task", "mef", "--out", out)
        assert code == 0, text
        assert "task mef, model chooser" in text
    assert np.array_equal(read(outs[0]), read(outs[1]))


def test_focus_is_told_and_the_sharp_halves_are_taken(chooser, tmp_path):
    sharp = scene(2)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 3)
    left, right = blurred.copy(), blurred.copy()
    left[:, :160], right[:, 160:] = sharp[:, :160], sharp[:, 160:]
    files = [write(tmp_path / f"{n}.png", p) for n, p in (("l", left), ("r", right))]
    code, text = fuse(*files, "--out", tmp_path / "f.png")
    assert code == 0, text
    assert "task mff" in text
    error = np.abs(read(tmp_path / "f.png").astype(int) - sharp)
    assert error.mean() < 2
    assert error[:, np.r_[20:140, 180:300]].max() < 60


def test_visible_and_16_bit_thermal(tmp_path):
    visible = write(tmp_path / "v.png", scene(3))
    counts = np.full((240, 320), 29000, np.uint16)
    counts[60:120, 80:160] = 31000
    thermal = write(tmp_path / "t.png", counts)
    code, text = fuse(visible, thermal, "--out", tmp_path / "f.jpg")
    assert code == 0, text
    assert "task vif, model m2pn-edge" in text
    fused = read(tmp_path / "f.jpg").astype(int)
    assert fused[70:110, 90:150].mean() > scene(3)[70:110, 90:150].mean() + 20


def test_gray_alpha_16_bit_and_turned_files_are_read(chooser, tmp_path):
    picture = scene(4)
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    bgra = np.dstack([picture[..., ::-1], np.full(gray.shape, 90, np.uint8)])
    deep = picture[..., ::-1].astype(np.uint16) * 257
    files = {}
    for name, image in (("gray", gray), ("alpha", bgra), ("deep", deep)):
        files[name] = tmp_path / f"{name}.png"
        assert cv2.imwrite(str(files[name]), image)
    # EXIF orientation 6: stored lying, to be turned clockwise.
    _, data = cv2.imencode(".jpg", np.rot90(picture)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    files["turned"] = tmp_path / "turned.jpg"
    files["turned"].write_bytes(data.tobytes()[:2] + segment + data.tobytes()[2:])
    plain = write(tmp_path / "plain.png", picture)
    for name, path in files.items():
        out = tmp_path / f"out_{name}.png"
        code, text = fuse(plain, path, "--task", "mff", "--out", out)
        assert code == 0, f"{name}: {text}"
        expected = picture.astype(int)
        if name == "gray":
            assert read(out).shape == picture.shape
        else:
            assert np.abs(read(out) - expected).mean() < 3, name


def test_folders_and_side_by_side(chooser, tmp_path):
    for stem, seed in (("p", 1), ("q", 2)):
        for folder, stops in (("a", -2), ("b", 2)):
            write(tmp_path / folder / f"{stem}.png", exposed(scene(seed), stops))
    code, text = fuse(
        tmp_path / "a", tmp_path / "b", "--task", "mef", "--out", f"{tmp_path}/f/",
        "--side-by-side", f"{tmp_path}/s/",
    )  # fmt: skip
    assert code == 0, text
    assert "2 of 2 sets" in text
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == ["p.png", "q.png"]
    beside = read(tmp_path / "s" / "p.png")
    assert beside.shape == (240, 3 * 320 + 8, 3)
    assert np.array_equal(beside[:, -320:], read(tmp_path / "f" / "p.png"))
    assert np.array_equal(beside[:, :320], exposed(scene(1), -2))


def test_one_bad_set_costs_only_itself(chooser, tmp_path):
    for stem in ("p", "q", "r"):
        for folder, stops in (("a", -2), ("b", 2)):
            write(tmp_path / folder / f"{stem}.png", exposed(scene(1), stops))
    (tmp_path / "b" / "q.png").write_bytes(b"torn")
    write(tmp_path / "b" / "r.png", scene(1, (120, 160)))
    code, text = fuse(tmp_path / "a", tmp_path / "b", "--task", "mef", "--out", f"{tmp_path}/f/")
    assert code == 1
    assert "1 of 3 sets" in text
    assert "q.png: cannot be read as a picture" in text
    assert "r.png is 160x120" in text
    assert [path.name for path in (tmp_path / "f").iterdir()] == ["p.png"]


def test_options_of_the_model(chooser, bracket, tmp_path):
    plain, lifted = tmp_path / "plain.png", tmp_path / "lifted.png"
    assert fuse(*bracket, "--task", "mef", "--out", plain)[0] == 0
    code, text = fuse(*bracket, "--task", "mef", "--out", lifted, "--set", "options.bias=0.1")
    assert code == 0, text
    assert read(lifted).mean() > read(plain).mean() + 15
    code, text = fuse(*bracket, "--task", "mef", "--out", lifted, "--set", "options.bias=7")
    assert (code, "bias" in text) == (2, True)
    code, text = fuse(*bracket, "--task", "mef", "--out", lifted, "--set", "sync.max_skew_ms=7")
    assert (code, "options.NAME" in text) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["{dark}", "--out", "{d}/f.png"], 2, "1 input"),
        (["{dark}", "{dark}", "--out", "{d}/f.png"], 2, "given twice"),
        (["{dark}", "{d}/none.png", "--out", "{d}/f.png"], 1, "no such file"),
        (["{dark}", "{d}/in", "--out", "{d}/f/"], 2, "no folder"),
        (["{dark}", "{middle}", "--out", "{dark}"], 2, "would destroy it"),
        (["{dark}", "{middle}", "--out", "{d}/f.gif"], 2, "ends in .png"),
        (["{dark}", "{middle}", "--out", "{d}/f/"], 2, "ends in .png"),
        (["{d}/in", "{d}/other", "--out", "{d}/f.png"], 2, "write"),
        (["{d}/in", "{d}/other", "--out", "{d}/f/"], 1, "only one of"),
        (["{d}/in", "{d}/in", "--out", "{d}/in/f/"], 2, "lies in the input"),
        (
            ["{dark}", "{middle}", "{bright}", "--task", "vif", "--out", "{d}/f.png"],
            2,
            "3 pictures",
        ),
        (["{dark}", "{d}/other/x.png", "--task", "mef", "--out", "{d}/f.png"], 1, "160x120"),
        (["{dark}", "{d}/torn.png", "--task", "mef", "--out", "{d}/f.png"], 1, "cannot be read"),
        (["{dark}", "{d}/else.png", "--out", "{d}/f.png"], 1, "--task vif"),
        (
            ["{dark}", "{middle}", "--task", "mef", "--model", "m2pn", "--out", "{d}/f.png"],
            2,
            "mef",
        ),
    ],
)
def test_refusals_are_one_clear_line(chooser, bracket, tmp_path, arguments, code, words):
    write(tmp_path / "other" / "x.png", scene(1, (120, 160)))
    write(tmp_path / "else.png", scene(9))
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    names = {path.stem: str(path) for path in bracket}
    before = read(bracket[0])
    given = [text.format(d=tmp_path, **names) for text in arguments]
    found, text = fuse(*given)
    assert found == code, text
    assert words in text
    assert text.strip().count("\n") == 0
    assert np.array_equal(read(bracket[0]), before)
    assert not (tmp_path / "f.png").exists()
