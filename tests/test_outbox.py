"""What is to be told to MLflow waits on disk while it is down, is delivered once, and never holds up inspection."""

import errno
import socket
import time
from contextlib import contextmanager

import pytest
from filelock import FileLock
from tracking_inputs import batch_log, calibration_log, picture, workspace_in

from inspection.errors import TrackingError
from pipeline import outbox
from pipeline.tracking import runs
from pipeline.tracking.entry import RefusedError, read_note


@pytest.fixture
def workspace(home):
    """A workspace without an MLflow store: these tests need none."""
    return workspace_in(home, with_store=False)


@pytest.fixture
def deliveries(monkeypatch):
    """MLflow that takes everything; gives the list of what it took, by name of the job."""
    taken = []

    @contextmanager
    def connected(_workspace):
        yield object()

    monkeypatch.setattr(runs, "connected", connected)
    monkeypatch.setattr(runs, "deliver_entry", lambda _client, _workspace, job: taken.append(read_note(job).name))
    return taken


def _failing_for(monkeypatch, deliveries, error, *names):
    def deliver(_client, _workspace, job):
        if (name := read_note(job).name) in names:
            raise error
        deliveries.append(name)

    monkeypatch.setattr(runs, "deliver_entry", deliver)


def _named(name, folder):
    log = batch_log(folder, batch=name)
    object.__setattr__(log, "name", name)
    return log


def test_post_delivers_at_once_and_leaves_nothing(workspace, deliveries, tmp_path):
    """With MLflow up, a posted log is delivered and its job is gone."""
    assert outbox.post(workspace, _named("first", tmp_path))
    assert deliveries == ["first"]
    assert outbox.waiting(workspace) == []


def test_dead_server_costs_seconds_and_one_line(workspace, tmp_path, monkeypatch, caplog):
    """Nobody listens: posting is over at once, the log waits, and one line says so."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    began = time.monotonic()
    assert not outbox.post(workspace, _named("first", tmp_path))
    assert time.monotonic() - began < 3
    assert len(outbox.waiting(workspace)) == 1
    assert [record.getMessage().count("\n") for record in caplog.records] == [0]
    assert "127.0.0.1:9" in caplog.text


def test_server_that_never_answers_costs_two_seconds(workspace, tmp_path, monkeypatch):
    """A server that takes the connection and is silent does not hold up a batch."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        assert not outbox.post(workspace, _named("first", tmp_path))
        assert time.monotonic() - began < 4
    assert len(outbox.waiting(workspace)) == 1


def test_what_waited_is_delivered_in_order(workspace, deliveries, tmp_path):
    """Jobs are delivered oldest first, together with a new one."""
    for name in ("first", "second"):
        outbox.enqueue(workspace, _named(name, tmp_path))
    assert outbox.post(workspace, _named("third", tmp_path))
    assert deliveries == ["first", "second", "third"]


def test_job_holds_its_own_copies(workspace, tmp_path):
    """Pictures that are deleted while a job waits are delivered all the same."""
    folder = tmp_path / "evidence"
    job = outbox.enqueue(workspace, batch_log(folder))
    for path in folder.iterdir():
        path.unlink()
    names = {path.relative_to(job).as_posix() for path in job.rglob("*") if path.is_file()}
    assert {"job.json", "artifacts/verdicts.csv", "artifacts/contact_sheet.jpg"} <= names
    assert "artifacts/flagged/0.2000_shift_1_1.png.jpg" in names


def test_missing_picture_does_not_lose_the_run(workspace, tmp_path):
    """A picture that is gone already is named in the run's tags; everything else is kept."""
    job = outbox.enqueue(workspace, calibration_log(pictures=[tmp_path / "gone.png"]))
    assert read_note(job).tags["goldentwin.missing_files"] == "gone.png"


def test_kill_while_writing_leaves_no_half_job(workspace, deliveries, tmp_path, monkeypatch):
    """A job appears whole or not at all: what a kill leaves is never delivered."""

    def killed(_folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(outbox, "_flush", killed)
    with pytest.raises(KeyboardInterrupt):
        outbox.enqueue(workspace, _named("first", tmp_path))
    (workspace.outbox / ".draft-of-a-killed-process").mkdir()
    assert outbox.deliver(workspace).waiting == 0
    assert deliveries == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"format": 1, "kind": "batch"}'])
