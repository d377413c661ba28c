"""Opening the database of the verdict records, and saying in plain words what is wrong with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from inspection.errors import RecordsError
from pipeline.records import later_tables  # noqa: F401 - their tables are created with the others
from pipeline.records.schema import SCHEMA_VERSION, meta, metadata

PATIENCE_SECONDS = 30.0  # how long a writer waits for the others; `?timeout=` in a SQLite URL overrides it
_CONNECT_SECONDS = 10
_RETRY_SECONDS = 0.02
_ONLY_TABLES_CAME = ("1", "2")  # since these versions only whole tables were added, so they are brought up at once
_ADVISORY_LOCK = 0x601D_7713  # any number, the same in every process that creates the tables
_SECRETS = ("password", "sslpassword", "passfile")
_REMEDIES = (
    ("locked", "another process holds it: let that one finish, or move to PostgreSQL with GOLDENTWIN_DATABASE_URL"),
    ("readonly", "make the file and its folder writable for this user, or name another home with --home"),
    ("read-only", "connect as a user who may write, to a server that is no read-only replica"),
    ("permission denied", "grant this user the right to create tables and to insert"),
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

    def __init__(self, url: str) -> None:
        """Connect to `url`, and create the tables where there are none.

        Raises:
            RecordsError: the address can't be understood or reached, or holds another schema version.
        """
        address = _address(url)
        self.name = _without_secrets(address)
        with self.guard():
            self.engine = _engine(address)
        try:
            self._make_ready()
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

    def _make_ready(self) -> None:
        with self.reading() as connection:
            missing = set(metadata.tables) - set(inspect(connection).get_table_names())
        fresh = meta.name in missing
        version = None if fresh else self._version()
        if fresh or version in _ONLY_TABLES_CAME or (missing and version == str(SCHEMA_VERSION)):
            self._create()
            version = self._version()
        if version != str(SCHEMA_VERSION):
            message = (
                f"the verdict records at {self.name} have schema version {version}, this goldentwin knows "
                f"{SCHEMA_VERSION}; use the goldentwin that wrote them (its `export` moves the rows), or name another "
                "database with GOLDENTWIN_DATABASE_URL or another home with --home"
            )
            raise RecordsError(message)

    def _version(self) -> str | None:
        query = select(meta.c.value).where(meta.c.name == "schema_version")
        with self.reading() as connection:
            return connection.execute(query).scalar()

    def _create(self) -> None:
        """Create what tables are missing in one transaction; of several processes at once, one does."""
        if self.engine.dialect.name == "sqlite":
            with self.reading() as connection:
                connection.exec_driver_sql("PRAGMA auto_vacuum=INCREMENTAL")  # heeded by a file that is still empty
                _switch_to_wal(connection)
        with self.writing_alone(_ADVISORY_LOCK) as connection:
            metadata.create_all(connection)
            version = {"name": "schema_version", "value": str(SCHEMA_VERSION)}
            insertion = self.insert(meta).values(version)
            older = meta.c.value.in_(_ONLY_TABLES_CAME)
            connection.execute(insertion.on_conflict_do_update(index_elements=["name"], set_=version, where=older))


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
        _make_folder(address)
        engine = create_engine(address, connect_args=patience)
        event.listen(engine, "connect", _make_durable)
        return engine
    waiting = {} if "connect_timeout" in address.query else {"connect_timeout": _CONNECT_SECONDS}
    return create_engine(address, connect_args=waiting, pool_pre_ping=True)  # a long stream outlives server restarts


def _make_folder(address: URL) -> None:
    if address.database and not address.database.startswith((":memory:", "file:")):
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)


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
