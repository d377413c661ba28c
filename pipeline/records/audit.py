"""Who did what, when, on which evidence: rows that are only ever appended, each holding the hash of the one before.

A row's hash is SHA-256 over the canonical JSON of all its columns, the hash of the row before among them. So a row that
was changed, removed, or put in between breaks the chain there, and `verify` names it.

What a hash chain alone can't show: that its last rows were cut off, and that somebody who knows this code rewrote it
from some row on to the end. Against both, the newest hash is kept outside of the database: in a small file in the home
(`Workspace.audit_anchor`), and as a tag of the MLflow run of every change of champion (`goldentwin.audit`), which
`goldentwin audit --mlflow` reads back. Whoever can write to the database, the home and MLflow can still rewrite all
three: keep MLflow on a server of its own, or print the head.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Row, select

from inspection.durable import write_text
from pipeline.records.database import Database
from pipeline.records.later_tables import audit_log
from pipeline.records.schema import storable

FIRST = "0" * 64
_LOCK = 0x601D_A0D1  # any number but the one that creates the tables, the same in every process that appends


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """One thing that somebody did. `at` is ISO 8601 in UTC, `evidence` canonical JSON, `number` counts from 1."""

    number: int
    at: str
    who: str
    action: str
    product: str
    view: str
    evidence: str
    previous: str
    hash: str

    @property
    def facts(self) -> dict[str, Any]:
        """The evidence, read; empty where it is no JSON object any more."""
        try:
            found = json.loads(self.evidence)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def anchor(self) -> Anchor:
        """What is to be remembered elsewhere of this row."""
        return Anchor(number=self.number, hash=self.hash)


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A row's number and hash, remembered outside of the database; as text `12:0f3a...`."""

    number: int
    hash: str

    def __str__(self) -> str:
        """For a tag."""
        return f"{self.number}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Anchor | None:
        """Read a tag back; None where it is none."""
        number, _, digest = text.partition(":")
        return cls(number=int(number), hash=digest) if number.isdecimal() and digest else None


@dataclass(frozen=True, kw_only=True)
class Break:
    """The first row at which the chain does not hold, and what is wrong there."""

    number: int
    problem: str


class AuditLog:
    """The audit record in the database of the verdict records, to be used in a `with` block.

    Every method raises RecordsError when the database can't be used.

    Args:
        url: SQLAlchemy URL, SQLite or PostgreSQL.
        anchor: the file that remembers the newest row outside of the database; None remembers none.
    """

    def __init__(self, url: str, *, anchor: Path | None = None) -> None:
        self._database = Database(url)
        self._anchor = anchor

    def __enter__(self) -> Self:
        """The record itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the connections back."""
        self._database.engine.dispose()

    def append(self, *, who: str, action: str, product: str, view: str, evidence: Mapping[str, Any]) -> AuditRow:
        """Append a row in one transaction; several processes take turns."""
        columns = [audit_log.c.number, audit_log.c.hash]
        newest = select(*columns).order_by(audit_log.c.number.desc()).limit(1)
        with self._database.writing_alone(_LOCK) as connection:
            number, previous = connection.execute(newest).one_or_none() or (0, FIRST)
            row = _chained(
                AuditRow(
                    number=number + 1,
                    at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                    who=storable(who),
                    action=action,
                    product=storable(product),
                    view=storable(view),
                    evidence=canonical(evidence),
                    previous=previous,
                    hash="",
                )
            )
            connection.execute(audit_log.insert(), [asdict(row)])
        if self._anchor is not None:
            write_text(self._anchor, json.dumps(asdict(row.anchor)) + "\n")
        return row

    def rows(self, *, product: str | None = None, view: str | None = None) -> list[AuditRow]:
        """The rows of a product and view, or all, oldest first."""
        query = select(audit_log).order_by(audit_log.c.number)
        for column, wanted in (("product", product), ("view", view)):
            if wanted is not None:
                query = query.where(audit_log.c[column] == storable(wanted))
        with self._database.reading() as connection:
            return [_row(found) for found in connection.execute(query)]

    def verify(self, anchors: Collection[Anchor] = ()) -> Break | None:
        """Follow the chain from its first row; None where it holds.

        It also has to hold the row that the file beside it remembers, and those of `anchors`.
        """
        remembered = {one.number: one.hash for one in anchors}
        if (kept := self._kept()) is not None:
            remembered.setdefault(kept.number, kept.hash)
        previous = Anchor(number=0, hash=FIRST)
        for row in self.rows():
            problem = _problem(row, previous) or _forgotten(row, remembered)
            if problem is not None:
                return problem
            previous = row.anchor
        cut = [number for number in remembered if number > previous.number]
        if cut:
            return Break(
                number=previous.number + 1,
                problem=f"row {max(cut)} is remembered outside, but the record ends with row {previous.number}: "
                "its end was cut off, or this is another database",
            )
        return None

    def _kept(self) -> Anchor | None:
        """What the file remembers; a damaged one remembers a row that no record has."""
        if self._anchor is None:
            return None
        try:
            found = json.loads(self._anchor.read_text(encoding="utf-8"))
            return Anchor(number=int(found["number"]), hash=str(found["hash"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            return Anchor(number=1, hash=f"unreadable: {self._anchor}")


def canonical(value: object) -> str:
    """JSON that is the same for the same value: keys sorted, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def _chained(row: AuditRow) -> AuditRow:
    values = asdict(row)
    del values["hash"]
    return AuditRow(**values, hash=hashlib.sha256(canonical(values).encode()).hexdigest())


def _problem(row: AuditRow, previous: Anchor) -> Break | None:
    if row.number != previous.number + 1:
        missing = previous.number + 1
        return Break(number=missing, problem=f"row {missing} was removed: row {row.number} comes next")
    if row.hash != _chained(row).hash:
        return Break(number=row.number, problem=f"row {row.number} was changed: its hash is not that of its content")
    if row.previous != previous.hash:
        return Break(
            number=row.number,
            problem=f"row {row.number} does not follow row {previous.number}: one of them was replaced, "
            "or a row was removed or put in between",
        )
    return None


def _forgotten(row: AuditRow, remembered: Mapping[int, str]) -> Break | None:
    if remembered.get(row.number, row.hash) == row.hash:
        return None
    return Break(number=row.number, problem=f"row {row.number} is not the one remembered outside: it was rewritten")


def _row(found: Row[Any]) -> AuditRow:
    return AuditRow(**found._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
