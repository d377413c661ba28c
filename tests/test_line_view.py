"""A running line in the terminal: the picture that stays, the plain lines, and that neither disturbs the line."""

from __future__ import annotations

import io
import time
from datetime import UTC, datetime, timedelta

import pytest
from line_page_samples import MovingLine
from plate_page import plate_frame, plate_snapshot
from rich.console import Console

from flows.commands.line_picture import line_picture
from flows.commands.line_view import shown_line
from flows.commands.line_words import LineWords
from inspection.verdicts import Verdict
from pipeline.line.events import EventKind, LineEvent
from pipeline.signals import LineState

WAITED = 0.3


class Latin(io.StringIO):
    """A stream of a terminal that knows Latin letters alone."""

    encoding = "iso-8859-1"


def console(*, terminal, width=80, height=24, stream=None):
    """A console on a string."""
    return Console(
        file=stream or io.StringIO(), force_terminal=terminal, width=width, height=height, color_system=None,
        legacy_windows=False, highlight=False,
    )  # fmt: skip


def drawn(snapshot, *, now=None, **size):
    """The lines of the picture."""
    on = console(terminal=False, **size)
    on.print(line_picture(snapshot, on, now=now or snapshot.now, address="http://127.0.0.1:8765/"))
    return on.file.getvalue().splitlines()


def written(line, action=lambda: None, **console_settings):
    """All that is written while the line is shown and something is done to it."""
    on = console(**console_settings)
    with shown_line(line.snapshot, console=on, every=0.05):
        time.sleep(WAITED)
        action()
        time.sleep(WAITED)
    return on.file.getvalue()


def test_the_picture_fits_80_columns_and_24_rows():
    """Line, state, counts, latency, lamps, parts and events, none wider than the terminal."""
    latest = tuple(plate_frame(60 - i, 0.9 if i else 0.31, part_id=f"a rather long part id {i}") for i in range(8))
    lines = drawn(plate_snapshot(latest=latest, provisional=True, missed=3))
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 23
    text = "\n".join(lines)
    for words in (
        "line 3", "RUNNING", "PROVISIONAL", "PASS 6 (60.0 %)", "CANNOT INSPECT 1", "rejected 40.00 %", "p99 90 ms",
        "limit 200 ms", "signal LOST since", "missed 3", "0.310 < 0.500", "0.900 >= 0.500", "signal lost", ":8765/",
    ):  # fmt: skip
        assert words in text, words


def test_a_wide_terminal_shows_more_parts():
    """Eight parts where there is room."""
    latest = tuple(plate_frame(60 - i, 0.9) for i in range(8))
    assert sum("PASS" in one for one in drawn(plate_snapshot(latest=latest), width=120, height=50)) == 9


def test_old_figures_are_said_to_be_old():
    """A line that does not answer is STALE, whatever state it was in."""
    snapshot = plate_snapshot()
    text = "\n".join(drawn(snapshot, now=snapshot.now + timedelta(seconds=42)))
    assert "STALE: no new figures for 42 s" in text
    assert "RUNNING" not in text


def test_part_ids_do_not_steer_the_terminal():
    """Escape sequences in a bar code, signs that the terminal lacks and passwords are not written."""
    odd = plate_frame(5, 0.9, part_id="\x1b[2Ja\udcff\u4e00[red]b")
    event = LineEvent(line="l", kind=EventKind.CAMERA_LOST, said="rtsp://u:p@cam\x07", at=datetime.now(UTC), sequence=1)
    snapshot = plate_snapshot(latest=(odd,), events=(event,))
    for size in ({"width": 160}, {"width": 160, "stream": Latin()}):
        text = "\n".join(drawn(snapshot, **size))
        assert "\x1b" not in text
        assert "\x07" not in text
        assert "[red]b" in text
        assert "rtsp://***@cam?" in text


