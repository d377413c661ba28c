"""A running line: every frame has one signal and one record that say the same, whatever goes wrong around it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from drawn_line import enrol
from drawn_night import PRODUCT, draw_part
from line_samples import ListCamera, ListSink, events, meanwhile, night, records, run, settings_of, shot_of
from signal_receivers import wait_for

from inspection.decoding import decode_image
from inspection.errors import CalibrationError
from inspection.verdicts import Verdict
from pipeline.line.admitted import file_bytes, file_digest
from pipeline.line.events import EventKind
from pipeline.line.line import Line
from pipeline.line.readying import spool_file
from pipeline.line.settings import Policy, StreamError
from pipeline.line.twofold_spool import TwofoldSpool
from pipeline.opening import open_inspector
from pipeline.records import ReviewRecords, SpooledPart
from pipeline.signals import LineState

PASS, FLAG, CANNOT_INSPECT = Verdict.PASS, Verdict.FLAG, Verdict.CANNOT_INSPECT


@pytest.fixture
def workspace(plates, tmp_path):
    """A home with enrolled and calibrated plates, the test's own."""
    return plates.copy(tmp_path / "line home")


def test_signal_and_record_say_the_same_of_every_frame(workspace):
    """In the order of capture, without a gap, each once."""
    summary, sink = run(workspace, night(12))
    assert [signal.sequence for signal in sink.signals] == list(range(1, 13))
    assert [signal.verdict for signal in sink.signals] == [FLAG, PASS, PASS, PASS] * 3
    told = {(signal.frame, signal.verdict.value, signal.similarity, signal.reason) for signal in sink.signals}
    assert told == {(r["frame"], r["verdict"], r["similarity"], r["reason"]) for r in records(workspace)}
    assert summary.complete
    assert summary.snapshot.counts == {PASS: 9, FLAG: 3, CANNOT_INSPECT: 0}


def test_verdicts_are_those_of_the_library(workspace):
    """The stream judges by the same function as everything else."""
    images = night(6)
    run(workspace, images)
    judged = open_inspector(workspace, PRODUCT, engine="onnx").judge(images)
    rows = records(workspace)
    assert [row["similarity"] for row in rows] == [judgement.similarity for judgement in judged]
    assert [row["verdict"] for row in rows] == [judgement.verdict.value for judgement in judged]


def test_flagged_frames_have_evidence_and_wait_for_review(workspace):
    """The frame itself is kept without loss, so that it can be judged again."""
    images = night(4)
    run(workspace, images)
    flagged = [row for row in records(workspace) if row["verdict"] == FLAG.value]
    assert [(workspace.home / row["evidence"]).is_file() for row in flagged] == [True]
    with ReviewRecords(workspace.records_url) as reviews:
        (item,) = [one for one in reviews.items(product=PRODUCT) if one.key == flagged[0]["key"]]
    kept = (workspace.home / item.frame_file).read_bytes()
    assert np.array_equal(decode_image(kept, source="kept"), images[0])
    assert flagged[0]["frame_sha256"] in item.frame_file


def test_the_line_is_told_its_state(workspace):
    """Running while it runs, stopped once it has ended."""
    _, sink = run(workspace, night(3))
    assert sink.states[0].state is LineState.RUNNING
    assert sink.states[-1].state is LineState.STOPPED
    assert sink.states[-1].sequence == 3
    assert events(workspace) == [EventKind.STARTED, EventKind.STOPPED]


def test_a_frame_that_is_no_picture_is_cannot_inspect(workspace):
    """With its reason, and the line goes on."""

    class Broken(ListCamera):
        def read(self, seconds):
            shot = super().read(seconds)
            return replace(shot, image=None, problem="truncated", data=b"half a file", suffix=".jpg")

    _, sink = run(workspace, [], camera=Broken(night(2)))
    assert [(s.verdict, s.reason) for s in sink.signals] == [(CANNOT_INSPECT, "unreadable: truncated")] * 2


def test_a_lost_camera_is_an_event_and_frames_go_on(workspace):
    """It is opened again, and no frame is told twice."""
    camera = ListCamera([*night(2), None, *night(2)])
    _, sink = run(workspace, [], camera=camera)
    assert len(sink.signals) == 4
    assert camera.opened == 2
    assert {EventKind.CAMERA_LOST, EventKind.CAMERA_BACK} <= set(events(workspace))


