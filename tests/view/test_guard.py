"""Who is refused: other names, other sites, wrong tokens, floods and nonsense."""

from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from live_stream import LiveStream, wait_for
from page_client import get, viewer
from websockets.exceptions import ConnectionClosed, InvalidStatus

from fusion_core.view.guard import is_loopback
from fusion_core.view.viewer import WRONG_TOKEN


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Return one stream for all tests: what is refused leaves no trace."""
    with closing(LiveStream(tmp_path_factory.mktemp("stream"))) as stream:
        yield stream


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_own_names_are_served(running, host):
    status, headers, body = get(running.port, Host=f"{host}:{running.port}")
    assert status == 200
    assert "<!doctype html>" in body
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "host", ["evil.test", "127.0.0.1.evil.test", "localhost.evil.test", "192.0.2.1", "", "[::2]"]
)
def test_other_names_are_refused(running, host):
    status, headers, body = get(running.port, Host=f"{host}:{running.port}" if host else "")
    assert status == 403
    assert "refused" in body
    assert "default-src 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize("origin", ["http://evil.test", "null", "http://127.0.0.1:1", "file://"])
def test_a_page_of_another_site_gets_nothing(running, origin):
    with pytest.raises(InvalidStatus), viewer(running.port, origin=origin):
        pass
    assert get(running.port, Origin=origin)[0] == 403


def test_a_websocket_without_an_origin_is_refused(running):
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    status, _, _ = get(running.port, "/live", **headers, **{"Sec-WebSocket-Key": "a" * 22 + "=="})
    assert status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/../settings.py",
        "/%2e%2e/settings.py",
        "/page/..%2fserver.py",
        "/recordings/",
        "//etc/passwd",
    ],
)
def test_nothing_but_the_page_is_served(running, path):
    assert get(running.port, path)[0] == 404


def test_nothing_changes_by_plain_requests(running):
    for method in ("POST", "PUT", "DELETE"):
        assert get(running.port, "/", method=method)[0] == 405


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        '{"kind": "record", "on": true, "file": "../../x.mkv"}',
        '{"kind": "mark", "area": [0, 0, 2, 1]}',
        '{"kind": "mark", "area": [0, 0, NaN, 1]}',
        '{"kind": "show", "layers": ["fused"], "width": 1000000}',
        '{"kind": "change", "name": "model", "value": ["a"]}',
        '{"kind": "text", "text": "' + 501 * "x" + '"}',
        "[" * 5000,
        9000 * " ",
    ],
    ids=lambda text: text[:24],
)
def test_a_message_that_is_none_of_the_page_ends_its_connection_only(running, text):
    with viewer(running.port) as other:
        with viewer(running.port) as client:
            client.socket.send(text)
            with pytest.raises(ConnectionClosed):
                client.until(lambda message: False)
        other.picture()
    assert not Path(running.config.view.folder).exists()


def binary(socket):
    socket.send(b"\0" * 100)


def flood(socket):
    for _ in range(5000):
        socket.send('{"kind": "drawn", "frame": 0}')


@pytest.mark.parametrize("send", [binary, flood])
def test_a_binary_message_and_a_flood_end_their_connections_only(running, send):
    with viewer(running.port) as other:
        with viewer(running.port) as client:
            with suppress(ConnectionClosed):
                send(client.socket)
            with pytest.raises(ConnectionClosed):
                client.until(lambda message: False)
        other.picture()


def test_more_viewers_than_fit_are_told_so(running):
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(viewer(running.port)).picture()
        with (
            viewer(running.port, hello=False) as late,
            pytest.raises(ConnectionClosed, match="pages are open"),
        ):
            late.receive()
    with viewer(running.port) as client:
        client.picture()


def test_beyond_this_machine_a_token_is_needed(stream):
    """The token is in the part of the address that browsers do not send."""
    running = stream(view={"host": "0.0.0.0"})
    token = running.url.partition("#")[2]
    assert len(token) >= 20
    assert get(running.port)[0] == 200  # the page itself tells nothing
    for wrong in ("", "x" * len(token), token[:-1]):
        with viewer(running.port, token=wrong) as client:
            with pytest.raises(ConnectionClosed) as closed:
                client.receive()
            assert closed.value.rcvd.code == WRONG_TOKEN
    with viewer(running.port, token=token) as client:
        client.picture()
    assert get(running.port, Host="evil.test")[0] == 403


def test_messages_before_the_greeting_do_nothing(running):
    with viewer(running.port, hello=False) as client:
        client.send(kind="record", on=True)
        with pytest.raises(ConnectionClosed):
            client.receive()
    wait_for(lambda: not running.page.watched, "no viewer")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("robot", False),
    ],
)
def test_loopback(host, expected):
    assert is_loopback(host) is expected
