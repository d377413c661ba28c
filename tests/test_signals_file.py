"""Signals in a file: whole lines in order, also after a full disk, a power cut and many millions of parts."""

from __future__ import annotations

import json
import logging
import os

import pytest
from signal_receivers import signal_of

from pipeline.signals import LineState, Signal, SinkLostError, StateReport, open_sink
from pipeline.signals.file_sink import KEPT_FILES, FileSink, LogSink


@pytest.fixture
def path(tmp_path):
    """A file in a folder that is not there yet."""
    return tmp_path / "line" / "signals.jsonl"


@pytest.fixture
def sink(path):
    """A file sink, open."""
    found = FileSink(path)
    found.open()
    yield found
    found.close()


def lines(path):
    """The sequences in a file."""
    return [json.loads(line)["sequence"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_signal_is_one_line_that_reads_back(sink, path):
    """With all its words."""
    sink.send(signal_of(7, reason="blurred: ü\nü", part_id='"x"'))
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert Signal.from_json(line) == signal_of(7, reason="blurred: ü\nü", part_id='"x"')


def test_the_newest_sequence_is_known_after_a_restart(sink, path):
    """Also where the file was just put aside."""
    assert sink.last_sequence() is None
    sink.send(signal_of(1))
    sink.send(signal_of(2))
    assert FileSink(path).last_sequence() == 2
    path.rename(path.with_name("signals.jsonl.1"))
    assert FileSink(path).last_sequence() == 2


def test_a_torn_last_line_is_taken_away(sink, path):
    """What a power cut left of a line never stands before a whole one."""
    sink.send(signal_of(1))
    sink.close()
    with path.open("a", encoding="utf-8") as file:
        file.write('{"line": "line1", "sequ')
    sink.open()
    sink.send(signal_of(2))
    assert lines(path) == [1, 2]


def test_a_full_disk_tears_no_line(sink, path, monkeypatch):
    """The signal is lost for now, and comes whole once there is room."""
    sink.send(signal_of(1))
    monkeypatch.setattr(os, "write", lambda file, data: _really_write(file, data[:20]))
    with pytest.raises(SinkLostError, match="the disk is full"):
        sink.send(signal_of(2))
    monkeypatch.undo()
    sink.open()
    assert sink.last_sequence() == 1
    sink.send(signal_of(2))
    assert lines(path) == [1, 2]


_really_write = os.write


def test_old_files_go(sink, path, monkeypatch):
    """Five are kept, so the disk never fills."""
    monkeypatch.setattr("pipeline.signals.file_sink.LARGEST_BYTES", 1000)
    for sequence in range(1, 41):
        sink.send(signal_of(sequence))
        assert sink.last_sequence() == sequence
    names = sorted(file.name for file in path.parent.iterdir())
    assert len(names) <= KEPT_FILES
    assert "signals.jsonl.4" in names


def test_the_state_stands_beside_it(sink, path):
    """Whole at any moment."""
    sink.report(StateReport(line="line1", state=LineState.STOPPED, sequence=3, at="2026-03-01T10:00:00+00:00"))
    assert json.loads(path.with_name("signals.jsonl.state.json").read_text(encoding="utf-8"))["state"] == "stopped"


def test_a_folder_that_can_not_be_made_is_a_lost_receiver(tmp_path):
    """With the reason."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SinkLostError, match="can't be written"):
        FileSink(tmp_path / "file" / "signals.jsonl").open()


def test_the_log_warns_of_all_but_pass(caplog):
    """PASS is information."""
    with caplog.at_level(logging.INFO):
        LogSink().send(signal_of(1))
        LogSink().send(signal_of(2, verdict="CANNOT_INSPECT", reason="blurred: 3"))
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]
    assert "blurred: 3" in caplog.text


@pytest.mark.parametrize(
    "address",
    ["", "line1", "ftp://host/x", "file:", "log:x", "mqtt:", "mqtt://host:99999/x", "mqtt://host/a+b", "opc.tcp://h:1",
     "mqtt://host/x?tls=1", "mqtt://host/x?password_env=NOT_SET_HERE", "mqtt://host/x?password_file=/not/there"],
)  # fmt: skip
def test_addresses_that_can_not_be_are_refused(address):
    """With a message that names what there is."""
    from pipeline.signals.address import SignalAddressError

    with pytest.raises(SignalAddressError):
        open_sink(address, line="line1")


def test_secrets_are_in_no_name(monkeypatch):
    """Nor in what a sink shows of itself."""
    monkeypatch.setenv("TOKEN", "s3cret")
    for address in ("mqtt://anna:s3cret@host/x", "https://anna:s3cret@host/x?token_env=TOKEN&key=s3cret"):
        sink = open_sink(address, line="line1")
        assert "s3cret" not in sink.name
        assert "anna" not in sink.name