def test_frames_that_never_came_are_counted(workspace):
    """By the camera's own count."""

    class Gaps(ListCamera):
        def read(self, seconds):
            shot = super().read(seconds)
            return replace(shot, number=10 * shot.number)

    summary, _ = run(workspace, [], camera=Gaps(night(3), live=True), policy=Policy.BLOCK)
    assert summary.snapshot.missed == 18
    assert EventKind.FRAMES_MISSED in events(workspace)


def test_a_receiver_that_was_away_is_told_all_in_order(workspace):
    """Nothing is lost while it is away, and it is told once."""
    sink = ListSink(away=True)

    def come_back(line):
        wait_for(lambda: any(event.kind is EventKind.SIGNAL_LOST for event in line.snapshot().events))
        sink.away = False

    summary, _ = run(workspace, night(8), sink, before=meanwhile(come_back))
    assert [signal.sequence for signal in sink.signals] == list(range(1, 9))
    assert summary.complete
    assert {EventKind.SIGNAL_LOST, EventKind.SIGNAL_BACK} <= set(events(workspace))


def test_parts_are_seen_while_the_receiver_is_away(workspace):
    """They are shown as not told, and counted as waiting to be told."""
    sink, seen = ListSink(away=True), []

    def look(line):
        wait_for(lambda: line.snapshot().untold >= 3)
        seen.append(line.snapshot())
        sink.away = False

    camera = ListCamera(night(16), every=0.2)
    summary, _ = run(workspace, [], sink, before=meanwhile(look), camera=camera)
    (away,) = seen
    assert all(one.milliseconds is None for one in away.latest)
    assert away.untold <= sum(away.counts.values()) == len(away.latest)
    assert [one.sequence for one in away.rejected][-1] == 1
    assert away.last_flagged.image is not None
    assert all(one.milliseconds for one in summary.snapshot.latest)
    assert summary.snapshot.untold == 0


@pytest.fixture
def hasty(monkeypatch):
    """A line that does not wait long for a receiver when it ends."""
    monkeypatch.setattr("pipeline.line.line._TELL_SECONDS", 0.3)


@pytest.mark.usefixtures("hasty")
def test_what_could_not_be_told_is_told_by_the_next_run(workspace):
    """A receiver that stays away to the end gets all of it later, in the same words."""
    summary, _ = run(workspace, night(4), ListSink(away=True))
    assert not summary.complete
    assert summary.snapshot.untold == 4
    told = [(row["frame"], row["verdict"]) for row in records(workspace)]
    _, sink = run(workspace, night(1))
    assert [signal.sequence for signal in sink.signals] == [1, 2, 3, 4, 5]
    assert [(signal.frame, signal.verdict.value) for signal in sink.signals[:4]] == told


@pytest.mark.usefixtures("hasty")
def test_a_receiver_that_has_a_signal_already_is_not_told_again(workspace):
    """After a kill between telling and noting it, the receiver's own word counts."""
    run(workspace, night(4), ListSink(away=True))
    sink = ListSink(holds=2)
    run(workspace, night(1), sink)
    assert [signal.sequence for signal in sink.signals] == [3, 4, 5]


def test_numbers_of_an_earlier_life_swallow_nothing(workspace):
    """A receiver that remembers higher numbers, of a home that was wiped, is told new parts under higher ones."""
    sink = ListSink(holds=500)
    run(workspace, night(3), sink)
    assert [signal.sequence for signal in sink.signals] == [501, 502, 503]


def test_parts_in_hand_at_a_kill_are_told_not_inspected(workspace):
    """They get their one signal and one record at the next start, before all others."""
    spool = TwofoldSpool(spool_file(settings_of(workspace, PRODUCT)), sinks=["list sink"], remember_as=None)
    spool_file(settings_of(workspace, PRODUCT)).parent.mkdir(parents=True, exist_ok=True)
    spool.admit(SpooledPart(sequence=1, frame="line1/x-1", part_id="p1", captured_at="2026-03-01T10:00:00+00:00"))
    spool.close()
    _, sink = run(workspace, night(1))
    assert [(s.sequence, s.part_id, s.verdict, s.late) for s in sink.signals] == [
        (1, "p1", CANNOT_INSPECT, True),
        (2, "line1-2", FLAG, False),
    ]
    assert sink.signals[0].reason.startswith("interrupted: ")
    assert len(records(workspace)) == 2
    assert EventKind.RECOVERED in events(workspace)


