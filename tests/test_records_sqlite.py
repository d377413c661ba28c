"""What can go wrong with a SQLite file under the verdict records."""

from __future__ import annotations

import sqlite3

import pytest
from record_writer import start_writer
from sqlalchemy import event
from verdict_samples import judged

from inspection.errors import RecordsError
from pipeline.records import VerdictRecords


@pytest.fixture
def file(tmp_path):
    """The path of a records file, in a folder that does not exist yet."""
    return tmp_path / "new home" / "records.db"


def test_committed_rows_outlive_kill_9(file):
    """Whatever `add` has returned from is there after a kill, nothing is half there, and the rest can be added."""
    writer = start_writer(f"sqlite:///{file}", 0, 100_000, 5)
    confirmed = sum(int(writer.stdout.readline()) for _ in range(20))
    writer.kill()
    confirmed += sum(int(line) for line in writer.communicate()[0].split("\n")[:-1] if line)
    with VerdictRecords(f"sqlite:///{file}") as records:
        rows = len(records.rows())
        assert rows >= confirmed >= 100
        assert rows % 5 == 0
        assert records.add([judged(f"{number}.png") for number in range(rows + 7)], batch="night") == 7
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_the_file_is_in_wal_mode_and_synced_at_every_commit(file):
    """Readers never block the writer, and a power cut costs no committed row."""
    with VerdictRecords(f"sqlite:///{file}") as records, records._database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_records_are_readable_while_another_process_writes(file):
    """A report does not wait for the night's batch."""
    with VerdictRecords(f"sqlite:///{file}?timeout=0.1") as records:
        records.add([judged("a.png")], batch="night")
        with _held(file):
            assert len(records.rows()) == 1


def test_a_file_held_by_another_process_is_an_error_with_a_remedy(file):
    """After the patience of the URL the error says who is in the way; nothing was recorded."""
    with VerdictRecords(f"sqlite:///{file}?timeout=0.1") as records:
        with _held(file), pytest.raises(RecordsError, match=r"records\.db.*locked.*another process"):
            records.add([judged("a.png")], batch="night")
        assert records.add([judged("a.png")], batch="night") == 1


def test_a_full_disk_loses_nothing_that_was_recorded(file):
    """The portion that no longer fits is refused whole, and can be added once there is room."""
    with VerdictRecords(f"sqlite:///{file}") as records:
        records.add([judged("kept.png")], batch="night")
        pages = {"most": 1}

        @event.listens_for(records._database.engine, "checkout")
        def _limit(connection, *_):
            connection.execute(f"PRAGMA max_page_count={pages['most']}")

        portion = [judged(f"{number}.png") for number in range(200)]
        with pytest.raises(RecordsError, match=r"full.*free disk space"):
            records.add(portion, batch="night")
        assert len(records.rows()) == 1
        pages["most"] = 100_000
        assert records.add(portion, batch="night") == 200


def test_a_read_only_file_can_be_read_and_says_so_when_written(file):
    """A viewer without the right to write still sees the rows."""
    with VerdictRecords(f"sqlite:///{file}") as records:
        records.add([judged("a.png")], batch="night")
    with VerdictRecords(f"sqlite:///file:{file}?mode=ro&uri=true") as viewer:
        assert len(viewer.rows()) == 1
        with pytest.raises(RecordsError, match=r"records\.db.*readonly.*writable"):
            viewer.add([judged("b.png")], batch="night")


def test_a_file_that_is_no_database_is_left_alone(file):
    """Another program's file is named, not overwritten."""
    file.parent.mkdir()
    file.write_text("the foreman's shopping list, " * 100)
    with pytest.raises(RecordsError, match=r"records\.db.*not a database.*move that file"):
        VerdictRecords(f"sqlite:///{file}")
    assert file.read_text().startswith("the foreman")


def test_a_folder_that_can_not_be_made_is_named(tmp_path):
    """A home below a file is an error of ours, not a traceback."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(RecordsError, match=r"taken/records\.db"):
        VerdictRecords(f"sqlite:///{tmp_path / 'taken' / 'records.db'}")


@pytest.mark.parametrize("url", ["nonsense", "mysql://user:geheim@host/records", ""])
def test_an_address_that_is_no_sqlite_or_postgresql_is_refused(url):
    """The message names the setting to mend and gives no password away."""
    with pytest.raises(RecordsError, match="GOLDENTWIN_DATABASE_URL") as caught:
        VerdictRecords(url)
    assert "geheim" not in str(caught.value)


class _held:  # noqa: N801 - reads as a state in `with`
    """The write lock of the file, taken by another connection."""

    def __init__(self, file):
        self._connection = sqlite3.connect(file, isolation_level=None)

    def __enter__(self):
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_):
        self._connection.close()
