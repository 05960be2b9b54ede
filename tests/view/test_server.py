"""The page's server over real sockets: pictures by dropping, marks, readings, recordings."""

import socket
from pathlib import Path

import av
import numpy as np
import pytest
from live_stream import BODY, BODY_C, H, W, counts, wait_for
from page_client import viewer

from fusion_core.config import Config
from fusion_core.errors import ViewError
from fusion_core.view import open_page

CENTRE = [0.5, 0.5]
CORNER = [0.1, 0.1]


def test_pictures_arrive_and_are_those_of_the_stream(stream):
    running = stream()
    with viewer(running.port, layers=("visible", "thermal", "fused")) as client:
        header, pictures = client.picture()
        later, _ = client.picture()
    assert header["size"] == [W, H]
    assert later["frame"] > header["frame"]
    fused = running.last
    assert pictures["thermal"].shape == (H, W)
    for layer, expected in (("visible", fused.aligned.visible), ("fused", fused.image)):
        # JPEG of small smooth pictures: a few gray levels.
        assert np.abs(pictures[layer][..., ::-1].astype(int) - expected).mean() < 6
    assert pictures["thermal"][BODY].mean() > pictures["thermal"].mean() + 50


def test_a_wide_picture_is_sent_no_wider_than_it_is_shown(stream):
    running = stream()
    with viewer(running.port, width=64) as client:
        _, pictures = client.picture()
    assert pictures["fused"].shape[1] == W  # never enlarged
    encoder = running.page._hub.encoder
    wide = encoder.encode(running.last, ("fused",), 64)["fused"]
    assert len(wide) == len(encoder.encode(running.last, ("fused",), 320)["fused"])


def test_nothing_is_encoded_while_nobody_looks(stream, monkeypatch):
    from fusion_core.view import pictures

    encoded = []
    monkeypatch.setattr(
        pictures,
        "_jpeg",
        lambda picture, width, real=pictures._jpeg: encoded.append(width) or real(picture, width),
    )
    running = stream()
    running.newest()
    assert not running.page.watched
    assert encoded == []
    with viewer(running.port, layers=()) as client:
        client.status()
        running.newest()
        assert running.page.watched
        assert encoded == []  # a page that is not visible
        client.send(kind="show", layers=["fused"], width=640)
        client.picture()
    assert encoded
    wait_for(lambda: not running.page.watched, "the viewer's end")


def test_a_viewer_that_does_not_answer_gets_two_pictures_and_then_the_newest(stream):
    running = stream()
    with viewer(running.port) as slow, viewer(running.port) as quick:
        headers = [slow.picture(acknowledge=False)[0] for _ in range(2)]
        for _ in range(10):
            quick.picture()
        at = running.frames
        # All that came for the slow one meanwhile is its state, and no picture.
        while slow.receive()["viewers"] != 2:
            pass
        slow.send(kind="drawn", frame=headers[0]["number"])
        third, _ = slow.picture(acknowledge=False)
    assert third["number"] == headers[1]["number"] + 1
    assert third["frame"] >= at - 2 > headers[1]["frame"] + 5


def test_a_viewer_that_does_not_read_holds_up_neither_the_stream_nor_others(stream):
    """It says that it has drawn what it never takes from its socket."""
    running = stream()
    with viewer(running.port, layers=("visible", "thermal", "fused")) as deaf:
        deaf.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        for number in range(1, 150):
            deaf.send(kind="drawn", frame=number)
        with viewer(running.port) as quick:
            for _ in range(20):
                quick.picture()
        before = running.frames
        wait_for(lambda: running.frames > before + 5, "further results")


def test_a_box_becomes_a_mask_that_changes_the_picture_and_can_be_taken_back(stream):
    running = stream(model="ctrlfuse", options={"gain": 4.0})
    plain = running.newest().image.astype(int)
    box = [BODY[1].start / W, BODY[0].start / H, 24 / W, 24 / H]

    def change():
        return np.abs(running.newest().image - plain).max(axis=2)

    with viewer(running.port) as client:
        client.send(kind="mark", area=box)
        marks = client.status(lambda status: status["marks"])["marks"]
        assert np.allclose(marks[0]["area"], box)
        wait_for(lambda: change()[BODY].mean() > 1, "a marked picture")
        client.send(kind="unmark", mark=marks[0]["mark"])
        assert client.status(lambda status: status["marks"] == [])
        wait_for(lambda: change().max() == 0, "the picture as it was")
        client.send(kind="mark", area=box)
        wait_for(lambda: change()[BODY].mean() > 1, "a marked picture")
    # Nobody looks who could take it back.
    wait_for(lambda: change().max() == 0, "the picture as it was")


