"""The spool: what a line took in outlives a kill and a full disk, and nothing is told twice."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from inspection.errors import RecordsError
from pipeline.line.twofold_spool import TwofoldSpool
from pipeline.records import Spool, SpooledPart, SpoolFullError

SINK = "mqtt://broker/line1"


def part(sequence, *, decided=False, **others):
    """A part of this number."""
    words = {"signal": f"signal {sequence}", "record": f"record {sequence}", "batch": "shift"} if decided else {}
    return SpooledPart(
        sequence=sequence, frame=f"{sequence}.png", part_id=f"p{sequence}", captured_at="2026-03-01T10:00:00+00:00",
        **{**words, **others},
    )  # fmt: skip


@pytest.fixture
def path(tmp_path):
    """Where the spool lies; its folder is not there yet."""
    return tmp_path / "lines" / "line1" / "spool.db"


@pytest.fixture
def spool(path):
    """A new spool with one receiver."""
    found = TwofoldSpool(path, sinks=[SINK], remember_as="folder")
    yield found
    found.close()


def reopened(spool, path, **others):
    """The spool as the next process finds it."""
    spool.close()
    return TwofoldSpool(path, **{"sinks": [SINK], "remember_as": "folder", **others})


def admit(spool, *, decide=True):
    """Admit the next part and decide it."""
    sequence = spool.next_sequence()
    spool.admit(part(sequence))
    if decide:
        assert spool.decide(part(sequence, decided=True))
    return sequence


def sequences(parts):
    """Their numbers."""
    return [one.sequence for one in parts]


def test_numbers_go_on_where_they_were(spool, path):
    """A restart never gives a number twice, also of a part that was not decided."""
    assert [admit(spool), admit(spool), admit(spool, decide=False)] == [1, 2, 3]
    spool = reopened(spool, path)
    assert spool.next_sequence() == 4
    spool.close()


def test_parts_are_told_in_order_and_none_behind_an_undecided_one(spool):
    """The receiver sees the sequence without a gap."""
    admit(spool)
    admit(spool, decide=False)
    spool.admit(part(3))
    assert spool.decide(part(3, decided=True))
    assert sequences(spool.to_tell(SINK, 10)) == [1]
    assert spool.decide(part(2, decided=True))
    assert sequences(spool.to_tell(SINK, 10)) == [1, 2, 3]
    spool.mark_told(SINK, 2)
    assert sequences(spool.to_tell(SINK, 10)) == [3]


def test_what_was_decided_is_never_another(spool):
    """A second decision of the same part changes nothing."""
    admit(spool)
    spool.decide(part(1, decided=True, signal="another"))
    assert spool.to_tell(SINK, 1)[0].signal == "signal 1"


def test_undecided_parts_are_found_after_a_kill(spool, path):
    """They are what the next process has to answer for."""
    admit(spool)
    admit(spool, decide=False)
    spool = reopened(spool, path)
    assert sequences(spool.undecided()) == [2]
    spool.close()


def test_a_part_leaves_once_it_is_told_and_recorded(spool, path):
    """The spool stays as small as what is still to do."""
    for _ in range(3):
        admit(spool)
    spool.mark_recorded([1, 2, 3])
    assert sequences(spool.to_tell(SINK, 10)) == [1, 2, 3]
    assert spool.to_record(10) == []
    spool.mark_told(SINK, 3)
    spool.mark_recorded([])
    assert Spool(path).count() == 0


def test_a_receiver_that_is_gone_holds_nothing_up(spool, path):
    """Parts that only a former receiver was not told of leave the spool."""
    admit(spool)
    spool.mark_told(SINK, 1)
    spool = reopened(spool, path, sinks=["log:"])
    assert sequences(spool.to_tell("log:", 10)) == [1]
    spool.mark_told("log:", 1)
    spool.mark_recorded([1])
    assert Spool(path).count() == 0
    spool.close()


def test_names_are_remembered_until_their_files_are_gone(spool, path):
    """So a folder gives no frame twice."""
    admit(spool)
    admit(spool)
    spool.close()
    names = Spool(path)
    assert names.seen("another folder") == set()
    names.forget_seen("folder", ["1.png"])
    assert names.seen("folder") == {"2.png"}
    names.close()


def test_space_is_kept_free_and_used_once_the_disk_is_full(spool, path, monkeypatch):
    """The first write that fails gives the reserve up and succeeds."""
    reserve = path.with_suffix(".reserve")
    assert reserve.stat().st_size == 8_000_000
    full(monkeypatch, reserve.exists)
    assert admit(spool) == 1
    assert not reserve.exists()
    assert spool.durable
    assert not spool.roomy


def test_a_disk_full_to_the_last_is_told_of_from_memory(spool, path, monkeypatch):
    """Numbers go on, parts are told in order, and all of it is on disk once there is room."""
    admit(spool)
    admit(spool, decide=False)
    full(monkeypatch, lambda: True)
    assert not spool.decide(part(2, decided=True))
    spool.decide_in_memory(part(2, decided=True, signal="not recorded"))
    spool.admit(part(3))
    assert not spool.decide(part(3, decided=True))
    spool.decide_in_memory(part(3, decided=True))
    assert not spool.durable
    assert [one.signal for one in spool.to_tell(SINK, 10)] == ["signal 1", "not recorded", "signal 3"]
    spool.mark_told(SINK, 3)
    assert spool.to_tell(SINK, 10) == []
    monkeypatch.undo()
    spool.restore()
    assert spool.durable
    spool = reopened(spool, path)
    assert spool.next_sequence() == 4
    assert spool.told(SINK) == 3
    assert [one.record for one in spool.to_record(10)] == ["record 1", "record 2", "record 3"]
    spool.close()


def test_memory_is_bounded(spool, monkeypatch):
    """The oldest part goes where too many would have to be kept, and is counted."""
    monkeypatch.setattr("pipeline.line.twofold_spool.MOST_IN_MEMORY", 2)
    full(monkeypatch, lambda: True)
    for sequence in (1, 2, 3):
        spool.admit(part(sequence))
        spool.decide_in_memory(part(sequence, decided=True))
    assert sequences(spool.to_tell(SINK, 10)) == [2, 3]
    assert spool.dropped == 1


def test_a_broken_file_is_an_error_that_names_it(path):
    """It is neither overwritten nor passed over."""
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database at all, but longer than a header would be" * 40)
    with pytest.raises(RecordsError, match=r"spool\.db"):
        TwofoldSpool(path, sinks=[SINK], remember_as=None)


def test_kill_9_loses_no_number_that_was_given(path):
    """Whatever was printed after its commit is there when the next process opens the spool."""
    code = """
        import sys
        from pathlib import Path
        sys.path.insert(0, "tests")
        from test_spool import admit, SINK
        from pipeline.line.twofold_spool import TwofoldSpool
        spool = TwofoldSpool(Path(sys.argv[1]), sinks=[SINK], remember_as="folder")
        while True:
            print(admit(spool), flush=True)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(200):
            last = int(process.stdout.readline())
        process.kill()
        rest = process.communicate()[0].split("\n")[:-1]
    last = int(rest[-1]) if rest else last
    spool = TwofoldSpool(path, sinks=[SINK], remember_as="folder")
    assert spool.next_sequence() >= last + 1
    assert len(spool.to_tell(SINK, 10**6)) >= last >= 200
    spool.close()


def full(monkeypatch, condition):
    """Let writes to files fail as on a full disk while `condition` holds."""
    commit = Spool._commit

    def failing(self, statements):
        if self.name != ":memory:" and condition():
            message = "the disk is full"
            raise SpoolFullError(message)
        commit(self, statements)

    monkeypatch.setattr(Spool, "_commit", failing)
    monkeypatch.setattr(Spool, "reserve", lambda _self: False)
