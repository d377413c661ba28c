"""Pull: reviewers' answers come back from MLflow and are kept, with their history; and where the review stands."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspection.errors import TrackingError
from inspection.verdicts import Verdict
from pipeline.records import ReviewRecords, VerdictRecords
from pipeline.review.estimates import NightEstimate, Stratum, estimate_night
from pipeline.review.items import DEFECT
from pipeline.review.labels import DISPUTED, Agreement, Label, agreement, resolve
from pipeline.review.selection import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.review.items import ReviewItem
    from pipeline.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """What a pull brought: `new` answers of all `answers` in MLflow; `unknown` ones are of another home's parts."""

    new: int
    answers: int
    unknown: int


@dataclass(frozen=True, kw_only=True)
class QueueStatus:
    """One night's queue: how many parts wait, were pushed, are labelled or disputed; and what the night let through.

    `aged_out` parts were never pushed, and their pictures are gone by the retention policy: they wait no more.
    """

    queue: str
    batch: str
    waiting: int
    pushed: int
    labelled: int
    disputed: int
    estimate: NightEstimate
    aged_out: int = 0


@dataclass(frozen=True, kw_only=True)
class ReviewStatus:
    """Where the review of a product and view stands."""

    product: str
    view: str
    nights: tuple[QueueStatus, ...]
    agreement: Agreement
    labels: tuple[Label, ...]


def pull_reviews(workspace: Workspace, *, product: str | None = None, view: str | None = None) -> Pulled:
    """Bring the answers of all products (or one) back into the records; doing it again changes nothing.

    Raises:
        RecordsError: the records can't be read or written.
        TrackingError: MLflow does not answer.
    """
    from pipeline.tracking.review_room import review_room  # noqa: PLC0415 - knows MLflow

    new = answers = unknown = 0
    with ReviewRecords(workspace.records_url) as records:
        known: dict[tuple[str, str], set[str]] = defaultdict(set)
        for item in records.items(product=product, view=view, waiting=False):
            known[item.product, item.view].add(item.key)
        for (one, its_view), keys in known.items():
            with review_room(workspace, one, its_view) as room:
                found = room.answers()
            ours = [answer for answer in found if answer.key in keys]
            new += records.add_answers(ours)
            answers += len(found)
            unknown += len(found) - len(ours)
    return Pulled(new=new, answers=answers, unknown=unknown)


def review_status(workspace: Workspace, product: str, view: str) -> ReviewStatus:
    """Where the review stands, from the records alone.

    Raises:
        RecordsError: the records can't be read.
    """
    with ReviewRecords(workspace.records_url) as records:
        items = records.items(product=product, view=view)
        labels = resolve(records.answers(product=product, view=view))
    batches: dict[str, list[ReviewItem]] = defaultdict(list)
    for item in items:
        batches[item.batch].append(item)
    by_key = {label.key: label for label in labels}
    with VerdictRecords(workspace.records_url) as verdicts:
        nights = [
            _night(batch, members, by_key, verdicts.counts(batch, product=product, view=view))
            for batch, members in batches.items()
        ]
    nights.sort(key=lambda night: (night.queue, night.batch))
    return ReviewStatus(
        product=product, view=view, nights=tuple(nights), agreement=agreement(labels), labels=tuple(labels)
    )


def label_of(workspace: Workspace, product: str, view: str) -> dict[str, Label]:
    """The labels of a product and view by the key of their verdict; disputed ones are among them.

    Raises:
        RecordsError: the records can't be read.
        TrackingError: nobody has reviewed a part yet.
    """
    with ReviewRecords(workspace.records_url) as records:
        labels = resolve(records.answers(product=product, view=view))
    if not labels:
        message = f"no part of {product}/{view} has been reviewed; run `goldentwin review push`, review, then `pull`"
        raise TrackingError(message)
    return {label.key: label for label in labels}


def _night(
    batch: str, items: Sequence[ReviewItem], labels: dict[str, Label], counts: dict[Verdict, int]
) -> QueueStatus:
    flagged = _stratum([item for item in items if item.kind is Kind.FLAGGED], labels, counts[Verdict.FLAG])
    passed = _stratum([item for item in items if item.kind is Kind.SAMPLED], labels, counts[Verdict.PASS])
    unpushed = [item for item in items if not item.trace]
    waiting = sum(bool(item.picture) for item in unpushed)
    found = [labels[item.key] for item in items if item.key in labels]
    return QueueStatus(
        queue=next((item.queue for item in items if item.queue), ""),
        batch=batch,
        waiting=waiting,
        pushed=len(items) - len(unpushed),
        labelled=len(found),
        disputed=sum(label.value == DISPUTED for label in found),
        estimate=estimate_night(flagged, passed),
        aged_out=len(unpushed) - waiting,
    )


def _stratum(items: Sequence[ReviewItem], labels: dict[str, Label], parts: int) -> Stratum:
    """A disputed part counts as not reviewed."""
    decided = [labels[item.key].value for item in items if item.key in labels]
    decided = [value for value in decided if value != DISPUTED]
    return Stratum(parts=parts, reviewed=len(decided), defective=decided.count(DEFECT))