def test_a_full_disk_lets_no_part_pass(workspace, monkeypatch):
    """What can't be written down is told CANNOT_INSPECT, and recorded once there is room."""
    monkeypatch.setattr(TwofoldSpool, "decide", lambda _self, _part: False)
    _, sink = run(workspace, night(4)[1:])
    assert [signal.verdict for signal in sink.signals] == [CANNOT_INSPECT] * 3
    assert sink.signals[0].reason == "not recorded: the disk is full; free space on it"


def test_records_that_are_away_are_written_later(workspace, monkeypatch):
    """The line goes on, and the next run writes what waited in the spool."""
    monkeypatch.setenv("GOLDENTWIN_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none?connect_timeout=1")
    monkeypatch.setattr("pipeline.line.line._RECORD_SECONDS", 1.0)
    summary, sink = run(workspace, night(3))
    assert len(sink.signals) == 3
    assert not summary.complete
    assert any(event.kind is EventKind.RECORDS_LOST for event in summary.snapshot.events)
    monkeypatch.delenv("GOLDENTWIN_DATABASE_URL")
    run(workspace, [])
    assert len(records(workspace)) == 3


def test_stop_ends_the_line_in_order(workspace):
    """The camera is given free, what is in hand is told and recorded."""
    camera = ListCamera(night(1) * 100_000, every=0.02)

    def stop_soon(line):
        threading.Timer(0.5, line.stop, ["stopped by hand"]).start()

    summary, sink = run(workspace, [], camera=camera, before=stop_soon)
    assert summary.ended == "stopped by hand"
    assert summary.complete
    assert camera.closed >= 1
    assert len(records(workspace)) == len(sink.signals) == summary.snapshot.captured > 3


def test_a_new_calibration_judges_from_then_on(workspace):
    """Without a restart."""
    from pipeline.opening import keep_calibration

    camera = ListCamera(night(2)[1:] * 100_000, every=0.02)

    def recalibrate(line):
        calibration = replace(line._judges.inspector.calibration, threshold=0.999)
        threading.Timer(0.3, keep_calibration, [workspace, PRODUCT, "default", calibration]).start()

        def watch():
            while not any(s.verdict is FLAG for s in sink.signals):
                time.sleep(0.05)
            line.stop("seen")

        threading.Thread(target=watch, daemon=True).start()

    sink = ListSink()
    run(workspace, [], sink, camera=camera, before=recalibrate, seconds=20)
    assert {signal.threshold for signal in sink.signals} == {sink.signals[0].threshold, 0.999}


def test_a_line_runs_once_at_a_time(workspace):
    """Another process with the same line would give the same numbers."""
    settings = settings_of(workspace, PRODUCT)
    with Line(settings, ListCamera([]), [ListSink()]), pytest.raises(StreamError, match="already runs"):
        Line(settings, ListCamera([]), [ListSink()])


def test_without_a_calibration_no_line_starts(workspace):
    """The message names the command to run."""
    enrol(workspace, "other", [draw_part(0), draw_part(1)])
    with pytest.raises(CalibrationError, match="goldentwin calibrate other"):
        Line(settings_of(workspace, "other"), ListCamera([]), [ListSink()])


@pytest.mark.parametrize(
    "wrong",
    [{"line": "a/b"}, {"line": ""}, {"shift_hours": 5}, {"shift_begins": 24}, {"deadline": 0.0}, {"latency_limit": -1}],
)
def test_settings_that_can_not_be_are_refused(workspace, wrong):
    """Before anything starts."""
    with pytest.raises(StreamError):
        settings_of(workspace, PRODUCT, **wrong)


def test_a_live_picture_keeps_its_pixels_as_a_file():
    """Its hash is that of the file which is kept of it."""
    import hashlib

    image = draw_part(3)
    shot = shot_of(image)
    assert np.array_equal(decode_image(file_bytes(shot), source="ppm"), image)
    assert file_digest(shot) == hashlib.sha256(file_bytes(shot)).hexdigest()
