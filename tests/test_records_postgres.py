"""What only PostgreSQL can do to the verdict records; all else is in test_records.py, on both databases."""

from __future__ import annotations

import socket

import psycopg
import pytest
from record_writer import start_writer
from verdict_samples import judged

from inspection.errors import RecordsError
from pipeline.records import VerdictRecords

pytestmark = pytest.mark.server


def test_a_server_that_is_down_is_named_without_its_password():
    """The error names host, port and database and the setting, and no secret."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        url = f"postgresql://line:geheim@127.0.0.1:{port}/records?sslpassword=geheimer"
        with pytest.raises(
            RecordsError, match=rf"line:\*\*\*@127.0.0.1:{port}/records .*GOLDENTWIN_DATABASE_URL"
        ) as caught:
            VerdictRecords(url)
    assert "geheim" not in str(caught.value)


def test_a_wrong_password_is_told_and_not_shown(postgres):
    """A refused login says so."""
    with pytest.raises(RecordsError, match="password authentication failed") as caught:
        VerdictRecords(postgres.url("postgres", password="geheim"))  # noqa: S106 - a wrong one
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_way_to_write_the_scheme_is_understood(postgres, scheme):
    """The URL that other tools take is taken here too."""
    url = postgres.new_database().replace("postgresql", scheme, 1)
    with VerdictRecords(url) as records:
        assert records.add([judged("a.png")], batch="night") == 1


def test_processes_that_start_together_create_the_tables_once(postgres):
    """Workers on several hosts may all meet an empty database."""
    url = postgres.new_database()
    writers = [start_writer(url, first, first + 1, 1) for first in range(4)]
    assert [writer.communicate()[0].strip() for writer in writers] == ["1"] * 4


def test_a_user_who_may_not_write_can_read(postgres):
    """A viewer's session sees the rows and is told when it tries to add one."""
    url = postgres.new_database()
    with VerdictRecords(url) as records:
        records.add([judged("a.png")], batch="night")
    with VerdictRecords(f"{url}%20-cdefault_transaction_read_only%3Don") as viewer:
        assert len(viewer.rows()) == 1
        with pytest.raises(RecordsError, match="read-only"):
            viewer.add([judged("b.png")], batch="night")


def test_the_records_go_on_after_the_server_cut_the_connection(postgres):
    """A stream that runs for weeks outlives a restart of its server."""
    url = postgres.new_database()
    with VerdictRecords(url) as records:
        records.add([judged("a.png")], batch="night")
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'goldentwin' AND pid <> %s",
                (admin.info.backend_pid,),
            )
        assert records.add([judged("b.png")], batch="night") == 1
