"""SQLite's free pages, given back to the disk where it is worth it. PostgreSQL does so by itself."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pipeline.records.database import Database

LEAST_BYTES = 32_000_000
"""Fewer free pages are left for the rows to come."""
LEAST_SHARE = 0.1
REWRITTEN_BYTES = 500_000_000
"""A file of an older goldentwin is written anew once, which locks it for seconds; not where it holds more than this."""
_PORTION = 2_000
_PAUSE_SECONDS = 0.05
_INCREMENTAL = 2


def give_back_pages(database: Database) -> int:
    """Give free pages back and return how many bytes the file lost.

    In portions of a few megabytes, between which others write. A file that was made without that possibility is written
    anew once, where it holds little and the disk has room for a second one.

    Raises:
        RecordsError: another process holds the file too long, or the disk is full.
    """
    if database.engine.dialect.name != "sqlite":
        return 0
    with database.reading() as plain:
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        size, free = _sizes(connection)
        if free < max(LEAST_BYTES, LEAST_SHARE * size):
            return 0
        if _ask(connection, "auto_vacuum") == _INCREMENTAL:
            while _ask(connection, "freelist_count"):
                _free_some(connection)
                time.sleep(_PAUSE_SECONDS)
        elif size - free <= REWRITTEN_BYTES and _has_room(database, size):
            connection.exec_driver_sql("PRAGMA auto_vacuum=INCREMENTAL")
            connection.exec_driver_sql("VACUUM")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return size - _sizes(connection)[0]


def _sizes(connection: Connection) -> tuple[int, int]:
    """Bytes of the file, and of its free pages."""
    page = _ask(connection, "page_size")
    return page * _ask(connection, "page_count"), page * _ask(connection, "freelist_count")


def _ask(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())


def _free_some(connection: Connection) -> None:
    """A portion of pages. The statement frees one at each step, and `execute` takes only the first."""
    driver: Any = connection.connection.driver_connection
    driver.executescript(f"PRAGMA incremental_vacuum({_PORTION})")


def _has_room(database: Database, size: int) -> bool:
    """VACUUM writes the file a second time beside it, and then into the log."""
    name = database.engine.url.database
    return bool(name) and shutil.disk_usage(Path(str(name)).parent).free > 3 * size
