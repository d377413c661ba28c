"""What challengers said of frames that the champion judged: add, ask, and set beside the champion's verdicts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Self

from sqlalchemy import select

from pipeline.records.database import Database
from pipeline.records.later_tables import shadow_verdicts
from pipeline.records.schema import verdicts

_KEYS_PER_QUERY = 500
_OF_THE_CHAMPION = ("frame", "part_id", "frame_sha256", "verdict", "similarity", "threshold", "reason", "evidence")
_OF_THE_CHALLENGER = ("verdict", "similarity", "threshold", "reason", "evidence")


@dataclass(frozen=True, kw_only=True)
class ShadowVerdict:
    """What a challenger said of one frame.

    `key` is that of the champion's verdict, `challenger` the digest of its bundle; `regions` as `inspect --json` has
    them, empty where only the threshold is another; `evidence` is a path relative to the home.
    """

    key: str
    challenger: str
    batch: str
    verdict: str
    similarity: float | None
    threshold: float | None
    reason: str | None
    regions: list[dict[str, Any]] = field(default_factory=list)
    evidence: str | None = None


class ShadowRecords:
    """The shadow verdicts in the database of the verdict records, to be used in a `with` block.

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

    def add(self, found: Sequence[ShadowVerdict]) -> int:
        """Record them in one transaction and return how many are new; one recorded before stays as it is."""
        if not found:
            return 0
        rows = [asdict(one) for one in sorted(found, key=lambda one: one.key)]
        statement = self._database.insert(shadow_verdicts).on_conflict_do_nothing()
        with self._database.writing() as connection:
            return connection.execute(statement, rows, execution_options={"preserve_rowcount": True}).rowcount

    def judged(self, challenger: str, keys: Collection[str]) -> set[str]:
        """Which of these keys the challenger has judged."""
        wanted = sorted(keys)
        known: set[str] = set()
        with self._database.reading() as connection:
            for start in range(0, len(wanted), _KEYS_PER_QUERY):
                query = select(shadow_verdicts.c.key).where(
                    shadow_verdicts.c.challenger == challenger,
                    shadow_verdicts.c.key.in_(wanted[start : start + _KEYS_PER_QUERY]),
                )
                known.update(connection.execute(query).scalars())
        return known

    def beside_champion(self, *, product: str, view: str, batch: str) -> list[dict[str, Any]]:
        """Every frame of the batch that a challenger judged too, with both verdicts, sorted by frame.

        Keys are `challenger`, those of the champion's row (frame, part_id, frame_sha256, verdict, similarity,
        threshold, reason, evidence), and `shadow_verdict`, `shadow_similarity` and so on of the challenger.
        """
        shadow = [shadow_verdicts.c[name].label(f"shadow_{name}") for name in _OF_THE_CHALLENGER]
        query = (
            select(shadow_verdicts.c.challenger, *(verdicts.c[name] for name in _OF_THE_CHAMPION), *shadow)
            .join(verdicts, verdicts.c.key == shadow_verdicts.c.key)
            .where(shadow_verdicts.c.batch == batch, verdicts.c.product == product, verdicts.c.view == view)
            .order_by(verdicts.c.frame, verdicts.c.key)
        )
        with self._database.reading() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's documented name
