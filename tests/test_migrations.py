"""Databases of every earlier goldentwin become today's, with every row, whoever opens them and whatever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from verdict_samples import judged

from flows.commands import run
from inspection.errors import RecordsError
from pipeline.records import AuditLog, VerdictRecords, upgrade_records
from pipeline.records.schema import KNOWN_REVISIONS, REVISION, metadata

FIRST = """
CREATE TABLE goldentwin_meta (name VARCHAR(64) NOT NULL PRIMARY KEY, value VARCHAR(64) NOT NULL);
CREATE TABLE verdicts (
    key VARCHAR(32) NOT NULL PRIMARY KEY, frame TEXT NOT NULL, part_id TEXT NOT NULL, product TEXT NOT NULL,
    view TEXT NOT NULL, verdict VARCHAR(16) NOT NULL, similarity FLOAT, distance FLOAT, threshold FLOAT,
    regions JSON NOT NULL, reason TEXT, encoder VARCHAR(64) NOT NULL, reference_set VARCHAR(64) NOT NULL,
    recipe VARCHAR(64) NOT NULL, calibration VARCHAR(64) NOT NULL, milliseconds FLOAT, provisional BOOLEAN NOT NULL,
    frame_sha256 VARCHAR(64) NOT NULL, batch TEXT NOT NULL, station TEXT NOT NULL, captured_at {moment},
    judged_at {moment} NOT NULL, brightness FLOAT, focus FLOAT, registration_quality FLOAT, matrix JSON, evidence TEXT
);
CREATE INDEX verdicts_by_batch ON verdicts (batch);
CREATE INDEX verdicts_by_provenance ON verdicts (calibration, reference_set, encoder, recipe);
INSERT INTO goldentwin_meta VALUES ('schema_version', '1');
INSERT INTO verdicts VALUES (
    'k1', 'old.png', 'P1', 'plate', 'default', 'PASS', 0.9, 0.1, 0.5, '[]', NULL, 'e', 'r', 'c', 'k', 1.5, {true}, 's',
    'night', '', NULL, '2026-01-02 03:04:05', 100.0, 50.0, 0.9, NULL, NULL
);
"""
"""What the first goldentwin with records wrote."""

HOLDER = """
import sys, time
from pipeline.records import migrating
from pipeline.records import upgrade_records
upgrade = migrating._upgrade
def slow(connection):
    upgrade(connection)
    print("upgraded", flush=True)
    time.sleep(60)
migrating._upgrade = slow
upgrade_records(sys.argv[1])
"""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def url(request, tmp_path):
    """The address of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'records.db'}"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def first(url):
    """A database that the first goldentwin with records wrote."""
    own = {"moment": "DATETIME", "true": "1"}
    execute(url, FIRST.format(**own if url.startswith("sqlite") else {"moment": "TIMESTAMPTZ", "true": "true"}))
    return url


def execute(url, script):
    """Run statements on a database, beside everything of ours."""
    from sqlalchemy import create_engine

    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        for statement in script.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    engine.dispose()


def differences(url):
    """What Alembic would have to change to make the database what our tables are."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine

    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, metadata)
    engine.dispose()
    return found


def test_the_newest_revision_is_the_one_that_a_fresh_database_gets():
    """Known revisions are those on disk, the newest last, in one row."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "pipeline:records/migrations")
    scripts = ScriptDirectory.from_config(config)
    assert [one.revision for one in scripts.walk_revisions()] == list(reversed(KNOWN_REVISIONS))
    assert scripts.get_current_head() == REVISION


def test_a_fresh_database_needs_no_upgrade(url):
    """It has what the upgrades make, to the type and the index, and opening it again changes nothing."""
    assert upgrade_records(url) == ("none", REVISION)
    assert differences(url) == []
    assert upgrade_records(url) == (REVISION, REVISION)