def test_plain_lines_say_each_event_and_flag_once():
    """What is new comes as a line with its time; what was said is not said again."""
    line = MovingLine(plate_snapshot())
    new = plate_frame(12, 0.1, part_id="new part")

    def flag():
        line.change(rejected=(new, *line.shown.rejected), counts={**line.shown.counts, Verdict.FLAG: 4})

    lines = written(line, flag, terminal=False).splitlines()
    assert sum("CANNOT_INSPECT part 9: " in one for one in lines) == 1
    assert [one.partition(" ")[2].partition(",")[0] for one in lines if " FLAG " in one and "PASS" not in one] == [
        "FLAG part 7: 0.310 < 0.500",
        "FLAG new part: 0.100 < 0.500",
    ]
    assert sum("signal lost" in one for one in lines) == 1
    assert all(datetime.fromisoformat(one.partition(" ")[0]).tzinfo for one in lines)
    assert "6 PASS, 4 FLAG, 1 CANNOT_INSPECT" in lines[-1]


def test_flags_too_fast_to_be_named_are_counted():
    """Flagged parts that were never among the latest are owned up to."""
    line = MovingLine(plate_snapshot())
    text = written(line, lambda: line.change(counts={**line.shown.counts, Verdict.FLAG: 9}), terminal=False)
    assert "6 more that did not pass" in text


def test_parts_without_time_are_not_named():
    """They may be thousands, and are an event."""
    late = plate_frame(12, None, part_id="late part", reason="too late: no verdict")
    text = written(MovingLine(plate_snapshot(rejected=(late,))), terminal=False)
    assert "late part" not in text
    assert "more that did not pass" not in text


def test_what_waits_for_the_receiver_is_shown():
    """How many parts wait to be told, and which of the latest."""
    waits = plate_frame(9, 0.499_96, milliseconds=None)
    text = "\n".join(drawn(plate_snapshot(latest=(waits,), untold=17)))
    assert "untold 17" in text
    assert "not told" in text
    assert "0.49996 < 0.50000" in text


def test_counts_come_now_and_then():
    """Every minute, not with each look."""
    on = console(terminal=False, width=200)
    words = LineWords(on, None)
    start = datetime.now(UTC)
    for second in range(130):
        words.show(plate_snapshot(now=start + timedelta(seconds=second), captured=second, waiting=second, events=()))
    assert on.file.getvalue().count("running:") == 3


@pytest.mark.parametrize("terminal", [True, False])
def test_the_last_state_stays(terminal):
    """After the end the terminal holds the state that the line ended in."""
    line = MovingLine(plate_snapshot())
    text = written(line, lambda: line.change(state=LineState.STOPPED), terminal=terminal)
    assert "stopped" in text.lower().split("running")[-1]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_line_that_fails_is_said_not_to_answer(terminal):
    """An error in the snapshot is shown, not raised, and the view goes on when it is over."""
    line = MovingLine(plate_snapshot())
    whole = line.snapshot

    def broken():
        message = "lock lost"
        raise RuntimeError(message)

    held = {"ask": whole}
    on = console(terminal=terminal, width=120)
    with shown_line(lambda: held["ask"](), console=on, every=0.05):  # noqa: PLW0108 - what it asks changes
        time.sleep(WAITED)
        held["ask"] = broken
        time.sleep(WAITED)
        held["ask"] = whole
        time.sleep(WAITED)
    text = on.file.getvalue()
    assert "lock lost" in text
    assert text.rindex("RUNNING" if terminal else "running") > 0
    assert "STALE" not in text[text.rindex("RUNNING" if terminal else "answers again") :]


def test_a_closed_terminal_does_not_end_the_line(caplog):
    """Where nothing can be written any more, the line goes on and the log says why."""
    on = console(terminal=False)
    on.file.close()
    with shown_line(MovingLine(plate_snapshot()).snapshot, console=on, every=0.05):
        time.sleep(WAITED)
    assert "it runs on" in caplog.text
