"""One row per judged frame: add, ask, count, export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Self

from sqlalchemy import ColumnElement, Select, func, select

from inspection.verdicts import Provenance, Verdict
from pipeline.frames import FrameVerdict
from pipeline.records.database import Database
from pipeline.records.later_tables import aged_batches, nearest_goldens
from pipeline.records.schema import grounds, original_name, row_dict, row_of, verdicts

_NAMES_PER_QUERY = 500
_ROWS_PER_FETCH = 5_000


class RowOrder(StrEnum):
    """How rows are sorted: least similar first (without a similarity last), by frame, as judged, or newest first."""

    SIMILARITY = "similarity"
    FRAME = "frame"
    JUDGED = "judged"
    LATEST = "latest"


@dataclass(frozen=True, kw_only=True)
class RecordedBatch:
    """What the records hold of one batch of one product and view; `counts` has all three verdicts."""

    batch: str
    product: str
    view: str
    counts: dict[Verdict, int]
    first_judged_at: datetime
    last_judged_at: datetime


class VerdictRecords:
    """The verdict records at a SQLAlchemy URL, SQLite or PostgreSQL, to be used in a `with` block.

    Several processes and threads may write at once. Every method raises RecordsError, naming the address without
    its password and the remedy, when the database is locked, read-only, full or out of reach.
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
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._database.engine.dispose()

    def add(
        self,
        judged: Sequence[FrameVerdict],
        *,
        batch: str,
        station: str = "",
        evidence: Mapping[str, str | PurePath] | None = None,
        nearest: Mapping[str, str] | None = None,
    ) -> int:
        """Record the verdicts in one transaction and return how many of them are new.

        A frame that was judged before on the same grounds (product, view, frame, its SHA-256, calibration, encoder,
        reference set, recipe) keeps the row it has, with its first batch and moment. `evidence` maps frames to
        their pictures, as paths relative to the home, `nearest` to the names of the goldens they are most like.
        """
        pictures = {frame: PurePath(path).as_posix() for frame, path in (evidence or {}).items()}
        now = datetime.now(UTC)
        rows = [
            row_of(one, batch=batch, station=station, evidence=pictures.get(one.frame.frame), judged_at=now)
            for one in judged
        ]
        return self.add_rows(rows, nearest=nearest)

    def add_rows(self, rows: Sequence[Mapping[str, Any]], *, nearest: Mapping[str, str] | None = None) -> int:
        """The same for rows made before (`row_of`), as a line keeps them until they are written."""
        if not rows:
            return 0
        ordered = sorted(rows, key=lambda row: str(row["key"]))  # one order for all, or PostgreSQL may meet a deadlock
        keys = {row["frame"]: row["key"] for row in rows}
        named = [{"key": keys[frame], "golden": name} for frame, name in (nearest or {}).items() if frame in keys]
        statement = self._database.insert(verdicts).on_conflict_do_nothing()
        with self._database.writing() as connection:
            if named:
                goldens = self._database.insert(nearest_goldens).on_conflict_do_nothing()
                connection.execute(goldens, sorted(named, key=lambda row: str(row["key"])))
            return connection.execute(statement, ordered, execution_options={"preserve_rowcount": True}).rowcount

    def judged(
        self, product: str, view: str, provenance: Provenance, *, frames: Collection[str] | None = None
    ) -> set[tuple[str, str]]:
        """(frame, its SHA-256) of all frames already judged on these grounds; with `frames`, of those named only.

        Name the frames of a batch when the records are large: the time taken then depends on the batch alone.
        """
        query = select(verdicts.c.frame, verdicts.c.frame_sha256).where(
            verdicts.c.product == product,
            verdicts.c.view == view,
            *(verdicts.c[name] == value for name, value in grounds(provenance).items()),
        )
        queries = [query]
        if frames is not None:
            queries = [query.where(verdicts.c.frame.in_(names)) for names in _portions(sorted(frames))]
        with self._database.reading() as connection:
            rows = [row for query in queries for row in connection.execute(query)]
        return {(original_name(frame), sha256) for frame, sha256 in rows}

    def known(self, keys: Collection[str]) -> set[str]:
        """Those of the rows' keys (see `pipeline.records.schema.row_key`) that are recorded already."""
        queries = [select(verdicts.c.key).where(verdicts.c.key.in_(portion)) for portion in _portions(sorted(keys))]
        with self._database.reading() as connection:
            return {key for query in queries for key in connection.scalars(query)}

    def rows(  # noqa: PLR0913 - each filter is one keyword
        self,
        *,
        product: str | None = None,
        view: str | None = None,
        batch: str | None = None,
        verdict: Verdict | str | None = None,
        limit: int | None = None,
        order: RowOrder | str = RowOrder.SIMILARITY,
    ) -> list[dict[str, Any]]:
        """The recorded rows that match, as plain JSON values (moments as ISO text in UTC).

        Each holds what `inspect --json` prints, and key, frame_sha256, batch, station, captured_at, judged_at,
        brightness, focus, registration_quality, matrix and evidence, and nearest_golden, None where no picture of the
        part was drawn.
        """
        query = _matching(_all_columns(), product=product, view=view, batch=batch, verdict=verdict)
        query = query.order_by(*_sorting(RowOrder(order))).limit(limit)
        with self._database.reading() as connection:
            return [row_dict(row) for row in connection.execute(query)]

    def counts(self, batch: str, *, product: str | None = None, view: str | None = None) -> dict[Verdict, int]:
        """How many frames of the batch have each verdict, also those whose rows aged out; all three are named."""
        query = select(verdicts.c.verdict, func.count()).group_by(verdicts.c.verdict)
        query = _matching(query, product=product, view=view, batch=batch)
        aged = select(aged_batches.c.verdict, func.sum(aged_batches.c.rows)).group_by(aged_batches.c.verdict)
        for column, wanted in (("batch", batch), ("product", product), ("view", view)):
            aged = aged if wanted is None else aged.where(aged_batches.c[column] == wanted)
        found: Counter[str] = Counter()
        with self._database.reading() as connection:
            for verdict, count in (*connection.execute(query), *connection.execute(aged)):
                found[verdict] += int(count)
        return {verdict: found[verdict.value] for verdict in Verdict}

    def aged_batches(self, *, product: str, view: str) -> set[str]:
        """Batches of which rows have aged out: what is left of them is no sample of what was judged."""
        query = select(aged_batches.c.batch).where(aged_batches.c.product == product, aged_batches.c.view == view)
        with self._database.reading() as connection:
            return set(connection.scalars(query))

    def batches(self) -> list[RecordedBatch]:
        """Every batch of every product and view, the latest first."""
        times = func.min(verdicts.c.judged_at), func.max(verdicts.c.judged_at)
        names = verdicts.c.batch, verdicts.c.product, verdicts.c.view
        per_verdict = [func.count().filter(verdicts.c.verdict == verdict.value) for verdict in Verdict]
        query = select(*names, *times, *per_verdict).group_by(*names).order_by(times[1].desc(), *names)
        with self._database.reading() as connection:
            return [
                RecordedBatch(
                    batch=batch,
                    product=product,
                    view=view,
                    counts=dict(zip(Verdict, counts, strict=True)),
                    first_judged_at=first,
                    last_judged_at=last,
                )
                for batch, product, view, first, last, *counts in connection.execute(query)
            ]

    def export(
        self,
        path: Path,
        *,
        product: str | None = None,
        view: str | None = None,
        batch: str | None = None,
        verdict: Verdict | str | None = None,
    ) -> int:
        """Write the matching rows, as they were judged, to a `.csv` or `.parquet` file; return how many.

        The file appears whole or not at all. Columns and types are always the same: see `pipeline.records.export`.

        Raises:
            RecordsError: another suffix, or the file can't be written.
        """
        from pipeline.records.export import write_table  # noqa: PLC0415 - pandas takes half a second to import

        query = _matching(_all_columns(), product=product, view=view, batch=batch, verdict=verdict)
        return write_table(path, self._chunks(query.order_by(*_sorting(RowOrder.JUDGED))))

    def _chunks(self, query: Select[Any]) -> Iterator[list[dict[str, Any]]]:
        with self._database.reading() as connection:
            stream = connection.execution_options(yield_per=_ROWS_PER_FETCH).execute(query)
            for rows in stream.partitions():
                yield [row_dict(row) for row in rows]


def _portions(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _NAMES_PER_QUERY):
        yield names[start : start + _NAMES_PER_QUERY]


def _all_columns() -> Select[Any]:
    """All columns of the verdicts, and the golden that each part is most like where it is known."""
    nearest = nearest_goldens.c.golden.label("nearest_golden")
    return select(verdicts, nearest).outerjoin(nearest_goldens, nearest_goldens.c.key == verdicts.c.key)


def _matching(query: Select[Any], **wanted: str | None) -> Select[Any]:
    conditions = [verdicts.c[name] == str(value) for name, value in wanted.items() if value is not None]
    return query.where(*conditions)


def _sorting(order: RowOrder) -> tuple[ColumnElement[Any], ...]:
    frame = verdicts.c.frame
    if order is RowOrder.SIMILARITY:
        return verdicts.c.similarity.asc().nulls_last(), frame.asc(), verdicts.c.key.asc()
    if order is RowOrder.FRAME:
        return frame.asc(), verdicts.c.key.asc()
    if order is RowOrder.LATEST:
        return verdicts.c.judged_at.desc(), frame.desc(), verdicts.c.key.asc()
    return verdicts.c.judged_at.asc(), frame.asc(), verdicts.c.key.asc()
