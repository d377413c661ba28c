"""Bring the records' tables to what this goldentwin knows: made in one go, or upgraded by Alembic, one at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import insert, inspect, select, update

from inspection.errors import RecordsError
from pipeline.records import later_tables  # noqa: F401 - their tables are created with the others
from pipeline.records.schema import (
    BEFORE_REVISIONS,
    FOR_OLDER,
    KNOWN_REVISIONS,
    REVISION,
    meta,
    metadata,
    revision_table,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

NONE = "none"
"""In place of a revision: there are no tables yet."""


def found_revision(connection: Connection) -> str:
    """The revision that the tables have: NONE, `0001`, or `version 2` from before Alembic."""
    look = inspect(connection)
    before = None
    if look.has_table(meta.name):
        version = select(meta.c.value).where(meta.c.name == FOR_OLDER["name"])
        before = f"version {connection.execute(version).scalar()}"
    if look.has_table(revision_table.name):  # asked last: of an upgrade that ends between two questions, this is true
        return str(connection.execute(select(revision_table.c.version_num)).scalar_one_or_none())
    return before or NONE


def require_known(revision: str, name: str) -> None:
    """Leave a database alone that a newer goldentwin wrote; `name` is its address.

    Raises:
        RecordsError: this goldentwin does not know the revision.
    """
    if revision in {NONE, *KNOWN_REVISIONS, *BEFORE_REVISIONS}:
        return
    message = (
        f"the verdict records at {name} have the schema {revision} of a newer goldentwin, this one knows {REVISION} "
        "and changes nothing there; upgrade goldentwin, or name another database with GOLDENTWIN_DATABASE_URL or "
        "another home with --home"
    )
    raise RecordsError(message)


def bring_up(connection: Connection, name: str) -> str:
    """Make or upgrade the tables in the transaction of `connection`, which nobody else may be in; what they were.

    Raises:
        RecordsError: this goldentwin does not know what is there.
    """
    found = found_revision(connection)
    require_known(found, name)
    if found == NONE:
        _make(connection, name)
    elif found != REVISION:
        _upgrade(connection)
        connection.execute(update(meta).where(meta.c.name == FOR_OLDER["name"]).values(FOR_OLDER))
    return found


def _make(connection: Connection, name: str) -> None:
    others = sorted(set(metadata.tables) & set(inspect(connection).get_table_names()))
    if others:
        message = (
            f"the database at {name} has a table {others[0]!r} of another program, or lost the table that says which "
            "goldentwin wrote it; name another database with GOLDENTWIN_DATABASE_URL, or restore it from a backup"
        )
        raise RecordsError(message)
    metadata.create_all(connection)
    revision_table.create(connection)
    connection.execute(insert(revision_table).values(version_num=REVISION))
    connection.execute(insert(meta).values(FOR_OLDER))


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - takes long to import, and is needed once a release
    from alembic.config import Config  # noqa: PLC0415 - goes with it

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
