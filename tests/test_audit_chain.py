"""The audit record: appended by many at once, and a row that was changed, removed or put in between is named."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from drawn_night import PRODUCT
from plate_samples import DEAD_MLFLOW

from flows.commands import run
from pipeline.keeping import open_audit
from pipeline.records import Anchor, AuditLog
from pipeline.records.audit import FIRST, _chained
from pipeline.records.later_tables import audit_log

PROJECT = Path(__file__).resolve().parent.parent
WRITER = """
import sys
from pathlib import Path
from pipeline.records import AuditLog
with AuditLog(sys.argv[1], anchor=Path(sys.argv[3])) as log:
    for number in range(10):
        log.append(who=sys.argv[2], action="calibrate", product="bolt", view="top", evidence={"number": number})
"""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def url(request, tmp_path):
    """The address of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'records.db'}"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def log(url, tmp_path):
    """A record of four rows, that a file beside it remembers."""
    with AuditLog(url, anchor=tmp_path / "anchor.json") as opened:
        for number in range(4):
            append(opened, number)
        yield opened


def append(log, number=0, **changes):
    """One more row."""
    values = {"who": "anna", "action": "calibrate", "product": "bolt", "view": "top", "evidence": {"number": number}}
    return log.append(**(values | changes))


def execute(log, statement):
    """What somebody does who can write to the database."""
    with log._database.writing() as connection:
        connection.execute(statement)


def test_a_row_says_who_did_what_when_on_which_evidence(log):
    """And it is read back as it was written, the evidence as canonical JSON."""
    row = append(log, who="bärbel \udcff", evidence={"b": [1, None], "a": "ü"})
    assert log.rows()[-1] == row
    assert (row.number, row.action, row.product, row.view) == (5, "calibrate", "bolt", "top")
    assert row.evidence == '{"a":"\\u00fc","b":[1,null]}'
    assert row.facts == {"a": "ü", "b": [1, None]}
    assert row.at.endswith("+00:00")
    assert log.verify() is None


def test_rows_are_chained_from_the_first(log):
    """Each holds the hash of the one before; the first one holds zeros."""
    rows = log.rows()
    assert [row.previous for row in rows] == [FIRST, *(row.hash for row in rows[:-1])]
    assert len({row.hash for row in rows}) == 4


def test_rows_are_listed_by_product_and_view(log):
    """Those of one product, of one view of it, or all."""
    append(log, product="nut")
    append(log, view="side")
    assert [row.number for row in log.rows(product="bolt")] == [1, 2, 3, 4, 6]
    assert [row.number for row in log.rows(product="bolt", view="side")] == [6]