def test_a_click_marks_the_hot_region_under_it(stream):
    running = stream(model="ctrlfuse")
    with viewer(running.port) as client:
        client.picture()
        client.send(kind="mark", point=CENTRE)
        (mark,) = client.status(lambda status: status["marks"])["marks"]
    left, top, width, height = mark["area"]
    expected = [52 / W, 36 / H, 24 / W, 24 / H]
    assert np.allclose([left, top, width, height], expected, atol=6 / W)


def test_marks_for_a_model_without_masks_are_refused_in_words(stream):
    running = stream(model="m2pn-edge")
    with viewer(running.port) as client:
        assert client.status()["marks"] is None
        client.send(kind="mark", point=CENTRE)
        assert "takes no marks: choose ctrlfuse" in client.problem()


@pytest.mark.parametrize(
    ("radiometric", "expected"),
    [(True, {"celsius": pytest.approx(BODY_C, abs=0.1)}), (False, {"counts": counts(BODY_C)})],
)
def test_what_is_measured_at_a_point(stream, radiometric, expected):
    running = stream(radiometric=radiometric)
    with viewer(running.port) as client:
        client.send(kind="probe", point=CENTRE)
        while (reading := client.picture()[0]["reading"]) is None:
            pass
        assert reading == expected
        client.send(kind="probe", point=CORNER)
        while (other := client.picture()[0]["reading"]) == reading:
            pass
        assert other != expected


def test_a_recording_has_every_picture_and_overwrites_nothing(stream, tmp_path):
    running = stream(moving=True)
    files = []
    for _ in range(2):
        with viewer(running.port) as client:
            client.send(kind="record", on=True)
            client.status(
                lambda status: status["recording"]["on"] and status["recording"]["frames"] >= 3
            )
        # The page may be closed meanwhile.
        assert running.page.watched
        with viewer(running.port) as client:
            client.send(kind="record", on=False)
            state = client.status(lambda status: not status["recording"]["on"])["recording"]
        assert state["problem"] == ""
        files.append(Path(state["file"]))
        with av.open(state["file"]) as container:
            assert sum(1 for _ in container.decode(video=0)) == state["frames"] >= 3
    assert files[0] != files[1]
    assert {file.parent for file in files} == {tmp_path / "recordings"}


def test_a_recording_that_cannot_be_written_says_so_and_the_stream_goes_on(stream, tmp_path):
    (tmp_path / "recordings").write_text("a file of somebody else")
    running = stream()
    with viewer(running.port) as client:
        client.send(kind="record", on=True)
        assert "recordings" in client.problem()
        client.picture()
    assert (tmp_path / "recordings").read_text() == "a file of somebody else"


def test_settings_change_live_and_refusals_come_in_words(stream):
    running = stream(model="m2pn-edge")
    with viewer(running.port) as client:
        names = [setting["name"] for setting in client.status()["settings"]]
        assert "model" in names
        assert "options.gain" not in names
        client.send(kind="change", name="model", value="ctrlfuse")
        state = client.status(lambda status: status["model"] == "ctrlfuse")
        assert state["marks"] == []
        client.send(kind="change", name="options.gain", value=3.5)
        client.status(
            lambda status: (
                {"options.gain": 3.5}.items()
                <= {setting["name"]: setting["value"] for setting in status["settings"]}.items()
            )
        )
        for name, value in (("options.gain", 99), ("sync.master", "thermal"), ("model", "/x.py")):
            client.send(kind="change", name=name, value=value)
            assert name.rpartition(".")[2] in client.problem()
        assert client.status()["model"] == "ctrlfuse"
    assert running.pipeline.config.options["gain"] == 3.5


def test_a_silent_stream_is_said_in_words_and_recovers(stream):
    running = stream()
    with viewer(running.port) as client:
        client.status(lambda status: status["health"] == [])
        running.paused.set()
        (line,) = client.status(lambda status: status["health"])["health"]
        assert line["code"] == "silent"
        assert "No new picture" in line["words"]
        running.paused.clear()
        client.status(lambda status: status["health"] == [])


def test_an_address_in_use_is_refused_with_the_next_step(stream):
    running = stream()
    config = Config.from_dict({"view": {"port": running.port}})
    with pytest.raises(ViewError, match=f"view.port {running.port}: .*view.port 0"):
        open_page(config.view, running.pipeline)
