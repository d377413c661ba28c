"""What retention asks of the records, and how rows say that what they named is gone. Every write is a small one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Text, cast, delete, exists, func, select, update

from pipeline.records.database import Database
from pipeline.records.later_tables import (
    AGED_OUT,
    aged_batches,
    line_events,
    nearest_goldens,
    review_answers,
    review_items,
    shadow_verdicts,
)
from pipeline.records.pages import give_back_pages
from pipeline.records.schema import storable, verdicts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime
    from types import TracebackType

    from sqlalchemy import ColumnElement, Executable, Select

_PORTION = 500
_ROW_BYTES = 400  # of the columns whose length is not asked for, and the indexes
_EVENT_BYTES = 120
_BY_KEY = (review_answers, review_items, nearest_goldens, shadow_verdicts, verdicts)
_ITEM = (review_items.c.product, review_items.c.view, review_items.c.queue, review_items.c.pushed_at)


@dataclass(frozen=True, kw_only=True)
class PartUse:
    """What decides how long the things of a part stay.

    `at` is when it was judged, else chosen for review; `reviewed` whether anybody answered; `waiting` whether it waits
    in an open queue, or for one.
    """

    at: datetime
    batches: frozenset[str]
    reviewed: bool
    waiting: bool

    def with_other(self, other: PartUse | None) -> PartUse:
        """Of two parts that use the same thing: it stays as long as either needs it."""
        if other is None:
            return self
        return PartUse(
            at=max(self.at, other.at),
            batches=self.batches | other.batches,
            reviewed=self.reviewed or other.reviewed,
            waiting=self.waiting or other.waiting,
        )


@dataclass(frozen=True, kw_only=True)
class OldRecord:
    """A verdict's record: `frame_file` is the kept frame ("" without one), `traced` whether MLflow has its trace."""

    key: str
    verdict: str
    batch: str
    product: str
    view: str
    size: int
    use: PartUse
    frame_file: str
    traced: bool


