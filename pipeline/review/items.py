"""The plain words of a review: items, answers, and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.review.selection import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

VERDICT, DEFECT_TYPE = "verdict", "defect_type"
DEFECT, GOOD = "defect", "good"


@dataclass(frozen=True, kw_only=True)
class ReviewItem:
    """One part that is to be reviewed, or was.

    `key` is that of its verdict; `frame_file` (the frame as it came, "" where it changed before it was kept) and
    `picture` (what the reviewer sees) are paths relative to the home, "" once they have aged out. `trace` and `queue`
    are "" until MLflow has it.
    `row` is the verdict's row, as `VerdictRecords.rows` gives it; empty for an item that is only just chosen.
    """

    key: str
    product: str
    view: str
    batch: str
    kind: Kind
    chance: float
    frame_file: str
    picture: str
    queue: str = ""
    trace: str = ""
    row: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one reviewer answered to one question of one part; `value` of the verdict is `defect` or `good`.

    `id` names the answer in the state it had: a changed answer is another one.
    """

    id: str
    key: str
    question: str
    value: str
    comment: str
    reviewer: str
    answered_at: datetime
