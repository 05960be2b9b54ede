"""Real pipelines behind the page, and a real Chromium before it where one is installed."""

import os
import shutil

import pytest
from live_stream import LiveStream

CHROMIUM = shutil.which("chromium")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A name that somebody else's name server points at this machine.
    "--host-resolver-rules=MAP evil.test 127.0.0.1",
]


def pytest_report_header() -> str:
    return f"browser: {CHROMIUM or 'no Chromium found, tests in it are skipped'}"


@pytest.fixture
def stream(tmp_path):
    """Start streams with a page; they are ended after the test whatever happens."""
    streams = []

    def start(**settings):
        streams.append(LiveStream(tmp_path, **settings))
        return streams[-1]

    yield start
    for each in streams:
        each.close()


@pytest.fixture(scope="session")
def chromium():
    """Return a running browser without a window."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: sudo apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    # No service of the desktop is asked for anything.
    environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": "/dev/null"}
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=_FLAGS, env=environment, timeout=120_000
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Open pages, each in a browser profile of its own; no script of theirs may fail."""
    contexts, failures = [], []

    def open_one(url, width=1280, height=900, **options):
        size = {"width": width, "height": height}
        contexts.append(chromium.new_context(viewport=size, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(url)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert failures == []
