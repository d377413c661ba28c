"""Upgrades that several processes begin at once, and upgrades that are killed."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from earlier_records import all_rows, make_earlier
from sqlalchemy import event

from pipeline.records import VerdictRecords
from pipeline.records import upgrade_records as upgrade
from pipeline.records.database import Database
from pipeline.records.migrating import NONE
from pipeline.records.schema import REVISION

UPGRADER = """
import sys
from pipeline.records import upgrade_records
print("ready", flush=True)
sys.stdin.readline()
print(upgrade_records(sys.argv[1])[0], flush=True)
"""
KILLED = """
import os, signal, sys
from sqlalchemy import Engine, event
from pipeline.records import upgrade_records

@event.listens_for(Engine, "after_cursor_execute")
def kill(connection, cursor, statement, *_):
    if statement.split()[:3] == sys.argv[2].split():
        os.kill(os.getpid(), signal.SIGKILL)

upgrade_records(sys.argv[1])
"""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def url(request, tmp_path):
    """The address of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'records.db'}"
    return request.getfixturevalue("postgres").new_database()


@pytest.mark.parametrize(("state", "first"), [(None, "none"), ("1 of the first days", "version 1")])
def test_of_many_at_once_one_upgrades(url, state, first):
    """The others wait, find it done, and go on."""
    if state is not None:
        make_earlier(url, state)
    before = all_rows(url)
    command = [sys.executable, "-c", UPGRADER, url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    openers = [subprocess.Popen(command, **pipes) for _ in range(3)]
    assert [opener.stdout.readline() for opener in openers] == ["ready\n"] * 3
    for opener in openers:
        opener.stdin.write("go\n")
        opener.stdin.flush()
    said = [opener.communicate() for opener in openers]
    assert sorted(out.strip() for out, _ in said) == sorted([first, REVISION, REVISION]), said
    assert [opener.returncode for opener in openers] == [0] * 3, said
    assert all_rows(url).get("verdicts") == before.get("verdicts", set())


@pytest.mark.parametrize("statements", range(1, 6))
@pytest.mark.parametrize("state", [None, "1 of the first days"])
def test_looking_while_another_upgrades(url, state, statements):
    """An upgrade that ends between any two questions about the tables is not taken for a newer goldentwin's."""
    if state is not None:
        make_earlier(url, state)
    seen = 0

    def upgrade_between(*_):
        nonlocal seen
        seen += 1
        if seen == statements:
            upgrade(url)

    database = Database(url, upgrade=False)
    event.listen(database.engine, "after_cursor_execute", upgrade_between)
    found = database.revision()
    database.engine.dispose()
    assert found in {NONE, REVISION, "version 1"}


@pytest.mark.parametrize(
    ("state", "statement"),
    [
        (None, "CREATE TABLE audit_log"),
        (None, "INSERT INTO goldentwin_meta"),
        ("1 of the first days", "CREATE TABLE goldentwin_revision"),
        ("1 of the first days", "CREATE INDEX IF"),
        ("1 of the first days", "DROP INDEX IF"),
        ("1 of the first days", "UPDATE goldentwin_meta SET"),
        ("0001", "UPDATE goldentwin_revision SET"),
    ],
)
def test_killed_within_an_upgrade_nothing_has_happened(url, state, statement):
    """At its first, middle or last statement: rows and version are what they were, and the next one upgrades."""
    if state is not None:
        make_earlier(url, state)
    before = all_rows(url)
    killed = subprocess.run([sys.executable, "-c", KILLED, url, statement], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert all_rows(url) == before
    assert upgrade(url)[1] == REVISION
    with VerdictRecords(url) as records:
        assert len(records.rows()) == len(before.get("verdicts", ()))
