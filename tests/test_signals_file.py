"""Signals into a file and into the log."""

from __future__ import annotations

import json
import logging
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from signal_samples import LINE, a_signal, a_state

from pipeline.signals import LineState, Signal, SinkLostError
from pipeline.signals.file_sink import FileSink
from pipeline.signals.log_sink import LogSink


@contextmanager
def full_at(size: int) -> Iterator[None]:
    """The system writes no file beyond `size` bytes: a write across it comes out short, the next one fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def opened(path: Path, **settings: int) -> FileSink:
    """A sink on `path`, open."""
    sink = FileSink(path, line=LINE, **settings)
    sink.open()
    return sink


def sequences(path: Path) -> list[int]:
    """What stands in a file; fails on a line that is no signal."""
    return [Signal.from_json(line).sequence for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the signals go; its folder is not there yet."""
    return tmp_path / "line" / "signals.jsonl"


def test_signals_are_read_back_as_they_were_sent(path):
    """One line each, and the newest one's number after a restart."""
    sink = opened(path)
    assert sink.last_sequence() is None
    for sequence in (1, 2, 3):
        sink.send(a_signal(sequence, part_id="ünï\n"))
    sink.close()
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [Signal.from_json(line) for line in lines] == [a_signal(s, part_id="ünï\n") for s in (1, 2, 3)]
    assert opened(path).last_sequence() == 3


@pytest.mark.parametrize(
    "torn",
    [
        b'{"line": "line1", "seq',
        b"\0" * 70_000,
        b'{"a"\n\0\0\n',
        b'{"line": "line1"}',
        b'{"line": "line1", "sequence": true}\n',
    ],
)
def test_torn_end_is_cut_off(path, torn):
    """What a power cut left behind the last whole line goes; the next signal starts a line of its own."""
    sink = opened(path)
    sink.send(a_signal(1))
    sink.close()
    path.write_bytes(path.read_bytes() + torn)
    again = opened(path)
    assert again.last_sequence() == 1
    again.send(a_signal(2))
    assert sequences(path) == [1, 2]


@pytest.mark.parametrize("size", range(1, 60, 7))
def test_first_line_torn_anywhere_is_cut_off(path, size):
    """A file that holds nothing but a torn first line is ours, and empty."""
    path.parent.mkdir()
    path.write_bytes(a_signal(1).to_json().encode()[:size])
    assert opened(path).last_sequence() is None
    assert path.read_bytes() == b""


@pytest.mark.parametrize("content", ["root:x:0:0\n", "[1, 2]\n", '{"other": 1}\n'])
def test_another_kind_of_file_is_left_alone(path, content):
    """A path typed wrong costs nobody a file."""
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(SinkLostError, match="name another file"):
        opened(path)
    assert path.read_text() == content


def test_another_lines_file_is_refused(path):
    """Two lines do not share a file: the newest number would be the other's."""
    opened(path).send(a_signal(1))
    with pytest.raises(SinkLostError, match="line1"):
        FileSink(path, line="line2").open()


def test_a_file_has_one_writer(path):
    """Two lines of one name, of two homes say, do not mix in one file; a rotation lets nobody in."""
    first, second = opened(path, limit=500), FileSink(path, line="line1")
    for number in range(1, 4):
        first.send(a_signal(number))
    with pytest.raises(SinkLostError, match="another line; give each"):
        second.open()
    first.close()
    second.open()
    assert second.last_sequence() == 3
    second.close()


def test_lines_of_another_release_are_kept(path):
    """A field that this release does not know is no damage."""
    path.parent.mkdir()
    path.write_text(json.dumps({**a_signal(5).to_dict(), "later": 1}) + "\n")
    assert opened(path).last_sequence() == 5
    assert path.read_text().count("\n") == 1


def test_full_disk_tears_no_line(path):
    """Nothing of a signal that found no room stays; once there is room it goes out, once."""
    sink = opened(path)
    sink.send(a_signal(1))
    with full_at(path.stat().st_size + 20):
        for _ in range(2):
            with pytest.raises(SinkLostError, match="make room"):
                sink.send(a_signal(2))
            assert sequences(path) == [1]
            sink.open()
    sink.send(a_signal(2))
    assert sequences(path) == [1, 2]


