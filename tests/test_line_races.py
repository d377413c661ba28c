"""What threads and kills can do to each other at a bad moment; pauses widen the moments."""

from __future__ import annotations

import threading
import time
from datetime import datetime

import pytest
from drawn_night import PRODUCT
from line_samples import ListCamera, ListSink, events, night, records, run, settings_of

from inspection.verdicts import Verdict
from pipeline.line import line as line_module
from pipeline.line.events import EventKind
from pipeline.line.line import Line
from pipeline.line.twofold_spool import TwofoldSpool
from pipeline.records import SpooledPart, SpoolFullError
from pipeline.review import choosing
from pipeline.signals import SinkLostError


@pytest.fixture
def workspace(plates, tmp_path):
    """A home with enrolled and calibrated plates, the test's own."""
    return plates.copy(tmp_path / "line home")


@pytest.mark.parametrize(("live", "every"), [(True, 0.12), (False, 0.005)])
def test_late_parts_do_not_pile_up_before_the_judges(workspace, live, every):
    """Judging takes five times the deadline: what nobody has begun with is given up, what is begun keeps its place."""
    waiting = []

    def slow_down(line):
        inspector = line._judges.inspector

        class Slow:
            def __getattr__(self, name):
                return getattr(inspector, name)

            def judge_prepared(self, frames):
                waiting.append(line._judges._pool._work_queue.qsize())
                time.sleep(0.5)
                return inspector.judge_prepared(frames)

        line._judges.inspector = Slow()
        line._caretaker._look_at_inspector = lambda: None

    camera = ListCamera(night(40), every=every, live=live)
    _, sink = run(workspace, [], camera=camera, before=slow_down, deadline=0.1, workers=2)
    assert len(sink.signals) == len(records(workspace)) == 40
    assert max(waiting) <= 4


def test_a_late_part_recorded_once_more_after_a_kill_is_one_record(workspace):
    """The kill comes between the records and the note in the spool that they are written."""

    def forget_once(line):
        real, calls = line._spool.mark_recorded, []

        def mark(sequences):
            calls.append(sequences)
            if len(calls) > 1:
                real(sequences)

        line._spool.mark_recorded = mark

    run(workspace, night(4), before=forget_once, deadline=0.0005)
    assert len(records(workspace)) == 4


def test_a_part_that_ended_while_the_disk_was_full_is_ended_on_disk_too(tmp_path):
    """It came to the disk, was decided, told and recorded in memory: the next start must not find it open."""
    spool = TwofoldSpool(tmp_path / "s.db", sinks=["x"], remember_as=None)
    came = {"sequence": 1, "frame": "f", "part_id": "p", "captured_at": "2026-01-01T00:00:00+00:00"}
    spool.admit(SpooledPart(**came))
    commit = spool._file._commit

    def full(_statements):
        message = "full"
        raise SpoolFullError(message)

    spool._file._commit = full
    done = SpooledPart(**came, signal="{}", record="{}", batch="b")
    assert not spool.decide(done)
    spool.decide_in_memory(done)
    spool.mark_told("x", 1)
    spool.mark_recorded([1])
    spool._file._commit = commit
    spool.restore()
    spool.close()
    again = TwofoldSpool(tmp_path / "s.db", sinks=["x"], remember_as=None)
    assert again.undecided() == []
    again.close()


def test_a_receiver_of_higher_numbers_that_comes_and_goes_loses_nothing(workspace):
    """It holds 100 of an earlier life, is away at the start, and is lost once more before the first signal."""

    class Unsteady(ListSink):
        opened = 0

        def open(self):
            self.opened += 1
            if self.opened == 1:
                message = "not up yet; start it"
                raise SinkLostError(message)

        def last_sequence(self):
            return self.signals[-1].sequence if self.signals else 100

        def report(self, _state):
            if self.opened == 2:
                self.opened += 1
                time.sleep(1.0)
                message = "lost again; wait"
                raise SinkLostError(message)

    summary, sink = run(workspace, night(6), sink=Unsteady())
    assert summary.complete
    assert len(sink.signals) == 6


def test_evidence_is_there_before_the_recorder_finds_the_part(workspace):
    """However long the decider is held up between both."""

    def hold_up(line):
        put = line._recorder.put

        def put_slowly(one):
            time.sleep(0.7)
            put(one)

        line._recorder.put = put_slowly

    run(workspace, night(3, scratched_every=1), before=hold_up)
    assert all(row["evidence"] for row in records(workspace))


def test_what_is_told_at_once_is_shown_all_the_same(workspace):
    """The teller is quicker than the decider's next word."""

    def hold_up(line):
        decided = line._decider._on_decided

        def decide_slowly(one):
            time.sleep(0.3)
            decided(one)

        line._decider._on_decided = decide_slowly

    summary, _ = run(workspace, night(4), before=hold_up)
    assert len(summary.snapshot.latest) == 4
    assert summary.snapshot.latency_p50 is not None


