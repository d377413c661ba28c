"""What happened to lines while they ran: add and ask."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Self

from sqlalchemy import select

from inspection.recipe import digest_of
from pipeline.line.events import EventKind, LineEvent
from pipeline.records.database import Database
from pipeline.records.later_tables import line_events

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType


class LineEventRecords:
    """The events in the database of the verdict records, to be used in a `with` block.

    Every method raises RecordsError when the database can't be used.
    """

    def __init__(self, url: str) -> None:
        """Open the records; make or upgrade their tables where it is needed.

        Raises:
            RecordsError: the address can't be understood or reached, or a newer goldentwin wrote there.
        """
        self._database = Database(url)

    def __enter__(self) -> Self:
        """The records themselves."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the connections back."""
        self._database.engine.dispose()

    def add(self, events: Sequence[LineEvent]) -> None:
        """Record events; one that is there already changes nothing."""
        if not events:
            return
        rows = [{**asdict(event), "kind": event.kind.value, "id": digest_of(asdict(event))} for event in events]
        with self._database.writing() as connection:
            connection.execute(self._database.insert(line_events).on_conflict_do_nothing(), rows)

    def events(self, line: str, *, limit: int = 1000) -> list[LineEvent]:
        """The newest events of a line, oldest first."""
        query = select(line_events).where(line_events.c.line == line)
        query = query.order_by(line_events.c.at.desc(), line_events.c.id).limit(limit)
        with self._database.reading() as connection:
            rows = [dict(row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's name
        return [
            LineEvent(
                line=row["line"], kind=EventKind(row["kind"]), said=row["said"], at=row["at"], sequence=row["sequence"]
            )
            for row in reversed(rows)
        ]
