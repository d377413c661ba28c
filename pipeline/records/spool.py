"""The spool: what a running line took in and what became of it, on disk before the line is told of it.

A part is written when it is admitted, again when it is decided, and goes when everybody was told and its record is
written. So after kill -9 nothing is missing and nothing is told twice.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from inspection.errors import RecordsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

MEMORY: Final = ":memory:"
RESERVE_BYTES: Final = 8_000_000
"""Kept free for the spool: thousands of parts can still be written down once the disk is full."""
_BUSY_SECONDS = 5.0
_LARGEST = 2**63 - 1
_TABLES = """
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS parts (
    sequence INTEGER PRIMARY KEY, frame TEXT NOT NULL, part_id TEXT NOT NULL, captured_at TEXT NOT NULL,
    signal TEXT, record TEXT, batch TEXT NOT NULL DEFAULT '', recorded INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS unrecorded ON parts (sequence) WHERE recorded = 0;
CREATE TABLE IF NOT EXISTS told (sink TEXT PRIMARY KEY, sequence INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS seen (frame TEXT PRIMARY KEY);
"""
_NEXT = "next"
_APART = "\n"
_REMEMBER = "INSERT OR IGNORE INTO seen VALUES (?)"


@dataclass(frozen=True, kw_only=True)
class SpooledPart:
    """A part in the spool; `captured_at` is ISO 8601, UTC. `signal` and `record` are JSON, None until it is decided."""

    sequence: int
    frame: str
    part_id: str
    captured_at: str
    signal: str | None = None
    record: str | None = None
    batch: str = ""


class SpoolFullError(RecordsError):
    """The disk is full, and what was kept free for the spool is used up."""


class Spool:
    """The spool of one line in one SQLite file; safe to use from several threads of one process.

    WAL mode with `synchronous=NORMAL`: what was written outlives kill -9 of the process at some 30 microseconds a
    part; the last instants before a power cut may be lost. Every method raises SpoolFullError when the disk is full to
    the last, and RecordsError for anything else that ails the file.
    """

    def __init__(self, path: Path | None) -> None:
        """Open the spool, and make it where there is none; `None` keeps it in memory."""
        self._lock = threading.RLock()
        self._reserve = None if path is None else path.with_suffix(".reserve")
        self.name = MEMORY if path is None else str(path)
        with self._guard():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self.name, check_same_thread=False, isolation_level=None, timeout=_BUSY_SECONDS
            )
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_TABLES)
        self.reserve()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @property
    def reserved(self) -> bool:
        """Whether the space kept free is still there: False says that the disk is full, and the spool lives on it."""
        return self._reserve is None or self._reserve.exists()

    def reserve(self) -> bool:
        """Take the space kept free (again); False where the disk has not that much."""
        if self._reserve is None or self._reserve.exists():
            return True
        partial = self._reserve.with_suffix(".part")
        try:
            partial.write_bytes(b"\0" * RESERVE_BYTES)
            partial.replace(self._reserve)
        except OSError:
            partial.unlink(missing_ok=True)
            return False
        return True

    def next_sequence(self) -> int:
        """The number that the next part will get, from 1."""
        rows = self._read("SELECT value FROM counters WHERE name = ?", (_NEXT,))
        return int(rows[0][0]) if rows else 1

    def skip_to(self, sequence: int) -> None:
        """Let the next part have `sequence` at least."""
        self._write([(_SET_COUNTER, (_NEXT, max(sequence, self.next_sequence())))])

    def admit(self, parts: Sequence[SpooledPart], *, seen_as: str | None) -> None:
        """Write down parts that came in, under the numbers they have.

        With `seen_as`, where they come from, the names of their frames are remembered.
        """
        statements: list[tuple[str, tuple[object, ...]]] = []
        for part in parts:
            values = (part.sequence, part.frame, part.part_id, part.captured_at)
            statements.append(("INSERT INTO parts (sequence, frame, part_id, captured_at) VALUES (?, ?, ?, ?)", values))
            statements.append((_SET_COUNTER, (_NEXT, part.sequence + 1)))
            if seen_as is not None:
                statements.append((_REMEMBER, (f"{seen_as}{_APART}{part.frame}",)))
        self._write(statements)

    def decide(self, sequence: int, *, signal: str, record: str, batch: str) -> None:
        """Write down what is to be told of a part and what is to be recorded. From here on it is never another."""
        statement = "UPDATE parts SET signal = ?, record = ?, batch = ? WHERE sequence = ? AND signal IS NULL"
        self._write([(statement, (signal, record, batch, sequence))])

    def amend(self, sequence: int, *, signal: str | None = None, record: str | None = None) -> None:
        """Write down other words for a decided part, as long as nothing was done with the former ones."""
        statement = "UPDATE parts SET signal = coalesce(?, signal), record = coalesce(?, record)"
        self._write([(f"{statement} WHERE sequence = ? AND recorded = 0", (signal, record, sequence))])

    def keep(self, part: SpooledPart, *, seen_as: str | None) -> None:
        """Write down a part as it is, at once: one that was kept elsewhere while the disk was full."""
        columns = "sequence, frame, part_id, captured_at, signal, record, batch"
        values = (part.sequence, part.frame, part.part_id, part.captured_at, part.signal, part.record, part.batch)
        statements: list[tuple[str, tuple[object, ...]]] = [
            (f"INSERT OR REPLACE INTO parts ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", values),  # noqa: S608 - our own
            (_SET_COUNTER, (_NEXT, max(self.next_sequence(), part.sequence + 1))),
        ]
        if seen_as is not None:
            statements.append((_REMEMBER, (f"{seen_as}{_APART}{part.frame}",)))
        self._write(statements)

    def has(self, sequence: int) -> bool:
        """Whether this part is here."""
        return bool(self._read("SELECT 1 FROM parts WHERE sequence = ?", (sequence,)))

    def count(self) -> int:
        """How many parts are here."""
        return int(self._read("SELECT count(*) FROM parts")[0][0])

    def remove(self, sequences: Iterable[int]) -> None:
        """Let parts go, whatever became of them."""
        self._write([("DELETE FROM parts WHERE sequence = ?", (sequence,)) for sequence in sequences])

    def undecided(self) -> list[SpooledPart]:
        """Parts that came in and were not decided, in their order."""
        return self._parts("WHERE signal IS NULL ORDER BY sequence")

    def after(self, sequence: int, limit: int) -> list[SpooledPart]:
        """Parts behind this number, decided or not, in their order."""
        return self._parts("WHERE sequence > ? ORDER BY sequence LIMIT ?", (sequence, limit))

    def told(self, sink: str) -> int:
        """The newest part that `sink` was told of; 0 where it was told of none."""
        rows = self._read("SELECT sequence FROM told WHERE sink = ?", (sink,))
        return int(rows[0][0]) if rows else 0

    def untold(self, sequence: int) -> int:
        """How many decided parts come behind this number."""
        statement = "SELECT count(*) FROM parts WHERE sequence > ? AND signal IS NOT NULL"
        return int(self._read(statement, (sequence,))[0][0])

    def mark_told(self, sink: str, sequence: int) -> None:
        """`sink` was told of this part and all before it."""
        statement = "INSERT INTO told VALUES (?, ?) ON CONFLICT (sink) DO UPDATE SET sequence = excluded.sequence"
        self._write([(statement, (sink, sequence))])

    def to_record(self, limit: int) -> list[SpooledPart]:
        """Decided parts whose record is still to be written, in their order."""
        return self._parts("WHERE recorded = 0 AND record IS NOT NULL ORDER BY sequence LIMIT ?", (limit,))

    def unrecorded(self) -> int:
        """How many decided parts have no record yet."""
        return int(self._read("SELECT count(*) FROM parts WHERE recorded = 0 AND record IS NOT NULL")[0][0])

    def mark_recorded(self, sequences: Iterable[int], sinks: Sequence[str]) -> None:
        """Their records are written; those of which all `sinks` were told leave the spool."""
        marks: list[tuple[str, tuple[object, ...]]] = [
            ("UPDATE parts SET recorded = 1, record = '' WHERE sequence = ?", (sequence,)) for sequence in sequences
        ]
        told = min((self.told(sink) for sink in sinks), default=_LARGEST)
        self._write([*marks, ("DELETE FROM parts WHERE recorded = 1 AND sequence <= ?", (told,))])

    def forget_sinks(self, kept: Sequence[str]) -> None:
        """Forget what sinks were told that are no longer there, so that they hold nothing up."""
        marks = ", ".join("?" * len(kept))
        self._write([(f"DELETE FROM told WHERE sink NOT IN ({marks})", tuple(kept))])  # noqa: S608 - question marks only

    def seen(self, seen_as: str) -> set[str]:
        """Names of all frames that were ever admitted as these and are remembered."""
        head = f"{seen_as}{_APART}"
        rows = self._read("SELECT frame FROM seen WHERE substr(frame, 1, ?) = ?", (len(head), head))
        return {str(row[0])[len(head) :] for row in rows}

    def forget_seen(self, seen_as: str, frames: Iterable[str]) -> None:
        """Forget the names of frames whose files are gone."""
        self._write([("DELETE FROM seen WHERE frame = ?", (f"{seen_as}{_APART}{frame}",)) for frame in frames])

    def _parts(self, where: str, values: tuple[object, ...] = ()) -> list[SpooledPart]:
        columns = "sequence, frame, part_id, captured_at, signal, record, batch"
        rows = self._read(f"SELECT {columns} FROM parts {where}", values)  # noqa: S608 - our own texts
        names = columns.split(", ")
        return [SpooledPart(**dict(zip(names, row, strict=True))) for row in rows]

    def _read(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock, self._guard():
            return self._connection.execute(statement, values).fetchall()

    def _write(self, statements: Sequence[tuple[str, tuple[object, ...]]]) -> None:
        """All of it or nothing; on a full disk what was kept free is given up first."""
        try:
            self._commit(statements)
        except SpoolFullError:
            if self._reserve is None or not self._reserve.exists():
                raise
            self._reserve.unlink()
            self._commit(statements)

    def _commit(self, statements: Sequence[tuple[str, tuple[object, ...]]]) -> None:
        with self._lock, self._guard():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for statement, values in statements:
                    self._connection.execute(statement, values)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if "full" in str(error).lower() or "no space" in str(error).lower():
                message = f"the spool {self.name} can't be written: the disk is full; free space on it"
                raise SpoolFullError(message) from error
            message = f"the spool {self.name} can't be used ({error}); see that its folder is there and may be written"
            raise RecordsError(message) from error


_SET_COUNTER = "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
