"""A home with parts of any age, for tests of retention: rows, pictures, frames and answers; nothing is judged."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from sqlalchemy import update
from verdict_samples import judged

from pipeline.evidence import write_evidence
from pipeline.records import LineEventRecords, ReviewRecords, VerdictRecords
from pipeline.records.later_tables import review_items
from pipeline.records.schema import key_of, verdicts
from pipeline.retention.retaining import Retained
from pipeline.retention.tally import Kind as Ageing
from pipeline.review.choosing import LiveFrame, keep_frame
from pipeline.review.items import Answer, ReviewItem
from pipeline.review.selection import Kind
from pipeline.workspace import Workspace

PICTURE = np.full((8, 16, 3), 90, np.uint8)
PRODUCT, VIEW = "bolt", "top"
TONIGHT = "tonight"


def ago(days: float) -> datetime:
    """The moment so many days ago."""
    return datetime.now(UTC) - timedelta(days=days)


def make_old(path: Path, days: float) -> None:
    """Let a file be as old as its part."""
    os.utime(path, (ago(days).timestamp(),) * 2)


def part(
    line: Workspace,
    name: str,
    *,
    days: float,
    flagged: bool = True,
    answered: bool = False,
    chosen: bool = True,
    pushed: bool = True,
    batch: str = "",
    queue: str = "",
) -> str:
    """Record a part so many days old with picture, kept frame and, if `answered`, a label, and give its key.

    Each lies in a batch of its own unless told otherwise.
    """
    batch, data = batch or f"batch-{name}", name.encode()
    sha256 = hashlib.sha256(data).hexdigest()
    verdict = judged(name, 0.2 if flagged else 0.9, sha256=sha256)
    key = key_of(verdict)
    relative = Path()
    if flagged or chosen:
        picture = write_evidence(line.evidence / PRODUCT / VIEW / batch, name, PICTURE)
        make_old(picture, days)
        relative = picture.relative_to(line.home)
    with VerdictRecords(line.records_url) as records, ReviewRecords(line.records_url) as reviews:
        records.add([verdict], batch=batch, evidence={name: relative} if flagged else {}, nearest={name: "golden.png"})
        if chosen:
            frame_file = keep_frame(line, LiveFrame(data=data, suffix=".png"), sha256)
            make_old(line.home / frame_file, days)
            kind = Kind.FLAGGED if flagged else Kind.SAMPLED
            names = {"product": PRODUCT, "view": VIEW, "batch": batch, "frame_file": frame_file}
            reviews.choose([ReviewItem(key=key, kind=kind, chance=1.0, picture=relative.as_posix(), **names)])
        if chosen and pushed:
            reviews.mark_pushed([key], queue=queue or f"night {name}")
        if answered:
            reviews.add_answers([answer(key, days)])
        with records._database.writing() as connection:
            connection.execute(update(verdicts).where(verdicts.c.key == key).values(judged_at=ago(days)))
            moments = {"chosen_at": ago(days), "pushed_at": ago(days) if pushed else None}
            connection.execute(update(review_items).where(review_items.c.key == key).values(moments))
    return key


def answer(key: str, days: float, *, who: str = "anna") -> Answer:
    """A reviewer's word on a part, so many days ago."""
    return Answer(
        id=f"{key}-{who}", key=key, question="verdict", value="defect", comment="", reviewer=who, answered_at=ago(days)
    )


def tonight(line: Workspace) -> str:
    """A part judged just now: its batch is the newest."""
    return part(line, "new.png", days=0, batch=TONIGHT)


def row(line: Workspace, key: str) -> dict[str, object] | None:
    """The verdict's row; None where there is none."""
    with VerdictRecords(line.records_url) as records:
        return next((one for one in records.rows() if one["key"] == key), None)


def item(line: Workspace, key: str) -> ReviewItem:
    """The part as the review sees it."""
    with ReviewRecords(line.records_url) as records:
        (found,) = records.items(keys=[key])
    return found


def dangling(line: Workspace) -> list[str]:
    """Files that rows point to and that are not there."""
    with VerdictRecords(line.records_url) as records, ReviewRecords(line.records_url) as reviews:
        named = [one["evidence"] for one in records.rows()]
        for one in reviews.items():
            named += [one.picture, one.frame_file]
    return [name for name in named if name and not (line.home / name).is_file()]


def files(line: Workspace) -> set[str]:
    """All evidence pictures and kept frames there are, also half removed ones."""
    return {
        path.relative_to(line.home).as_posix()
        for folder in (line.evidence, line.frames)
        for path in folder.rglob("*")
        if path.is_file()
    }


def line_event(line: Workspace, days: float) -> None:
    """Something that happened to a line."""
    from pipeline.line.events import EventKind, LineEvent

    event = LineEvent(line="line1", kind=EventKind.RECORDS_LOST, said=f"{days} days ago", at=ago(days), sequence=1)
    with LineEventRecords(line.records_url) as records:
        records.add([event])


def by_kind(done: Retained) -> dict[Ageing, int]:
    """What went, by kind, without zeros."""
    return {one.kind: one.gone for one in done.kinds if one.gone}
