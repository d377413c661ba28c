"""The page of a running line in a real browser: it shows, it follows, and it says at once when what it shows is old."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime, timedelta

import pytest
from drawn_night import draw_part
from line_page_samples import MovingLine
from plate_page import plate_frame, plate_snapshot

from inspection.verdicts import Verdict
from pipeline.line_page.reading import ShownLine
from pipeline.line_page.server import PageServer
from pipeline.signals import LineState

pytestmark = pytest.mark.browser
XSS = '<img src=x onerror="document.title=1">'
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
LOADED = "() => [...document.querySelectorAll('#frames img')].filter(i => i.naturalWidth).length === 2"
STALE = "() => document.body.classList.contains('stale')"
FRESH = "() => !document.body.classList.contains('stale')"


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=_chromium(), args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture
def line():
    """A line with two frames that have pictures and one that has none."""
    unread = plate_frame(9, None, image=None, judgement=None)
    return MovingLine(plate_snapshot(latest=(unread, plate_frame(8, 0.9), plate_frame(7))))


@pytest.fixture
def server(line):
    """Its page, served."""
    with PageServer([ShownLine(snapshot=line.snapshot, golden=draw_part(0))], port=0) as started:
        yield started


@pytest.fixture
def page(browser, server):
    """The page, open in a tab; no script on it may fail."""
    tab = browser.new_page(viewport={"width": 1600, "height": 900})
    failures = []
    tab.on("pageerror", lambda error: failures.append(str(error)))
    tab.on("console", lambda said: failures.append(said.text) if "Content Security Policy" in said.text else None)
    tab.set_default_timeout(30_000)
    tab.goto(server.address)
    tab.wait_for_function(FRESH)
    yield tab
    tab.close()
    assert failures == []


def test_it_shows_the_line_and_follows_it(page, line):
    """Frames with their pictures, counts and lamps; then a new state, count and frame without a reload."""
    page.wait_for_function(LOADED)
    assert page.inner_text("#state b") == "RUNNING"
    assert page.inner_text(".count.FLAG b") == "3"
    assert "signal" in page.inner_text("#lamps .down")
    assert [one.inner_text() for one in page.query_selector_all("#frames .part")] == ["part 9", "part 8", "part 7"]
    assert page.is_hidden("#provisional")
    latest = (plate_frame(10, 0.1, captured_at=datetime.now(UTC)), *line.shown.latest)
    counts = {Verdict.PASS: 6, Verdict.FLAG: 4}
    line.change(state=LineState.LOST, counts=counts, latest=latest, provisional=True)
    page.wait_for_function("() => document.querySelector('#frames .part').textContent === 'part 10'")
    assert (page.inner_text("#state b"), page.inner_text(".count.FLAG b")) == ("LOST", "4")
    assert page.is_visible("#provisional")
    assert page.title().startswith("LOST")


def test_a_part_is_enlarged_beside_its_golden(page):
    """A click on a frame opens the comparison."""
    page.wait_for_function(LOADED)
    page.click("#frames .tile.FLAG button")
    page.wait_for_function(
        "() => document.querySelector('#large').open && document.querySelector('#large-picture').naturalWidth > 400"
    )
    page.keyboard.press("Escape")
    assert not page.evaluate("document.querySelector('#large').open")


def test_it_is_stale_when_the_server_stops_and_well_when_it_is_back(page, server, line):
    """Without a server the page says so within seconds, never RUNNING; it comes back by itself."""
    port = server.port
    server.stop()
    begun = time.monotonic()
    page.wait_for_function(STALE)
    assert time.monotonic() - begun < 8
    assert "does not answer" in page.inner_text("#alarm")
    assert (page.inner_text("#state b"), page.title().partition(":")[0]) == ("STALE", "STALE")
    with PageServer([ShownLine(snapshot=line.snapshot, golden=draw_part(0))], port=port) as again:
        assert again.port == port
        page.wait_for_function(FRESH)
        assert page.inner_text("#state b") == "RUNNING"


@pytest.mark.parametrize("ahead", [0, 3600], ids=["as it was", "its clock set back"])
def test_it_is_stale_when_the_line_stands_still(page, line, ahead):
    """A server that answers with old figures does not make them look new, not even where they seem to be of later."""
    line.frozen = True
    line.change(now=datetime.now(UTC) + timedelta(seconds=ahead))
    page.wait_for_function(STALE)
    assert "stand still" in page.inner_text("#alarm")
    line.frozen = False
    page.wait_for_function(FRESH)


def test_words_of_the_line_are_never_markup(page, line):
    """A part id, a reason, an event and a line's name that look like HTML are shown as they are written."""
    event = line.shown.events[0]
    line.change(
        line=XSS, product=XSS,
        latest=(plate_frame(11, None, part_id=XSS, reason=XSS, image=None, judgement=None),),
        events=(type(event)(line=XSS, kind=event.kind, said=XSS, at=event.at, sequence=1),),
    )  # fmt: skip
    page.wait_for_function("s => document.querySelector('#frames .part').textContent === s", arg=XSS)
    assert page.inner_text("#line") == XSS
    assert XSS in page.inner_text("#events")
    assert page.query_selector("img[src='x']") is None


def test_one_of_two_lines_is_chosen(browser, line):
    """Each line has its own frames and its own last flagged part; the other's trouble shows on its tab."""
    other = MovingLine(plate_snapshot(line="line 4", state=LineState.LOST, latest=()))
    lines = [ShownLine(snapshot=one.snapshot, golden=draw_part(0)) for one in (line, other)]
    with PageServer(lines, port=0) as server:
        tab = browser.new_page()
        tab.goto(server.address)
        tab.wait_for_selector("#flagged img")
        assert "LOST" in tab.inner_text("#lines a:nth-child(2)")
        tab.click("#lines a:nth-child(2)")
        tab.wait_for_function("() => document.querySelector('#line').textContent === 'line 4'")
        assert tab.inner_text("#state b") == "LOST"
        assert tab.query_selector("#flagged img, #frames .tile") is None
        tab.close()


def test_it_fits_a_phone(browser, server):
    """Nothing is wider than a phone's screen."""
    tab = browser.new_page(viewport={"width": 390, "height": 844})
    tab.goto(server.address)
    tab.wait_for_selector("#frames .tile")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.close()


def _chromium():
    return next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))