def test_a_picture_that_cannot_be_drawn_costs_the_picture_alone(workspace, monkeypatch, caplog):
    """All parts have their records."""

    def broken(*_args, **_options):
        message = "a picture that can't be drawn"
        raise ValueError(message)

    monkeypatch.setattr(choosing, "draw_strip", broken)
    summary, sink = run(workspace, night(8))
    assert summary.complete
    assert len(sink.signals) == len(records(workspace)) == 8
    assert "can't be shown" in caplog.text


def test_an_error_that_nobody_foresaw_does_not_end_the_records(workspace):
    """It is a lamp and an event, and tried again."""

    def fail_once(line):
        portion, calls = line._recorder._portion, []

        def fail(tables):
            calls.append(1)
            if len(calls) == 1:
                message = "unforeseen"
                raise ValueError(message)
            portion(tables)

        line._recorder._portion = fail

    summary, _ = run(workspace, night(4), before=fail_once)
    assert summary.complete
    assert len(records(workspace)) == 4
    assert EventKind.RECORDS_LOST in events(workspace)


def test_what_is_told_after_its_deadline_says_so(workspace):
    """The receiver hangs for two seconds: what it hears after that is late, in signal and spool alike."""

    class Hangs(ListSink):
        def __init__(self):
            super().__init__()
            self.at = []

        def send(self, signal):
            if len(self.signals) == 1 and not self.at[1:]:
                time.sleep(2)
            self.at.append(time.time())
            super().send(signal)

    sink = Hangs()
    camera = ListCamera(night(12, scratched_every=100), every=0.1, live=True)
    run(workspace, [], sink=sink, camera=camera, deadline=0.5)
    age = [
        at - datetime.fromisoformat(one.captured_at).timestamp() for one, at in zip(sink.signals, sink.at, strict=True)
    ]
    told_late = [one.late for one, seconds in zip(sink.signals, age, strict=True) if seconds > 0.6]
    assert len(told_late) >= 3
    passed = [one.late for one in sink.signals if one.verdict is Verdict.PASS]
    assert all(told_late[1:]), "the one that hung was sent in time"
    assert not all(passed)


def test_what_an_earlier_process_left_is_told_as_late(workspace, monkeypatch):
    """Hours may have gone by, and the part with them."""

    class Dead(ListSink):
        def send(self, _signal):
            message = "away; wait"
            raise SinkLostError(message)

    monkeypatch.setattr(line_module, "_TELL_SECONDS", 0.5)
    run(workspace, night(3, scratched_every=100), sink=Dead())
    _, sink = run(workspace, [], deadline=0.5)
    assert [one.late for one in sink.signals] == [True] * 3


def test_the_heart_beats_while_much_is_told(workspace):
    """A PLC must not take a busy line for a dead one."""

    class Slow(ListSink):
        def __init__(self):
            super().__init__()
            self.beats = []

        def send(self, signal):
            time.sleep(0.05)
            super().send(signal)

        def report(self, state):
            self.beats.append(time.monotonic())
            super().report(state)

    sink = Slow()
    run(workspace, night(20) * 4, sink=sink)
    assert max(later - earlier for earlier, later in zip(sink.beats, sink.beats[1:], strict=False)) < 2.5


class HoldingGate:
    """Gives three parts once it has seen thirty frames, the best pictures of a second ago."""

    def __init__(self):
        self.held = []

    def see(self, shot):
        """Hold it."""
        self.held.append(shot)
        if len(self.held) < 30:
            return []
        given, self.held = self.held[:3], []
        return given

    def rest(self):
        """What is in view at the end."""
        return self.held[-1:]


def test_what_a_gate_waits_for_is_no_work_of_the_judges(workspace):
    """Three parts at once on an idle line are judged, all of them."""
    camera = ListCamera(night(30, scratched_every=100) * 4, every=0.04, live=True, every_frame_a_part=False)
    sink = ListSink()
    with Line(settings_of(workspace, PRODUCT), camera, [sink], gate=HoldingGate()) as line:
        summary = line.run()
    assert summary.snapshot.skipped == 0
    assert all(one.similarity is not None for one in sink.signals)


def test_parts_in_view_at_a_stop_are_told(workspace):
    """Also where frames wait for the line."""
    camera = ListCamera(night(4) * 10, every=0.05, every_frame_a_part=False)
    sink = ListSink()
    with Line(settings_of(workspace, PRODUCT, seconds=1.0), camera, [sink], gate=HoldingGate()) as line:
        line.run()
    assert len(sink.signals) == 1


def test_a_stop_takes_no_lock(workspace):
    """It is called by a signal handler, which may have interrupted whoever holds one."""
    with Line(settings_of(workspace, PRODUCT), ListCamera(night(4) * 100, every=0.02), [ListSink()]) as line:
        assert not [one for one in vars(line).values() if isinstance(one, threading.Event | threading.Condition)]
        threading.Timer(0.5, line.stop, ["enough"]).start()
        assert line.run().ended == "enough"
