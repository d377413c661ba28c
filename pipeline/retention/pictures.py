"""Evidence ages out: first the rows say so, then the pictures go."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from inspection.errors import RecordsError
from pipeline.evidence import evidence_ages, remove_evidence
from pipeline.records.schema import storable
from pipeline.retention.ground import Going, portions
from pipeline.retention.tally import Kind, Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.evidence_store import EvidenceAge
    from pipeline.records import PartUse
    from pipeline.retention.ground import Ground


def age_evidence(ground: Ground, tally: Tally) -> None:
    """Count and, unless it is dry, remove the pictures that have had their days, batch by batch.

    The age is that of the verdict. A picture that no row names stays as long as a reviewed one: another database may
    know it.

    Raises:
        RecordsError: the records can't be read or written.
    """
    going = Going(ground.workspace, Kind.EVIDENCE.value)
    for batch, pictures in groupby(evidence_ages(ground.workspace), key=lambda one: one.batch):
        ground.way.go_on()
        uses = ground.records.pictures(batch)
        gone = []
        for picture in pictures:
            if _goes(ground, picture, uses.get(storable(picture.evidence)), going.left):
                gone.append(picture)
            else:
                tally.stay(picture.size)
        for portion in portions(gone):
            _remove(ground, tally, going, batch, portion)
    if not ground.way.dry:
        going.end()


def _goes(ground: Ground, picture: EvidenceAge, use: PartUse | None, left: frozenset[str]) -> bool:
    policy = ground.ages.policy
    if picture.batch in ground.untouched:
        return False
    if use is None:
        return picture.evidence in left or ground.ages.old(picture.modified, policy.reviewed_evidence)
    days = policy.reviewed_evidence if use.reviewed else policy.evidence
    return not ground.needed(use) and ground.ages.old(use.at, days)


def _remove(ground: Ground, tally: Tally, going: Going, batch: str, portion: Sequence[EvidenceAge]) -> None:
    if ground.way.dry:
        for picture in portion:
            tally.go(picture.size)
        return
    names = [picture.evidence for picture in portion]
    going.begin(names)
    ground.records.forget_pictures(batch, names)
    for picture in portion:
        try:
            remove_evidence(ground.workspace, picture.evidence)
            tally.go(picture.size)
        except RecordsError as error:
            going.failed(picture.evidence)
            tally.problems.append(str(error))
            tally.stay(picture.size)