def test_state_on_a_full_disk_is_lost_and_comes_back(path):
    """The state that was there stays whole until there is room for another."""
    sink = opened(path)
    sink.report(a_state(sequence=1))
    with full_at(10), pytest.raises(SinkLostError, match="make room"):
        sink.report(a_state(sequence=2))
    assert json.loads(sink.state_path.read_text())["sequence"] == 1
    sink.open()
    sink.report(a_state(sequence=3))
    assert json.loads(sink.state_path.read_text())["sequence"] == 3
    assert sorted(file.name for file in path.parent.glob("[!.]*")) == ["signals.jsonl", "signals.state.json"]


def test_disk_stays_bounded(path):
    """Full files move on, the oldest go, and no signal among the kept ones is missing or doubled."""
    size = len(a_signal(10).to_json()) + 1
    sink = opened(path, limit=3 * size, files=3)
    for sequence in range(10, 30):
        sink.send(a_signal(sequence))
    files = [path.with_name("signals.jsonl.2"), path.with_name("signals.jsonl.1"), path]
    assert sorted(path.parent.glob("[!.]*")) == sorted(files)
    assert [sequence for file in files for sequence in sequences(file)] == list(range(22, 30))
    assert all(file.stat().st_size <= 3 * size for file in files)


def test_newest_is_known_right_after_a_rotation(path):
    """Killed between rotation and the first line of the new file, the number stands in the one before."""
    opened(path).send(a_signal(8))
    path.replace(path.with_name("signals.jsonl.1"))
    assert opened(path).last_sequence() == 8


def test_rotation_killed_half_way_is_finished_by_the_next(path):
    """A gap in the numbered files is closed, and nothing behind it is pushed out."""
    sink = opened(path, limit=1, files=4)
    for sequence in (1, 2, 3):
        sink.send(a_signal(sequence))
    path.with_name("signals.jsonl.1").replace(path.with_name("signals.jsonl.3"))
    sink.send(a_signal(4))
    names = ("signals.jsonl", "signals.jsonl.1", "signals.jsonl.2", "signals.jsonl.3")
    assert [sequences(path.with_name(name)) for name in names] == [[4], [3], [1], [2]]


def test_file_moved_away_is_begun_anew(path):
    """Somebody else's rotation does not swallow signals."""
    sink = opened(path)
    sink.send(a_signal(1))
    path.replace(path.with_name("elsewhere"))
    sink.send(a_signal(2))
    assert sequences(path) == [2]


def test_closing_says_that_it_stopped(path):
    """The state file says stopped after a clean end, and running after none."""
    sink = opened(path)
    sink.report(a_state())
    assert json.loads(sink.state_path.read_text())["state"] == "running"
    sink.close()
    sink.close()
    assert json.loads(sink.state_path.read_text())["state"] == "stopped"
    with pytest.raises(SinkLostError, match="not open"):
        sink.send(a_signal(1))


def test_path_that_is_no_file_is_lost(tmp_path):
    """A folder in the file's place is named, not a traceback."""
    with pytest.raises(SinkLostError, match="mend the path"):
        opened(tmp_path)


WRITER = """
import sys
from pathlib import Path
from signal_samples import LINE, a_signal
from pipeline.signals.file_sink import FileSink
sink = FileSink(Path(sys.argv[1]), line=LINE, limit=20_000, files=900)
sink.open()
sequence = (sink.last_sequence() or 0) + 1
print(flush=True)
while True:
    sink.send(a_signal(sequence))
    sequence += 1
"""


def test_killed_writer_goes_on_where_it_was(path):
    """After ten kills each signal stands in the files once, in order."""
    search = f"import sys; sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]}\n"
    for delay in range(10):
        with subprocess.Popen([sys.executable, "-c", search + WRITER, path], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=0.01 + delay * 0.003)
            process.kill()
    opened(path)
    files = sorted(path.parent.glob("signals.jsonl.*"), key=lambda file: -int(file.suffix[1:]))
    written = [sequence for file in [*files, path] for sequence in sequences(file)]
    assert len(files) < 899, "too much was written to hold all"
    assert written == list(range(1, len(written) + 1))
    assert len(written) > 100


def test_log_holds_signals_and_changes_of_state(caplog):
    """A heartbeat is logged once, a signal each time."""
    caplog.set_level(logging.INFO)
    sink = LogSink(line=LINE)
    sink.open()
    for sequence in (1, 2):
        sink.send(a_signal(sequence))
        sink.report(a_state(sequence=sequence))
    sink.close()
    said = [record.getMessage().split(" ", 1)[0] for record in caplog.records]
    assert said == ["signal", "state", "signal", "state"]
    assert LineState.STOPPED in caplog.records[-1].getMessage()
