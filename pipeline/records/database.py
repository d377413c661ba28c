"""Opening the database of the verdict records, and saying in plain words what is wrong with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from inspection.errors import RecordsError
from pipeline.records.migrating import NONE, bring_up, found_revision, require_known
from pipeline.records.schema import REVISION

PATIENCE_SECONDS = 30.0  # how long a writer waits for the others; `?timeout=` in a SQLite URL overrides it
_CONNECT_SECONDS = 10
_RETRY_SECONDS = 0.02
_ADVISORY_LOCK = 0x601D_7713  # any number, the same in every process that makes or upgrades the tables
_SECRETS = ("password", "sslpassword", "passfile")
_REMEDIES = (
    ("locked", "another process holds it: let that one finish, or move to PostgreSQL with GOLDENTWIN_DATABASE_URL"),
    ("readonly", "make the file and its folder writable for this user, or name another home with --home"),
    ("read-only", "connect as a user who may write, to a server that is no read-only replica"),
    ("permission denied", "grant this user the right to create tables and to insert"),
    ("must be owner", "run goldentwin migrate once, with a GOLDENTWIN_DATABASE_URL of the user who owns the tables"),
    ("is full", "free disk space and run the same command again: what was recorded is kept, the rest is judged anew"),
    ("no space", "free disk space and run the same command again: what was recorded is kept, the rest is judged anew"),
    ("unable to open", "check that the folder exists and is writable for this user, or name another home with --home"),
    ("not a database", "move that file out of the way, or name another home with --home"),
    ("malformed", "move that file out of the way and restore it from a backup"),
    ("", "check that the server runs and that GOLDENTWIN_DATABASE_URL names it rightly"),
)


class Database:
    """An open database with our tables in it.

    SQLite runs in WAL mode, so that readers and one writer never block each other, with `synchronous=FULL`: a commit
    outlives not only kill -9 (for which NORMAL is enough) but a power cut at the line, for one fsync per call of
    `add`, some milliseconds for hundreds of frames.
    """

    def __init__(self, url: str, *, upgrade: bool = True) -> None:
        """Connect to `url`; make the tables where there are none, and upgrade those of an earlier goldentwin.

        `was` is the revision that they had before. Without `upgrade` all stays as it is.

        Raises:
            RecordsError: the address can't be understood or reached, or a newer goldentwin wrote there.
        """
        address = _address(url)
        self.name = _without_secrets(address)
        with self.guard():
            self.engine = _engine(address)
            if upgrade:
                _make_folder(address)
        try:
            self.was = self._make_ready() if upgrade else self._look()
        except BaseException:
            self.engine.dispose()
            raise

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Turn what the database throws into a RecordsError that names the address and the remedy."""
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            said = " ".join(str(getattr(error, "orig", None) or error).split())
            remedy = next(remedy for phrase, remedy in _REMEDIES if phrase in said.lower())
            message = f"the verdict records at {self.name} can't be used: {said}; {remedy}"
            raise RecordsError(message) from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for queries."""
        with self.guard(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection in one transaction: all of it is committed at the end, or nothing."""
        with self.guard(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def writing_alone(self, lock: int) -> Iterator[Connection]:
        """The same, entered by one process at a time: what is read in it is still so when it is committed.

        SQLite has one writer anyway, from the first statement on here; PostgreSQL locks the number `lock`.
        """
        with self.writing() as connection:
            _lock(connection, lock)
            yield connection

    def insert(self, table: Any) -> Any:
        """The dialect's own INSERT, which both have with ON CONFLICT."""
        return (sqlite if self.engine.dialect.name == "sqlite" else postgresql).insert(table)

    def revision(self) -> str:
        """The revision that the tables have."""
        with self.reading() as connection:
            return found_revision(connection)

    def _look(self) -> str:
        """The revision that the tables have; SQLite would make an empty file where there is none."""
        file = _file(self.engine.url)
        found = NONE if file is not None and not file.exists() else self.revision()
        require_known(found, self.name)
        return found

    def _make_ready(self) -> str:
        """Make or upgrade the tables; of several processes at once, one does. What they were before."""
        found = self.revision()
        if found == REVISION:
            return found
        require_known(found, self.name)
        if self.engine.dialect.name == "sqlite":
            with self.reading() as connection:
                connection.exec_driver_sql("PRAGMA auto_vacuum=INCREMENTAL")  # heeded by a file that is still empty
                _switch_to_wal(connection)
        with self.writing_alone(_ADVISORY_LOCK) as connection:
            return bring_up(connection, self.name)


def upgrade_records(url: str) -> tuple[str, str]:
    """Bring the tables at `url` to the newest revision; what they had before, and now.

    Raises:
        RecordsError: the address can't be understood or reached, or a newer goldentwin wrote there.
    """
    database = Database(url)
    try:
        return database.was, database.revision()
    finally:
        database.engine.dispose()


def examine_schema(url: str) -> tuple[str, str]:
    """The revision that the tables at `url` have, and the newest; nothing is made or changed.

    Raises:
        RecordsError: the address can't be understood or reached, or a newer goldentwin wrote there.
    """
    database = Database(url, upgrade=False)
    database.engine.dispose()
    return database.was, REVISION


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError as error:
        message = "the address of the verdict records is no database URL; GOLDENTWIN_DATABASE_URL must look like "
        message += "postgresql://user:password@host/database or sqlite:////folder/records.db"
        raise RecordsError(message) from error
    backend = address.get_backend_name()
    if backend in {"postgres", "postgresql"}:
        return address.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        return address.set(drivername="sqlite+pysqlite")
    message = f"verdict records are kept in SQLite or PostgreSQL, not in {backend!r}; mend GOLDENTWIN_DATABASE_URL"
    raise RecordsError(message)


def _without_secrets(address: URL) -> str:
    return address.difference_update_query(_SECRETS).render_as_string(hide_password=True)


def _engine(address: URL) -> Engine:
    if address.get_backend_name() == "sqlite":
        patience = {} if "timeout" in address.query else {"timeout": PATIENCE_SECONDS}
        engine = create_engine(address, connect_args=patience)
        event.listen(engine, "connect", _make_durable)
        return engine
    waiting = {} if "connect_timeout" in address.query else {"connect_timeout": _CONNECT_SECONDS}
    return create_engine(address, connect_args=waiting, pool_pre_ping=True)  # a long stream outlives server restarts


def _make_folder(address: URL) -> None:
    if (file := _file(address)) is not None:
        file.parent.mkdir(parents=True, exist_ok=True)


def _file(address: URL) -> Path | None:
    """The file of a SQLite database that has one, named plainly."""
    name = address.database
    if address.get_backend_name() != "sqlite" or not name or name.startswith((":memory:", "file:")):
        return None
    return Path(name)


def _make_durable(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=FULL")


def _switch_to_wal(connection: Connection) -> None:
    """Set WAL mode, which stays with the file. SQLite's own busy timeout does not cover this switch, so wait here."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        except OperationalError as error:
            if "locked" not in str(error.orig) or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


def _lock(connection: Connection, number: int) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
