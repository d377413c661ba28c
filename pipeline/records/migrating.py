"""Bring the records' tables to what this goldentwin knows: made in one go, or upgraded by Alembic, one at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, inspect, select

from inspection.errors import RecordsError
from pipeline.records import later_tables  # noqa: F401 - their tables are created with the others
from pipeline.records.schema import BEFORE_ALEMBIC, KNOWN_REVISIONS, REVISION, alembic_version, meta, metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection

NONE = "none"
"""In place of a revision: there are no tables yet."""
_MARK = "alembic"


def found_revision(connection: Connection) -> str:
    """The revision that the tables have: NONE, `0001`, or `version 2` from before Alembic."""
    tables = set(inspect(connection).get_table_names())
    if alembic_version.name in tables:
        return str(connection.execute(select(alembic_version.c.version_num)).scalar() or NONE)
    if meta.name not in tables:
        return NONE
    version = connection.execute(select(meta.c.value).where(meta.c.name == "schema_version")).scalar()
    return f"version {version}"


def require_known(revision: str, name: str) -> None:
    """Leave a database alone that a newer goldentwin wrote, or something else.

    Raises:
        RecordsError: this goldentwin does not know the revision.
    """
    before = revision.removeprefix("version ")
    if revision in {NONE, *KNOWN_REVISIONS} or (before != revision and before in BEFORE_ALEMBIC):
        return
    message = (
        f"the verdict records at {name} have the schema {revision}, this goldentwin knows {REVISION}; use the "
        "goldentwin that wrote them or a newer one, or name another database with GOLDENTWIN_DATABASE_URL or another "
        "home with --home"
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
        metadata.create_all(connection)
        alembic_version.create(connection)
        connection.execute(insert(alembic_version).values(version_num=REVISION))
        connection.execute(insert(meta).values(name="schema_version", value=_MARK))
    elif found != REVISION:
        _upgrade(connection)
        connection.execute(delete(meta).where(meta.c.name == "schema_version"))
        connection.execute(insert(meta).values(name="schema_version", value=_MARK))
    return found


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - takes long to import, and is needed once a release
    from alembic.config import Config  # noqa: PLC0415 - goes with it

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