class RetentionRecords:
    """The records as retention sees them, to be used in a `with` block; every method raises RecordsError.

    Args:
        url: SQLAlchemy URL, SQLite or PostgreSQL.
        open_since: queues that were filled or answered since are open.
    """

    def __init__(self, url: str, *, open_since: datetime) -> None:
        self._database = Database(url)
        self._open_since = open_since
        self._open: frozenset[tuple[str, str, str]] | None = None

    def __enter__(self) -> Self:
        """The records themselves."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the connections back."""
        self._database.engine.dispose()

    def newest_batches(self) -> set[str]:
        """The batch of each product and view that was judged last."""
        last = func.max(verdicts.c.judged_at).label("last")
        batches = select(verdicts.c.product, verdicts.c.view, verdicts.c.batch, last)
        batches = batches.group_by(verdicts.c.product, verdicts.c.view, verdicts.c.batch)
        newest: dict[tuple[str, str], tuple[datetime, str]] = {}
        for product, view, batch, at in self._all(batches):
            newest[product, view] = max(newest.get((product, view), (at, batch)), (at, batch))
        return {batch for _, batch in newest.values()}

    def known_batches(self, names: Collection[str]) -> set[str]:
        """Those of these batches that were ever recorded here."""
        found: set[str] = set()
        for portion in _portions(sorted(names)):
            for table in (verdicts, review_items, aged_batches):
                found |= {
                    row[0] for row in self._all(select(table.c.batch).where(table.c.batch.in_(portion)).distinct())
                }
        return found

    def pictures(self, batch: str) -> dict[str, PartUse]:
        """The evidence that rows of a batch point to, by its path as it is stored."""
        shadowed = select(shadow_verdicts.c.evidence, verdicts.c.judged_at, *_ITEM, _answered(shadow_verdicts.c.key))
        queries = (
            select(verdicts.c.evidence, verdicts.c.judged_at, *_ITEM, _answered(verdicts.c.key))
            .outerjoin(review_items, review_items.c.key == verdicts.c.key)
            .where(verdicts.c.batch == batch, verdicts.c.evidence != ""),
            _items(review_items.c.picture).where(review_items.c.batch == batch),
            shadowed.join(verdicts, verdicts.c.key == shadow_verdicts.c.key)
            .outerjoin(review_items, review_items.c.key == verdicts.c.key)
            .where(shadow_verdicts.c.batch == batch, shadow_verdicts.c.evidence != ""),
        )
        found: dict[str, PartUse] = {}
        for query in queries:
            for row in self._all(query):
                found[row[0]] = self._use(row, batch).with_other(found.get(row[0]))
        return found

    def forget_pictures(self, batch: str, paths: Sequence[str]) -> None:
        """Let the rows of a batch say that these pictures have aged out, before they are removed."""
        stored = [storable(path) for path in paths]
        with self._database.writing() as connection:
            for column in (verdicts.c.evidence, review_items.c.picture, shadow_verdicts.c.evidence):
                table = column.table
                for portion in _portions(stored):
                    chosen = table.update().where(table.c.batch == batch, column.in_(portion))
                    connection.execute(chosen.values({column.name: ""}))

    def frames(self) -> dict[str, PartUse]:
        """The kept frames that parts point to, by their path as it is stored."""
        found: dict[str, PartUse] = {}
        for row in self._all(_items(review_items.c.frame_file).add_columns(review_items.c.batch)):
            found[row[0]] = self._use(row, row[-1]).with_other(found.get(row[0]))
        return found

    def forget_frames(self, files: Sequence[str], *, chosen_before: datetime) -> None:
        """Let the parts chosen before say that these frames are no longer kept, before they are removed."""
        mine = review_items.c.chosen_at < chosen_before
        with self._database.writing() as connection:
            for portion in _portions(list(map(storable, files))):
                chosen = update(review_items).where(review_items.c.frame_file.in_(portion), mine)
                connection.execute(chosen.values(frame_file=""))

    def traced(self) -> int:
        """How many parts have a trace in MLflow."""
        query = select(func.count()).where(review_items.c.trace.not_in(["", AGED_OUT]))
        return int(self._all(query)[0][0])

    def parts(self, keys: Collection[str]) -> dict[str, PartUse]:
        """Those of these parts that were chosen for review here."""
        found = {}
        for portion in _portions(sorted(keys)):
            query = _items(review_items.c.key).add_columns(review_items.c.batch)
            for row in self._all(query.where(review_items.c.key.in_(portion))):
                found[row[0]] = self._use(row, row[-1])
        return found

    def forget_traces(self, keys: Sequence[str]) -> None:
        """Let the parts say that their traces have aged out, before they are removed."""
        with self._database.writing() as connection:
            chosen = update(review_items).where(review_items.c.key.in_(sorted(keys)))
            connection.execute(chosen.values(trace=AGED_OUT))

    def count_records(self) -> tuple[int, int]:
        """How many verdicts there are, and about how many bytes they take."""
        return self._count(select(func.count(), func.sum(_size())))

    def old_records(self, before: datetime) -> Iterator[list[OldRecord]]:
        """All verdicts judged before, in portions."""
        columns = (verdicts.c.key, verdicts.c.judged_at, *_ITEM, _answered(verdicts.c.key), verdicts.c.verdict)
        named = (verdicts.c.batch, verdicts.c.product.label("of"), verdicts.c.view.label("from"), _size())
        query = select(*columns, *named, review_items.c.frame_file, review_items.c.trace)
        query = query.outerjoin(review_items, review_items.c.key == verdicts.c.key).order_by(verdicts.c.key)
        last = ""
        while rows := self._all(query.where(verdicts.c.judged_at < before, verdicts.c.key > last).limit(_PORTION)):
            last = rows[-1][0]
            yield [self._old(row) for row in rows]

    def remove_records(self, records: Sequence[OldRecord]) -> None:
        """Remove verdicts and all that hangs on them, and remember how many they were."""
        keys = [record.key for record in records]
        removed = Counter((one.batch, one.product, one.view, one.verdict) for one in records)
        names = ("batch", "product", "view", "verdict")
        rows = [{**dict(zip(names, grounds, strict=True)), "rows": count} for grounds, count in sorted(removed.items())]
        insertion = self._database.insert(aged_batches)
        more = {"rows": aged_batches.c.rows + insertion.excluded.rows}
        with self._database.writing() as connection:
            for table in _BY_KEY:
                connection.execute(delete(table).where(table.c.key.in_(keys)))
            connection.execute(insertion.on_conflict_do_update(index_elements=names, set_=more), rows)

    def count_events(self, before: datetime | None = None) -> tuple[int, int]:
        """How many events of lines there are (from before), and about how many bytes they take."""
        query = select(func.count(), func.sum(func.length(line_events.c.said) + _EVENT_BYTES))
        return self._count(query if before is None else query.where(line_events.c.at < before))

    def remove_events(self, before: datetime) -> int:
        """Remove a portion of the events from before, and return how many."""
        chosen = select(line_events.c.id).where(line_events.c.at < before).limit(_PORTION)
        with self._database.writing() as connection:
            return connection.execute(delete(line_events).where(line_events.c.id.in_(chosen))).rowcount

    def give_back_pages(self) -> int:
        """Give SQLite's free pages back where it is worth it; how many bytes the file lost."""
        return give_back_pages(self._database)

    def _old(self, row: Sequence[Any]) -> OldRecord:
        verdict, batch, product, view, size, frame_file, trace = row[7:]
        return OldRecord(
            key=row[0],
            verdict=verdict,
            batch=batch,
            product=product,
            view=view,
            size=int(size),
            use=self._use(row, batch),
            frame_file=frame_file or "",
            traced=bool(trace) and trace != AGED_OUT,
        )

    def _use(self, row: Sequence[Any], batch: str) -> PartUse:
        _, at, product, view, queue, pushed_at, answered = row[:7]
        filled = max(at, pushed_at or at)
        is_open = filled >= self._open_since or (product, view, queue) in self._open_queues()
        waiting = product is not None and not answered and is_open
        return PartUse(at=at, batches=frozenset({batch}), reviewed=bool(answered), waiting=waiting)

    def _open_queues(self) -> frozenset[tuple[str, str, str]]:
        """Queues that somebody answered lately."""
        if self._open is None:
            names = (review_items.c.product, review_items.c.view, review_items.c.queue)
            query = select(*names).join(review_answers, review_answers.c.key == review_items.c.key)
            query = query.where(review_answers.c.answered_at >= self._open_since, review_items.c.queue != "").distinct()
            self._open = frozenset((row[0], row[1], row[2]) for row in self._all(query))
        return self._open

    def _count(self, query: Executable) -> tuple[int, int]:
        count, size = self._all(query)[0]
        return int(count), int(size or 0)

    def _all(self, query: Executable) -> Sequence[Any]:
        with self._database.reading() as connection:
            return connection.execute(query).all()


def _items(first: ColumnElement[Any]) -> Select[Any]:
    """The parts of which a column names something, with what `_use` wants; judged or, after a kill, only chosen."""
    at = func.coalesce(verdicts.c.judged_at, review_items.c.chosen_at)
    query = select(first, at, *_ITEM, _answered(review_items.c.key))
    return query.outerjoin(verdicts, verdicts.c.key == review_items.c.key).where(first != "")


def _answered(key: ColumnElement[str]) -> ColumnElement[bool]:
    return exists().where(review_answers.c.key == key).label("answered")


def _size() -> ColumnElement[int]:
    texts = (verdicts.c.frame, verdicts.c.part_id, verdicts.c.reason, verdicts.c.regions, verdicts.c.matrix)
    size: ColumnElement[int] = func.coalesce(func.length(cast(texts[0], Text)), 0) + _ROW_BYTES
    for column in texts[1:]:
        size = size + func.coalesce(func.length(cast(column, Text)), 0)
    return size


def _portions(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _PORTION):
        yield names[start : start + _PORTION]
