"""Records of every earlier goldentwin become today's, with every row, on both databases."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from earlier_records import STATES, VERSIONS, all_rows, execute, make_earlier, plain_connection
from verdict_samples import judged

from flows.commands import run
from inspection.errors import RecordsError
from pipeline.line.events import EventKind, LineEvent
from pipeline.records import AuditLog, LineEventRecords, ReviewRecords, ShadowRecords, VerdictRecords
from pipeline.records import examine_schema as examine
from pipeline.records import upgrade_records as upgrade
from pipeline.records.schema import KNOWN_REVISIONS, REVISION, REVISION_TABLE, metadata

MLFLOWS = ("CREATE TABLE alembic_version (version_num VARCHAR(32))", "INSERT INTO alembic_version VALUES ('bd07f7e9')")
WITH_ALL_TABLES = ("3", "Alembic's own table", "0001")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def new_url(request, tmp_path):
    """Gives the addresses of empty databases of one kind."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres").new_database
    files = (tmp_path / f"records{number}.db" for number in range(9))
    return lambda: f"sqlite:///{next(files)}"


@pytest.fixture
def url(new_url):
    """The address of an empty database of each kind."""
    return new_url()


@pytest.fixture(params=STATES)
def earlier(request, url):
    """Records as an earlier goldentwin left them."""
    make_earlier(url, request.param)
    return url


def engine_of(url):
    """SQLAlchemy's engine, with nothing of ours."""
    from sqlalchemy import create_engine

    return create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


def differences(url):
    """What Alembic would change to make the database what our tables are."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    options = {
        "compare_type": True,
        "compare_server_default": True,
        "version_table": REVISION_TABLE,
        "include_name": lambda name, *_: name != "alembic_version",
    }
    engine = engine_of(url)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    engine.dispose()
    return found


def form(url):
    """Each of our tables with its columns and indices, also what `compare_metadata` does not look at."""
    from sqlalchemy import inspect

    engine = engine_of(url)
    look = inspect(engine)
    found = {
        name: (
            [(one["name"], str(one["type"]), one["nullable"], str(one["default"])) for one in look.get_columns(name)],
            look.get_pk_constraint(name),
            sorted(look.get_indexes(name), key=lambda one: one["name"]),
        )
        for name in sorted(set(look.get_table_names()) - {"alembic_version"})
    }
    engine.dispose()
    return found


def test_the_newest_revision_is_that_of_the_scripts():
    """What the code knows without importing Alembic is what lies in the folder, one behind the other."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "pipeline:records/migrations")
    scripts = ScriptDirectory.from_config(config)
    assert [one.revision for one in scripts.walk_revisions()] == list(reversed(KNOWN_REVISIONS))
    assert scripts.get_current_head() == REVISION == KNOWN_REVISIONS[-1]


def test_fresh_records_have_the_newest_schema_without_alembic(url):
    """Neither making the tables nor opening them again imports it, for it takes most of a second."""
    code = "import sys; from pipeline.records import VerdictRecords; VerdictRecords(sys.argv[1]).close()"
    code += "; sys.exit('alembic' in sys.modules)"
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", code, url], check=False).returncode == 0
    assert differences(url) == []
    assert upgrade(url) == (REVISION, REVISION)


def test_every_row_of_earlier_records_is_kept(earlier):
    """To the byte, in every table; and a second opening finds nothing to do."""
    before = {table: rows for table, rows in all_rows(earlier).items() if table not in VERSIONS}
    found, newest = upgrade(earlier)
    assert found in {"version 1", "version 2", "version 3", "version alembic", "0001"}
    after = all_rows(earlier)
    assert {table: after[table] for table in before} == before
    assert upgrade(earlier) == (newest, newest) == (REVISION, REVISION)


def test_upgraded_records_have_the_form_of_fresh_ones(earlier, new_url):
    """To the type, the order of columns and the kind of index; and Alembic sees no difference to the code either."""
    upgrade(earlier)
    upgrade(fresh := new_url())
    assert form(earlier) == form(fresh)
    assert differences(earlier) == []


def test_upgraded_verdicts_are_read_and_not_judged_again(earlier):
    """The key of a frame's row is what it was; new rows come beside."""
    with VerdictRecords(earlier) as records:
        rows = {row["frame"]: row for row in records.rows()}
        assert rows["a.png"]["captured_at"] == "2026-03-01T22:15:00+00:00"
        assert (rows["ä/b.png"]["calibration"], rows["ä/b.png"]["regions"]) == (None, [{"x": 10, "y": 20}])
        assert records.add([judged("a.png", 0.1), judged("new.png")], batch="next", nearest={"new.png": "g.png"}) == 1
        assert {row["frame"]: row["nearest_golden"] for row in records.rows()}["new.png"] == "g.png"


@pytest.mark.parametrize("state", ["2 of the first days", "2", *WITH_ALL_TABLES])
def test_the_audit_record_still_verifies_and_goes_on(url, state):
    """The chain of hashes holds over the upgrade."""
    make_earlier(url, state)
    with AuditLog(url) as record:
        assert record.verify() is None
        record.append(who="carl", action="promote", product="bolt", view="top", evidence={})
        assert [row.number for row in record.rows()] == [1, 2, 3]
        assert record.verify() is None