def test_damaged_job_is_set_aside_and_blocks_nobody(workspace, deliveries, tmp_path, text):
    """A job that can't be read goes to `rejected/` with the reason; the one behind it is delivered."""
    damaged = outbox.enqueue(workspace, _named("first", tmp_path))
    (damaged / "job.json").write_text(text)
    outbox.enqueue(workspace, _named("second", tmp_path))
    report = outbox.deliver(workspace)
    assert (report.delivered, report.waiting, report.rejected) == (1, 0, 1)
    assert deliveries == ["second"]
    assert "can't be read" in (workspace.outbox / "rejected" / damaged.name / "reason.txt").read_text()


def test_refused_job_is_set_aside(workspace, deliveries, tmp_path, monkeypatch):
    """What MLflow refuses for good is not tried for ever, and post says that it was not delivered."""
    _failing_for(monkeypatch, deliveries, RefusedError("MLflow refuses it"), "first")
    assert not outbox.post(workspace, _named("first", tmp_path))
    assert outbox.waiting(workspace) == []
    assert len(list((workspace.outbox / "rejected").iterdir())) == 1


def test_one_failing_job_does_not_hold_up_the_others(workspace, deliveries, tmp_path, monkeypatch):
    """A job that MLflow stumbles over stays and is named; the others are delivered."""
    _failing_for(monkeypatch, deliveries, RuntimeError("stumbled"), "first")
    outbox.enqueue(workspace, _named("first", tmp_path))
    assert outbox.post(workspace, _named("second", tmp_path))
    assert deliveries == ["second"]
    report = outbox.deliver(workspace)
    assert report.waiting == 1
    assert "stumbled" in report.reason


def test_server_that_dies_in_between_ends_the_delivery(workspace, deliveries, tmp_path, monkeypatch):
    """After the first failure the server is asked once whether it lives; if not, the rest waits untouched."""
    tried = []

    def deliver(_client, _workspace, job):
        tried.append(job.name)
        raise ConnectionError

    def dead(_uri):
        message = "MLflow can't be reached"
        raise TrackingError(message)

    monkeypatch.setattr(runs, "deliver_entry", deliver)
    monkeypatch.setattr(outbox, "require_reachable", dead)
    for name in ("first", "second"):
        outbox.enqueue(workspace, _named(name, tmp_path))
    report = outbox.deliver(workspace)
    assert (report.waiting, len(tried), deliveries) == (2, 1, [])
    assert report.reason == "MLflow can't be reached"


def test_two_processes_do_not_deliver_at_once(workspace, deliveries, tmp_path, monkeypatch):
    """While another process delivers, this one waits its turn a moment and then leaves the job to it."""
    monkeypatch.setattr(outbox, "LOCK_SECONDS", 0.1)
    job = outbox.enqueue(workspace, _named("first", tmp_path))
    with FileLock(workspace.outbox / ".lock"):
        report = outbox.deliver(workspace)
    assert (report.delivered, report.waiting) == (0, 1)
    assert "another process" in report.reason
    assert job.exists()
    assert deliveries == []


def test_full_disk_does_not_stop_inspection(workspace, tmp_path, monkeypatch, caplog):
    """When the outbox can't be written, post says so in one line and returns."""

    def full(_folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(outbox, "_flush", full)
    assert not outbox.post(workspace, _named("first", tmp_path))
    assert "No space left" in caplog.text
    assert list(workspace.outbox.iterdir()) == []


def test_names_that_are_no_utf8_can_be_logged(workspace, deliveries, tmp_path):
    """A frame whose file name holds bytes that are no UTF-8 is written and read back."""
    log = batch_log(tmp_path, batch="night \udcff")
    log.rows[0]["frame"] = "caf\udce9.png"
    picture(tmp_path / "sheet.jpg")
    assert outbox.post(workspace, log)
    assert len(deliveries) == 1
