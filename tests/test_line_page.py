"""What the page of a running line says and draws: JSON, pictures, metrics, health; and that it costs little."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest
from drawn_night import draw_part
from line_page_samples import MovingLine
from plate_page import ask, plate_frame, plate_snapshot, told
from prometheus_client.parser import text_string_to_metric_families

from pipeline.line.snapshot import Health
from pipeline.line_page.pictures import BusyError, Kind, PictureStore
from pipeline.line_page.reading import ShownLine
from pipeline.line_page.server import PageServer
from pipeline.line_page.values import without_credentials


@pytest.fixture
def line():
    """A line that a test may change."""
    return MovingLine(plate_snapshot())


@pytest.fixture
def page(line):
    """Its page, served."""
    with PageServer([ShownLine(snapshot=line.snapshot, golden=draw_part(0))], port=0) as server:
        yield server


def test_the_page_and_its_files_are_served_with_safety_headers(page):
    """Every answer forbids foreign content, guessing of types and framing."""
    for path, kind in (("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")):
        status, headers, body = ask(page, path)
        assert (status, headers["content-type"].partition(";")[0]) == (200, kind)
        assert body
        assert "default-src 'self'" in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
    _, headers, _ = ask(page, "/nowhere")
    assert "content-security-policy" in headers


def test_json_says_all_that_the_page_shows(page):
    """Counts, rates, lamps, frames and events, with the reject rate over all that was told."""
    shown = told(page)
    assert shown["counts"] == {"PASS": 6, "FLAG": 3, "CANNOT_INSPECT": 1}
    assert (shown["told"], shown["not_passed"], shown["reject_rate"]) == (10, 4, 0.4)
    assert [one["sequence"] for one in shown["latest"]] == [9, 8, 7]
    assert shown["latest"][0]["reason"].startswith("blurred")
    assert [(one["what"], one["up"]) for one in shown["health"]] == [("camera", True), ("signal", False)]
    assert shown["events"][0]["bad"]
    assert shown["problem"] is None


def test_what_json_can_not_say_is_null(line, page):
    """A figure that is no number, and a part id that is no text, do not stop the page."""
    line.change(
        latency_p99=float("nan"), latest=(replace(plate_frame(1, 0.9), part_id="a\udcffb", similarity=float("inf")),)
    )
    shown = told(page)
    assert shown["latency_p99"] is None
    assert (shown["latest"][0]["part_id"], shown["latest"][0]["similarity"]) == ("a\udcffb", None)


def test_passwords_in_addresses_are_not_shown(page):
    """A camera's password shows neither in JSON nor in metrics."""
    for path in ("/api/line", "/metrics"):
        body = ask(page, path)[2].decode()
        assert "rtsp://***@camera/1" in body
        assert "word@" not in body
    assert without_credentials("http://host/a@b") == "http://host/a@b"


def test_the_last_flagged_part_stays(line, page):
    """A flagged part is still shown, with its picture, when the line has gone on."""
    assert told(page)["last_flagged"]["sequence"] == 7
    line.change(latest=(plate_frame(20, 0.9),))
    time.sleep(0.3)
    assert told(page)["last_flagged"]["sequence"] == 7
    assert ask(page, "/api/frames/7.jpg")[0] == 200


def test_pictures_show_the_region(page):
    """A picture is a JPEG of the frame with the region outlined; the strip has the golden beside it."""
    status, headers, body = ask(page, "/api/frames/7.jpg")
    drawn = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    assert (status, headers["content-type"], drawn.shape) == (200, "image/jpeg", (128, 128, 3))
    blue, green, red = (drawn[..., i].astype(int) for i in range(3))
    assert ((red - green > 80) & (red - blue > 30)).any()
    strip = cv2.imdecode(np.frombuffer(ask(page, "/api/frames/7.jpg?kind=strip")[2], np.uint8), cv2.IMREAD_COLOR)
    assert strip.shape[1] > 1.5 * strip.shape[0]


@pytest.mark.parametrize("asked", ["99", "-1", "7.5", "x", "9" * 5000, "%2e%2e", "7?line=line+4"])
def test_a_frame_that_is_not_there_is_not_found(page, asked):
    """Unknown numbers, other lines and what is no number get 404."""
    path, _, query = asked.partition("?")
    assert ask(page, f"/api/frames/{path}.jpg{'?' if query else ''}{query}")[0] == 404


def test_a_frame_without_picture_has_none(line, page):
    """A frame that was never readable is listed without a picture."""
    line.change(latest=(plate_frame(5, None, image=None, judgement=None),))
    assert not told(page)["latest"][0]["picture"]
    assert ask(page, "/api/frames/5.jpg")[0] == 404


