"""A line against its limits: too late, too fast, not confirmed; each part is told what became of it."""

from __future__ import annotations

import time

import pytest
from line_samples import ListCamera, ListSink, events, meanwhile, night, records, run
from signal_receivers import wait_for

from inspection.errors import RecordsError
from inspection.verdicts import Verdict
from pipeline.line.events import EventKind
from pipeline.line.settings import Policy
from pipeline.signals import Acknowledgement

CANNOT_INSPECT = Verdict.CANNOT_INSPECT


@pytest.fixture
def workspace(plates, tmp_path):
    """A home with enrolled and calibrated plates, the test's own."""
    return plates.copy(tmp_path / "line home")


def slow(seconds):
    """Let every frame take longer."""

    def slow_down(line):
        inspector = line._judges.inspector
        judge = inspector.judge_prepared

        def judge_slowly(frames):
            time.sleep(seconds)
            return judge(frames)

        line._judges.inspector = _Replaced(inspector, judge_slowly)
        line._caretaker._look_at_inspector = lambda: None

    return slow_down


class _Replaced:
    """An inspector with another `judge_prepared`."""

    def __init__(self, inspector, judge):
        self._inspector, self.judge_prepared = inspector, judge

    def __getattr__(self, name):
        return getattr(self._inspector, name)


def test_a_verdict_after_the_deadline_is_told_not_inspected_in_time(workspace):
    """The line hears at the deadline; the record says what the verdict would have been."""
    sink = ListSink()
    _, sink = run(workspace, night(2), sink, before=slow(0.5), deadline=0.2)
    assert [(s.verdict, s.late) for s in sink.signals] == [(CANNOT_INSPECT, True)] * 2
    rows = records(workspace)
    assert all(row["reason"].startswith("too late: ") for row in rows)
    assert any("FLAG after" in row["reason"] for row in rows)
    assert [row["similarity"] is not None for row in rows] == [True, True]
    assert EventKind.TOO_LATE in events(workspace)


def test_late_parts_wait_for_the_records_without_their_pictures_piling_up(workspace):
    """While the database is away only the newest verdicts that came too late are kept; every part gets its row."""
    count, kept = 80, []

    def records_away(line):
        recorder = line._recorder
        portion = recorder._portion

        def portion_later(tables):
            if sum(line.snapshot().counts.values()) < count:
                message = "the database is away"
                raise RecordsError(message)
            kept.append(len(recorder._late))
            portion(tables)

        recorder._portion = portion_later

    run(workspace, night(4) * (count // 4), before=records_away, deadline=0.0005)
    assert kept[0] == 64
    rows = records(workspace)
    assert len(rows) == count
    assert all(row["reason"].startswith("too late: ") for row in rows)
    assert sum(row["similarity"] is not None for row in rows) <= 64


def test_a_receiver_that_is_away_past_the_deadline_means_not_inspected(workspace):
    """A PASS that nobody heard in time must not be one in the records."""
    sink = ListSink(away=True)

    def come_back(line):
        wait_for(lambda: sum(line.snapshot().counts.values()) == 2)
        sink.away = False

    run(workspace, night(3)[1:], sink, before=meanwhile(come_back), deadline=0.3)
    assert [s.verdict for s in sink.signals] == [CANNOT_INSPECT, CANNOT_INSPECT]
    assert [row["verdict"] for row in records(workspace)] == ["CANNOT_INSPECT"] * 2


def test_a_verdict_that_is_told_late_is_an_event(workspace):
    """It was certain in time, and the receiver took longer than ever before: the line's people are told."""

    class Hesitant(ListSink):
        def send(self, signal):
            time.sleep(0.6)
            super().send(signal)

    _, sink = run(workspace, night(1), Hesitant(), deadline=0.5)
    assert [signal.late for signal in sink.signals] == [False]
    assert EventKind.TOLD_LATE in events(workspace)


def test_frames_that_come_too_fast_are_skipped_and_told(workspace):
    """Under `skip` every frame has its record: judged, or CANNOT_INSPECT at once."""
    camera = ListCamera(night(40), every=0.005, live=True)
    summary, sink = run(workspace, [], camera=camera, before=slow(0.1), latency_limit=0.25, policy=Policy.SKIP)
    assert [signal.sequence for signal in sink.signals] == list(range(1, 41))
    assert len(records(workspace)) == 40
    reasons = [signal.reason or "" for signal in sink.signals]
    skipped = sum(reason.startswith("skipped: ") for reason in reasons)
    assert 0 < skipped < 40
    assert summary.snapshot.skipped == skipped
    assert EventKind.SKIPPING in events(workspace)


def test_block_lets_the_camera_wait(workspace):
    """Nothing is skipped, however slow judging is."""
    summary, sink = run(workspace, night(8), before=slow(0.05))
    assert summary.snapshot.skipped == 0
    assert all(signal.similarity is not None for signal in sink.signals)


def test_a_confirmation_that_does_not_come_is_an_event(workspace):
    """The receiver confirms the first signal alone."""
    sink = ListSink(acknowledges=True, acknowledged=[])

    def confirm(line):
        heard = line._tellers[0]._hear

        def hear():
            if sink.signals:
                sink.acknowledged.append(Acknowledgement(sequence=1, at=time.monotonic()))
            heard()

        line._tellers[0]._hear = hear

    camera = ListCamera(night(6), every=0.1)
    run(workspace, [], sink, camera=camera, before=confirm, acknowledge_seconds=0.2)
    assert EventKind.NOT_ACKNOWLEDGED in events(workspace)
