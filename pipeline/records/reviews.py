"""What is to be reviewed, and what was answered: add, ask, mark as pushed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from sqlalchemy import LABEL_STYLE_TABLENAME_PLUS_COL, Row, select, update

from pipeline.records.database import Database
from pipeline.records.later_tables import nearest_goldens, review_answers, review_items
from pipeline.records.schema import plain_values, verdicts
from pipeline.review.items import Answer, ReviewItem
from pipeline.review.selection import Kind

_ITEM_FIELDS = frozenset(ReviewItem.__dataclass_fields__)
_ANSWER_COLUMNS = tuple(Answer.__dataclass_fields__)


class ReviewRecords:
    """The reviews in the database of the verdict records, to be used in a `with` block.

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

    def choose(self, items: Sequence[ReviewItem]) -> int:
        """Note parts that are to be reviewed and return how many are new; one noted before stays as it is."""
        if not items:
            return 0
        now = datetime.now(UTC)
        rows = [{**asdict(item), "kind": item.kind.value, "chosen_at": now} for item in items]
        for row in rows:
            del row["row"]
        statement = self._database.insert(review_items).on_conflict_do_nothing()
        with self._database.writing() as connection:
            return connection.execute(statement, rows, execution_options={"preserve_rowcount": True}).rowcount

    def items(
        self,
        *,
        product: str | None = None,
        view: str | None = None,
        batch: str | None = None,
        keys: Collection[str] | None = None,
        waiting: bool | None = None,
    ) -> list[ReviewItem]:
        """The parts that were chosen and judged, each with its verdict's row, least similar first.

        With `waiting`, those that MLflow does not have yet and whose picture has not aged out (True), or that it has
        (False). A part whose verdict was not recorded, because a kill came between, is not among them.
        """
        query = select(review_items, verdicts, nearest_goldens)
        query = query.join(verdicts, verdicts.c.key == review_items.c.key)
        query = query.outerjoin(nearest_goldens, nearest_goldens.c.key == review_items.c.key)
        query = query.set_label_style(LABEL_STYLE_TABLENAME_PLUS_COL).order_by(verdicts.c.similarity, verdicts.c.key)
        for column, wanted in (("product", product), ("view", view), ("batch", batch)):
            if wanted is not None:
                query = query.where(review_items.c[column] == wanted)
        if keys is not None:
            query = query.where(review_items.c.key.in_(sorted(keys)))
        if waiting is not None:
            pushed = review_items.c.pushed_at
            query = (
                query.where(pushed.is_(None), review_items.c.picture != "")
                if waiting
                else query.where(pushed.is_not(None))
            )
        with self._database.reading() as connection:
            return [_item(row) for row in connection.execute(query)]

    def mark_pushed(self, keys: Collection[str], *, queue: str) -> None:
        """Note that MLflow has these parts in `queue`, each as the trace that its key names."""
        now = datetime.now(UTC)
        with self._database.writing() as connection:
            for key in sorted(keys):
                values = {"queue": queue, "trace": trace_of(key), "pushed_at": now}
                connection.execute(update(review_items).where(review_items.c.key == key).values(values))

    def add_answers(self, answers: Sequence[Answer]) -> int:
        """Keep answers and return how many are new. Nothing is ever taken away: a changed answer comes beside."""
        if not answers:
            return 0
        now = datetime.now(UTC)
        rows = [{**asdict(answer), "pulled_at": now} for answer in sorted(answers, key=lambda one: one.id)]
        statement = self._database.insert(review_answers).on_conflict_do_nothing()
        with self._database.writing() as connection:
            return connection.execute(statement, rows, execution_options={"preserve_rowcount": True}).rowcount

    def answers(self, *, product: str, view: str, batch: str | None = None) -> list[Answer]:
        """All answers on parts of a product and view, the oldest first."""
        query = select(review_answers).join(review_items, review_items.c.key == review_answers.c.key)
        query = query.where(review_items.c.product == product, review_items.c.view == view)
        if batch is not None:
            query = query.where(review_items.c.batch == batch)
        query = query.order_by(review_answers.c.answered_at, review_answers.c.id)
        with self._database.reading() as connection:
            return [
                Answer(**{name: getattr(row, name) for name in _ANSWER_COLUMNS}) for row in connection.execute(query)
            ]


def trace_of(key: str) -> str:
    """The MLflow trace of the verdict with `key`: the same for the same verdict, so that none is made twice."""
    return f"tr-{key}"


def _item(row: Row[Any]) -> ReviewItem:
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's documented name
    own = {name: values[review_items.c[name]] for name in review_items.c.keys() if name in _ITEM_FIELDS}  # noqa: SIM118 - columns, no dict
    verdict = plain_values({name: values[verdicts.c[name]] for name in verdicts.c.keys()})  # noqa: SIM118
    verdict["nearest_golden"] = values[nearest_goldens.c.golden]
    return ReviewItem(**{**own, "kind": Kind(own["kind"])}, row=verdict)