@pytest.mark.parametrize(
    "change",
    [{"who": "eve"}, {"at": "2026-01-01T00:00:00+00:00"}, {"action": "promote"}, {"product": "nut"}, {"view": "side"},
     {"evidence": '{"number":7}'}, {"previous": "f" * 64}, {"hash": "f" * 64}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_a_changed_row_is_named(log, change):
    """Whichever of its columns was changed."""
    execute(log, audit_log.update().where(audit_log.c.number == 2).values(change))
    found = log.verify()
    assert found.number == 2
    assert "row 2 was changed" in found.problem


def test_a_row_whose_hash_was_made_anew_is_found_at_the_next(log):
    """Who changes a row and its hash would have to change all that follow."""
    forged = _chained(replace(log.rows()[1], who="eve", hash=""))
    execute(log, audit_log.update().where(audit_log.c.number == 2).values(asdict(forged)))
    found = log.verify()
    assert found.number == 3
    assert "does not follow row 2" in found.problem


def test_a_removed_row_is_named(log):
    """One in the middle, and the first."""
    execute(log, audit_log.delete().where(audit_log.c.number == 3))
    assert log.verify().problem.startswith("row 3 was removed")
    execute(log, audit_log.delete().where(audit_log.c.number == 1))
    assert log.verify().number == 1


def test_a_row_put_in_between_is_named(log):
    """Even where the others were renumbered to make room."""
    rows = log.rows()
    for row in reversed(rows[2:]):
        execute(log, audit_log.update().where(audit_log.c.number == row.number).values(number=row.number + 1))
    forged = _chained(replace(rows[1], number=3, previous=rows[1].hash, hash=""))
    execute(log, audit_log.insert().values(asdict(forged)))
    assert log.verify().number in {3, 4}


def test_a_cut_off_end_is_told_by_what_is_remembered_outside(log, url):
    """The chain alone can't show it; the file in the home can, and so can MLflow's tags."""
    execute(log, audit_log.delete().where(audit_log.c.number == 4))
    assert "row 4 is remembered outside" in log.verify().problem
    with AuditLog(url) as without_file:
        assert without_file.verify() is None
        tag = str(Anchor(number=4, hash="a" * 64))
        assert without_file.verify([Anchor.parse(tag)]).number == 4


def test_a_chain_rewritten_to_its_end_is_told_by_what_is_remembered_outside(log):
    """All hashes fit, but they are others."""
    rows = log.rows()
    previous = rows[0].hash
    for row in rows[1:]:
        forged = _chained(replace(row, who="eve", previous=previous, hash=""))
        execute(log, audit_log.update().where(audit_log.c.number == row.number).values(asdict(forged)))
        previous = forged.hash
    assert log.verify().problem.startswith("row 4 is not the one remembered outside")


def test_an_unreadable_memory_is_no_clean_bill(log, tmp_path):
    """Damaging the file does not make the record look whole."""
    (tmp_path / "anchor.json").write_text("{")
    assert log.verify().number == 1


def test_no_row_at_all_is_whole(url, tmp_path):
    """A new record verifies."""
    with AuditLog(url, anchor=tmp_path / "none.json") as empty:
        assert empty.verify() is None
        assert empty.rows() == []


def test_several_processes_append_one_chain(url, tmp_path):
    """Forty rows of four processes, numbered without a gap, each after the other."""
    command = [sys.executable, "-c", WRITER, url]
    writers = [
        subprocess.Popen([*command, who, str(tmp_path / "anchor.json")], cwd=PROJECT) for who in ("a", "b", "c", "d")
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    with AuditLog(url) as log:
        rows = log.rows()
        assert [row.number for row in rows] == list(range(1, 41))
        assert {who: sum(row.who == who for row in rows) for who in "abcd"} == dict.fromkeys("abcd", 10)
        assert log.verify() is None


def test_command_lists_and_verifies(workspace, capsys, monkeypatch):
    """Exit code 0 while it holds, 1 with the row's number once it does not."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DEAD_MLFLOW)
    with open_audit(workspace) as log:
        append(log, product=PRODUCT, evidence={"bundle": "b" * 12})
        append(log, product="nut")
    assert run(["audit", PRODUCT, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["number"] for row in found["rows"]] == [1]
    assert (found["verified"], found["broken"]) == (2, None)
    with open_audit(workspace) as log:
        execute(log, audit_log.update().where(audit_log.c.number == 2).values(who="eve"))
    assert run(["audit", PRODUCT]) == 1
    said = capsys.readouterr()
    assert "b" * 12 in said.out
    assert "row 2 was changed" in said.err
    assert run(["audit", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["broken"]["number"] == 2


def test_another_database_has_a_memory_of_its_own(workspace, tmp_path, monkeypatch):
    """Moving to another database does not make the record look cut off, and back again neither."""
    with open_audit(workspace) as log:
        append(log)
    monkeypatch.setenv("GOLDENTWIN_DATABASE_URL", f"sqlite:///{tmp_path / 'other.db'}")
    with open_audit(workspace) as log:
        assert log.verify() is None
        append(log)
    monkeypatch.delenv("GOLDENTWIN_DATABASE_URL")
    with open_audit(workspace) as log:
        assert log.verify() is None
