"""The page in a real Chromium, used as an operator uses it."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from live_stream import BODY, BODY_C, wait_for
from small_networks import Weighted

from fusion_core.models import Features
from fusion_core.pipeline import builders

FRAME = "Number(document.getElementById('stage').dataset.frame ?? -1)"
# All that the canvas shows, as one number per row: enough to see whether it changed.
SHOWN = """(() => { const c = document.getElementById('stage');
  const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, rows = [];
  for (let y = 0; y < c.height; y += 4) { let s = 0;
    for (let x = 0; x < c.width; x += 4) {
      const i = 4 * (y * c.width + x); s += d[i] + 2 * d[i + 1] + 3 * d[i + 2]; }
    rows.push(s); } return rows; })()"""
PIXEL = """([x, y]) => { const c = document.getElementById('stage'), g = c.getContext('2d');
  return [...g.getImageData(x * c.width, y * c.height, 1, 1).data].slice(0, 3); }"""
# Name of the focused control, whether its focus shows, and what it is called.
FOCUSED = """(() => { const e = document.activeElement;
  const s = getComputedStyle(e.type === 'radio' ? e.nextElementSibling : e);
  const called = [...(e.labels ?? [])].map((l) => l.textContent.trim()).join('')
    || e.ariaLabel || e.textContent.trim();
  return [e.id || e.value || e.tagName, s.outlineStyle, called]; })()"""


def until(page, script, what):
    """Wait until a script gives something; the page's own policy permits no other way."""

    def value():
        page.wait_for_timeout(20)  # lets the browser go on
        return page.evaluate(script)

    return wait_for(value, what)


def live(page):
    """Wait until further pictures arrive."""
    frame = page.evaluate(FRAME)
    until(page, f"{FRAME} > {frame} + 2", "pictures")
    return page


def text_is(page, selector, words):
    page.locator(selector, has_text=words).first.wait_for()


def shares(page, x, y):
    """Return the place of a point of the picture in the window."""
    box = page.locator("#stage").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def draw_box(page, left, top, right, bottom):
    page.get_by_text("Mark", exact=True).first.click()
    page.mouse.move(*shares(page, left, top))
    page.mouse.down()
    page.mouse.move(*shares(page, (left + right) / 2, bottom))
    page.mouse.move(*shares(page, right, bottom))
    page.mouse.up()


def test_the_picture_arrives_and_moves_in_every_way_of_showing_it(stream, open_page):
    running = stream(moving=True)
    page = live(open_page(running.url))
    for mode in ("Fused", "Side by side", "Wipe", "Overlay"):
        page.locator("span", has_text=mode).first.click()
        before = page.evaluate(SHOWN)
        live(page)
        assert page.evaluate(SHOWN) != before, mode
    text_is(page, "#link", "live")
    text_is(page, "#health", "All is well")


def test_the_wipe_shows_one_picture_left_and_another_right(stream, open_page):
    running = stream(model="m2pn-edge")
    page = live(open_page(running.url))
    page.locator("span", has_text="Wipe").first.click()
    page.locator("#first").select_option("thermal")
    live(page)
    grey = page.evaluate(PIXEL, [0.2, 0.8])
    assert max(grey) - min(grey) <= 2
    colour = page.evaluate(PIXEL, [0.8, 0.8])
    page.locator("#share").fill("0")
    assert page.evaluate(PIXEL, [0.8, 0.8]) == pytest.approx(colour, abs=12)
    page.locator("#share").fill("100")
    grey = page.evaluate(PIXEL, [0.8, 0.8])
    assert max(grey) - min(grey) <= 2


def test_a_click_gives_the_temperature(stream, open_page):
    running = stream()
    page = live(open_page(running.url))
    page.mouse.click(*shares(page, 0.5, 0.5))
    text_is(page, "#reading", f"{BODY_C:.1f} °C")
    page.get_by_text("Remove the point").click()
    text_is(page, "#reading", "Click into the picture")


def test_without_a_unit_the_raw_value_is_named_so(stream, open_page):
    running = stream(radiometric=False)
    page = live(open_page(running.url))
    page.mouse.click(*shares(page, 0.5, 0.5))
    text_is(page, "#reading", "30965 counts")
    text_is(page, "#reading", "Set thermal.unit")


def test_a_box_drawn_becomes_a_mask_that_changes_the_picture(stream, open_page):
    running = stream(model="ctrlfuse", options={"gain": 4.0})
    page = live(open_page(running.url))
    plain, shown = running.newest().image.astype(int), page.evaluate(SHOWN)
    draw_box(page, 0.4, 0.35, 0.6, 0.65)
    text_is(page, "#marks", "of the picture")

    def change():
        page.wait_for_timeout(20)
        return np.abs(running.newest().image - plain).max(axis=2)

    wait_for(lambda: change()[BODY].mean() > 1, "a marked picture")
    assert change()[:16, :16].max() == 0
    live(page)
    assert page.evaluate(SHOWN) != shown
    page.get_by_text("Take all back").click()
    text_is(page, "#marks", "Nothing is marked")
    wait_for(lambda: change().max() == 0, "the picture as it was")


def test_two_viewers_see_the_same_marks(stream, open_page):
    running = stream(model="ctrlfuse")
    one, other = (live(open_page(running.url)) for _ in range(2))
    draw_box(one, 0.1, 0.1, 0.3, 0.4)
    text_is(other, "#marks", "20 × 30 % of the picture")
    text_is(other, "#stream", "Pages open2")
    live(one)
    live(other)
    one.close()
    live(other)