def test_the_first_database_keeps_its_rows(first):
    """It gains what came since, and goes on being read and written."""
    with VerdictRecords(first) as records:
        (row,) = records.rows()
        assert (row["frame"], row["similarity"], row["nearest_golden"]) == ("old.png", 0.9, None)
        records.add([judged("new.png")], batch="night", nearest={"new.png": "g.png"})
        assert {one["frame"] for one in records.rows()} == {"old.png", "new.png"}
    with AuditLog(first) as audit:
        assert list(audit.rows()) == []
    assert differences(first) == []
    assert upgrade_records(first) == (REVISION, REVISION)


@pytest.mark.parametrize("version", ["1", "2", "3"])
def test_versions_from_before_alembic_are_brought_up(url, version):
    """Whatever of their tables is there already."""
    with VerdictRecords(url) as records:
        records.add([judged("a.png")], batch="night")
    execute(
        url,
        f"UPDATE goldentwin_meta SET value = '{version}';\nDROP TABLE alembic_version;\nDROP TABLE aged_batches;\n"  # noqa: S608 - our own
        "DROP TABLE line_events;\nDROP INDEX verdicts_by_age;\n",
    )
    assert upgrade_records(url) == (f"version {version}", REVISION)
    assert differences(url) == []
    with VerdictRecords(url) as records:
        assert len(records.rows()) == 1


@pytest.mark.parametrize(
    "script",
    [
        "UPDATE alembic_version SET version_num = '0099'",
        "DROP TABLE alembic_version;\nUPDATE goldentwin_meta SET value = '99'",
    ],
)
def test_a_newer_database_is_left_alone(url, script):
    """With the way out; nothing in it changes."""
    upgrade_records(url)
    execute(url, script)
    with pytest.raises(RecordsError, match=r"schema (0099|version 99), this goldentwin knows .*--home"):
        VerdictRecords(url)
    assert differences(url) == []


def test_an_older_goldentwin_leaves_todays_database_alone(url):
    """It looks for a version of its own in the table of the time before."""
    from sqlalchemy import create_engine

    upgrade_records(url)
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        value = connection.exec_driver_sql("SELECT value FROM goldentwin_meta WHERE name = 'schema_version'").scalar()
    engine.dispose()
    assert value not in {"1", "2", "3"}


def test_many_open_an_old_database_at_once(first):
    """One upgrades it, the others wait, and all go on."""
    code = "import sys; from pipeline.records import VerdictRecords; VerdictRecords(sys.argv[1]).close()"
    openers = [subprocess.Popen([sys.executable, "-c", code, first], stderr=subprocess.PIPE) for _ in range(4)]
    ends = [(opener.communicate()[1].decode(), opener.returncode) for opener in openers]
    assert [code for _, code in ends] == [0] * 4, ends
    assert differences(first) == []


def test_a_killed_upgrade_leaves_what_was_there(first):
    """Killed with -9 before it is through: the next one does it all."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, first], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"upgraded\n"
        os.kill(holder.pid, signal.SIGKILL)
    time.sleep(0.2)
    assert upgrade_records(first) == ("version 1", REVISION)
    with VerdictRecords(first) as records:
        assert len(records.rows()) == 1


def test_opening_todays_database_does_not_import_alembic(url):
    """It is for the day of an upgrade."""
    upgrade_records(url)
    code = "import sys; from pipeline.records import VerdictRecords; VerdictRecords(sys.argv[1]).close()"
    code += "; sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, url], check=False).returncode == 0


def test_the_command_says_what_it_did(first, monkeypatch, capsys, tmp_path):
    """From what to what, for people and machines; the doctor says what there is."""
    monkeypatch.setenv("GOLDENTWIN_DATABASE_URL", first)
    assert run(["migrate", "--home", str(tmp_path / "home")]) == 0
    assert f"the records have the schema {REVISION} now; before: version 1" in capsys.readouterr().out
    assert run(["migrate", "--home", str(tmp_path / "home"), "--json"]) == 0
    assert capsys.readouterr().out == f'{{"before": "{REVISION}", "now": "{REVISION}"}}\n'