@pytest.mark.parametrize("state", WITH_ALL_TABLES)
def test_reviews_shadows_and_events_are_read_after_an_upgrade(url, state):
    """Whatever opens the records."""
    make_earlier(url, state)
    with ReviewRecords(url) as reviews:
        assert [item.row["nearest_golden"] for item in reviews.items(product="bolt", waiting=False)] == ["g.png"]
        assert [answer.reviewer for answer in reviews.answers(product="bolt", view="top")] == ["anna"]
    with ShadowRecords(url) as shadows:
        (both,) = shadows.beside_champion(product="bolt", view="top", batch="night")
        assert (both["verdict"], both["shadow_verdict"]) == ("PASS", "FLAG")
    event = LineEvent(line="line 9", kind=next(iter(EventKind)), said="hello", at=datetime.now(UTC), sequence=1)
    with LineEventRecords(url) as events:
        events.add([event])
        assert events.events("line 9") == [event]


@pytest.mark.parametrize(
    "statement", ["UPDATE goldentwin_revision SET version_num = '0099'", "DROP TABLE goldentwin_revision"]
)
def test_newer_records_are_left_alone(url, statement):
    """Whichever way they say so; the error says to upgrade goldentwin, and nothing in them changes."""
    upgrade(url)
    execute(url, "UPDATE goldentwin_meta SET value = 'a later mark'", statement)
    before, form_before = all_rows(url), form(url)
    for look in (VerdictRecords, upgrade, examine):
        with pytest.raises(RecordsError, match=r"(0099|a later mark) of a newer goldentwin.*; upgrade goldentwin"):
            look(url)
    assert (all_rows(url), form(url)) == (before, form_before)


def test_goldentwins_from_before_alembic_leave_todays_records_alone(earlier):
    """They looked for one of their versions here, and for nothing to be missing."""
    upgrade(earlier)
    assert not all_rows(earlier)["goldentwin_meta"] & {f"('schema_version', '{version}')" for version in (1, 2, 3)}
    assert len(all_rows(earlier)["goldentwin_meta"]) == 1


@pytest.mark.parametrize("state", [None, "3"])
def test_the_database_of_mlflow_can_be_shared(url, state):
    """Its revision is its own: it is neither read as ours nor changed."""
    if state is not None:
        make_earlier(url, state)
    execute(url, *MLFLOWS)
    with VerdictRecords(url) as records:
        assert records.add([judged("new.png")], batch="night") == 1
    assert all_rows(url)["alembic_version"] == {"('bd07f7e9',)"}


def test_tables_of_another_program_are_not_taken_for_ours(url):
    """A table of that name without our version beside it stops us before anything is made."""
    execute(url, "CREATE TABLE line_events (what TEXT)")
    with pytest.raises(RecordsError, match=r"'line_events' of another program.*name another database"):
        VerdictRecords(url)
    assert all_rows(url) == {"line_events": set()}


def test_looking_changes_nothing(earlier):
    """What the doctor does: the schema is named, and neither made nor upgraded."""
    before = all_rows(earlier)
    found, newest = examine(earlier)
    assert (found != newest, newest) == (True, REVISION)
    assert all_rows(earlier) == before


def test_looking_makes_no_file(tmp_path):
    """Nor a folder for it."""
    assert examine(f"sqlite:///{tmp_path / 'none yet' / 'records.db'}") == ("none", REVISION)
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_from_what_to_what(url, monkeypatch, capsys):
    """For people and for machines, and that there was nothing to do the second time."""
    make_earlier(url, "1")
    monkeypatch.setenv("GOLDENTWIN_DATABASE_URL", url)
    assert run(["migrate"]) == 0
    assert capsys.readouterr().out == f"the records have the schema {REVISION} now; before: version 1\n"
    assert run(["migrate", "--json"]) == 0
    assert capsys.readouterr().out == f'{{"before": "{REVISION}", "now": "{REVISION}"}}\n'
    assert run(["migrate", "twice"]) == 2
    execute(url, "UPDATE goldentwin_revision SET version_num = '0099'")
    capsys.readouterr()
    assert run(["migrate", "--json"]) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.server
def test_a_worker_who_may_not_change_the_tables_is_told_who_has_to(postgres):
    """Only the owner of PostgreSQL's tables can upgrade them."""
    url = postgres.new_database()
    make_earlier(url, "0001")
    with plain_connection(url) as connection:
        schema = connection.execute("SELECT current_schema()").fetchone()[0]
    worker = f"worker_of_{schema}"
    execute(
        url,
        f"CREATE ROLE {worker} LOGIN PASSWORD 'bolt'",
        f"GRANT ALL ON SCHEMA {schema} TO {worker}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {worker}",
    )
    own = url.replace(f"goldentwin:{postgres.password}@", f"{worker}:bolt@")
    with pytest.raises(RecordsError, match=r"must be owner.*; run goldentwin migrate once"):
        VerdictRecords(own)
    upgrade(url)
    with VerdictRecords(own) as records:
        assert len(records.rows()) == 2