def test_a_text_is_in_force_for_a_model_that_reads_it(stream, open_page, monkeypatch):
    reading = Weighted(Features(uses_text=True))
    monkeypatch.setattr(builders, "load_model", lambda name, device: reading)
    running = stream(model="m2pn-edge")
    page = live(open_page(running.url))
    plain = running.newest().image.mean()
    page.get_by_label("What the result shall show").fill("a text of some forty letters, or so many")
    page.get_by_role("button", name="Apply").click()
    text_is(page, "#text-state", "In force: “a text of some forty letters")
    assert reading.encoded.count("a text of some forty letters, or so many") == 1
    # Its one token is the length over a hundred, and moves the picture towards the thermal one.
    assert abs(running.newest().image.mean() - plain) > 2


def test_without_such_a_model_there_is_no_field_for_a_text(stream, open_page):
    page = live(open_page(stream().url))
    text_is(page, "#facts", "m2pn-edge")
    assert not page.locator("#text-card").is_visible()
    assert not page.locator("#marking").is_visible()


def test_a_model_chosen_here_is_in_force_and_a_refusal_is_shown(stream, open_page):
    running = stream()
    page = live(open_page(running.url))
    page.get_by_label("Model").select_option("ctrlfuse")
    text_is(page, "#facts", "ctrlfuse")
    page.get_by_label("Gain").wait_for()
    page.get_by_label("Mask source").select_option("detector")  # and there is no detector
    text_is(page, "#toast", "no detector is chosen")
    assert running.pipeline.config.mask.source == "none"
    shown = "document.getElementById('set-mask.source').value"
    until(page, f"{shown} === 'none'", "the value in force")


def test_a_recording_by_its_button(stream, open_page):
    running = stream(moving=True)
    page = live(open_page(running.url))
    page.get_by_role("button", name="Record").click()
    text_is(page, "#recording", "Recording: ")
    button = page.get_by_role("button", name="Stop recording")
    assert button.get_attribute("aria-pressed") == "true"
    until(page, "parseInt(document.getElementById('recording').textContent.split(':')[1]) > 2", "3")
    button.click()
    text_is(page, "#recording", "Recorded: ")
    assert ".mkv on the robot." in page.locator("#recording").text_content()


def test_a_server_that_ends_and_comes_back(stream, open_page):
    running = stream(model="ctrlfuse")
    page = live(open_page(running.url))
    port, ended = running.port, running.page
    running.page = None
    ended.close()
    text_is(page, "#notice", "The stream has ended. This page goes on with the next one.")
    text_is(page, "#link", "not connected")
    running.serve(port)
    live(page)
    until(page, "document.getElementById('notice').hidden", "the end of the notice")
    text_is(page, "#link", "live")


def test_an_attackers_host_name_is_refused(stream, open_page):
    running = stream()
    page = open_page(f"http://evil.test:{running.port}/")
    assert "refused" in page.locator("body").text_content()
    assert page.locator("#stage").count() == 0


@pytest.fixture
def hostile_site():
    """Serve somebody else's page, which tries what it can on the stream's port."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self):
            port = self.path.strip("/")
            script = f"""<!doctype html><iframe src="http://127.0.0.1:{port}/"></iframe>
              <p id="told"></p><script>
              const told = (name) => document.getElementById("told").append(name + ";");
              const socket = new WebSocket("ws://127.0.0.1:{port}/live");
              socket.onopen = () => told("socket open");
              socket.onerror = () => told("socket refused");
              fetch("http://127.0.0.1:{port}/").then(() => told("read"), () => told("unread"));
              </script>"""
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(script.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_another_sites_page_gets_nothing(stream, open_page, hostile_site):
    running = stream()
    page = open_page(f"http://127.0.0.1:{hostile_site}/{running.port}")
    text_is(page, "#told", "socket refused")
    text_is(page, "#told", "unread")
    assert "socket open" not in page.locator("#told").text_content()
    assert not running.page.watched
    assert all(frame.locator("#stage").count() == 0 for frame in page.frames[1:])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_at_phone_width_all_fits_and_works(stream, open_page, scheme):
    running = stream(model="ctrlfuse")
    page = live(open_page(running.url, 375, 812, color_scheme=scheme, has_touch=True))
    for mode in ("Side by side", "Wipe", "Fused"):
        page.locator("span", has_text=mode).first.tap()
        live(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
    controls = page.locator("button:visible, input:visible, select:visible, canvas")
    for box in (controls.nth(index).bounding_box() for index in range(controls.count())):
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 375
    assert page.locator("#stage").bounding_box()["width"] > 330
    page.touchscreen.tap(*shares(page, 0.5, 0.5))
    text_is(page, "#reading", f"{BODY_C:.1f} °C")


def test_all_can_be_done_by_keys(stream, open_page):
    running = stream(model="ctrlfuse", options={"gain": 4.0})
    page = live(open_page(running.url))
    text_is(page, "#facts", "ctrlfuse")
    names = []
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused[0] == "BODY":
            break
        assert focused[1] != "none", focused  # where the focus is can be seen
        assert focused[2], focused  # and it has a name
        names.append(focused[0])
    assert {"record", "fused", "measure", "boxes", "stage", "set-model", "set-options.gain"} <= set(
        names
    )
    page.focus("#stage")
    for key in ("ArrowLeft", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    text_is(page, "#reading", f"{BODY_C:.1f} °C")
    page.keyboard.press("Escape")
    text_is(page, "#reading", "Click into the picture")
    page.focus("input[value=measure]")
    page.keyboard.press("ArrowRight")
    page.focus("#stage")
    page.keyboard.press("Space")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(f"Shift+{key}")
    page.keyboard.press("Space")
    text_is(page, "#marks", "20 × 10 % of the picture")