def test_metrics_are_read_by_prometheus(page):
    """All families parse, have a help text, and carry the snapshot's figures in base units."""
    families = {one.name: one for one in text_string_to_metric_families(ask(page, "/metrics")[2].decode())}
    values = {
        (one.name, *sorted(one.labels.items())): one.value for family in families.values() for one in family.samples
    }
    assert all(one.documentation for one in families.values())
    frames = {one.labels["verdict"]: one.value for one in families["goldentwin_frames"].samples}
    assert frames == {"PASS": 6, "FLAG": 3, "CANNOT_INSPECT": 1}
    assert values["goldentwin_signal_latency_seconds", ("line", "line 3"), ("quantile", "0.99")] == 0.09
    assert values["goldentwin_signal_latency_limit_seconds", ("line", "line 3")] == 0.2
    assert values["goldentwin_threshold", ("line", "line 3")] == 0.5
    assert values["goldentwin_waiting_frames", ("line", "line 3")] == 1
    up = {one.labels["what"]: one.value for one in families["goldentwin_up"].samples}
    assert up == {"camera": 1, "signal": 0}
    assert sum(one.value for one in families["goldentwin_state"].samples) == 1


def test_metrics_survive_odd_names(line, page):
    """Quotes, line ends and bytes that are no text in a line's name reach Prometheus as one label; doubles once."""
    doubled = (Health(what="camera", name="c", up=True), Health(what="camera", name="c", up=False))
    line.change(line='a"b\n\\c\udcff', health=doubled, threshold=None)
    families = {one.name: one for one in text_string_to_metric_families(ask(page, "/metrics")[2].decode())}
    assert families["goldentwin_frames"].samples[0].labels["line"] == 'a"b\n\\c\\udcff'
    assert [one.value for one in families["goldentwin_up"].samples] == [0]
    assert families["goldentwin_threshold"].samples == []


def test_health_tells_a_line_that_does_not_answer(line, page):
    """Well while the line answers, even with a lost broker; not once its figures stand still."""
    assert ask(page, "/healthz")[0] == 200
    line.change(now=datetime.now(UTC) - timedelta(seconds=30))
    line.frozen = True
    time.sleep(0.3)
    status, _, body = ask(page, "/healthz")
    assert (status, json.loads(body)["lines"][0]["answers"]) == (503, False)


def test_a_line_that_fails_is_told_with_its_last_figures(page, caplog):
    """An error in the line's snapshot is named on the page, counted in the metrics and logged once."""
    assert told(page)["problem"] is None

    def broken():
        message = "lock lost"
        raise RuntimeError(message)

    page._readers[0]._ask = broken
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            time.sleep(0.3)
            shown = told(page)
    assert "RuntimeError: lock lost" in shown["problem"]
    assert shown["line"] == "line 3"
    assert b"goldentwin_silent_lines 1.0" in ask(page, "/metrics")[2]
    assert ask(page, "/healthz")[0] == 503
    assert len([one for one in caplog.records if "no snapshot" in one.message]) == 1


def test_many_who_look_cost_the_line_few_looks(line, page):
    """Thirty requests in a row ask the line a few times."""
    begun, before = time.monotonic(), line.asked
    for _ in range(30):
        told(page)
    assert line.asked - before <= 2 + (time.monotonic() - begun) / 0.25


def test_drawing_takes_a_small_part_of_a_core():
    """Pictures that take 0.4 s each: three at once, then one in eight seconds; one that was drawn is still given."""
    now = [0.0]
    store = PictureStore(clock=lambda: now[0], spent=lambda: now[0])

    def slow_encode(_picture):
        now[0] += 0.4
        return b"jpeg"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.line_page.pictures._encoded", slow_encode)
        for sequence in range(3):
            store.jpeg("a", plate_frame(sequence), Kind.OVERLAY, None)
        with pytest.raises(BusyError):
            store.jpeg("a", plate_frame(3), Kind.OVERLAY, None)
        assert store.jpeg("a", plate_frame(0), Kind.OVERLAY, None) == b"jpeg"
        now[0] += 8.0
        assert store.jpeg("a", plate_frame(3), Kind.OVERLAY, None) == b"jpeg"


def test_a_frame_of_the_same_number_taken_later_is_drawn_anew(line, page):
    """After a restart that counts from the beginning, the old picture is not shown for the new part."""
    first = ask(page, "/api/frames/8.jpg")[2]
    line.change(latest=(plate_frame(8, 0.9, captured_at=datetime.now(UTC), image=draw_part(99)),))
    time.sleep(0.3)
    assert ask(page, "/api/frames/8.jpg")[2] != first
