"""Records age out: verdicts with all that hangs on them, and the events of lines. The audit record never does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from inspection.verdicts import Verdict

if TYPE_CHECKING:
    from pipeline.records import OldRecord
    from pipeline.retention.ground import Ground
    from pipeline.retention.tally import Tally

_PAUSE_SECONDS = 0.02
"""Between two portions, for those who wait to write."""


def age_records(ground: Ground, tally: Tally, *, traces_settled: bool) -> None:
    """Count and, unless it is dry, remove the verdicts that have had their days, in small transactions.

    A part with a label keeps its record as long as its frame is kept. Where MLflow could not be asked
    (`traces_settled`), parts with a trace stay, or nobody would know any more whose the trace is.

    Raises:
        RecordsError: the records can't be read or written.
    """
    count, size = ground.records.count_records()
    for portion in ground.records.old_records(ground.ages.cutoff(ground.ages.policy.records)):
        ground.way.go_on()
        gone = [one for one in portion if _goes(ground, one) and (traces_settled or not one.traced)]
        if gone and not ground.way.dry:
            ground.records.remove_records(gone)
            time.sleep(_PAUSE_SECONDS)
        tally.go(sum(one.size for one in gone), len(gone))
    tally.stay(max(0, size - tally.bytes_gone), max(0, count - tally.gone))


def age_events(ground: Ground, tally: Tally) -> None:
    """Count and, unless it is dry, remove the events of lines from long ago.

    Raises:
        RecordsError: the records can't be read or written.
    """
    before = ground.ages.cutoff(ground.ages.policy.line_events)
    (count, size), (old, old_size) = ground.records.count_events(), ground.records.count_events(before)
    while not ground.way.dry and ground.records.remove_events(before):
        time.sleep(_PAUSE_SECONDS)
    tally.go(old_size, old)
    tally.stay(size - old_size, count - old)


def _goes(ground: Ground, record: OldRecord) -> bool:
    policy, use = ground.ages.policy, record.use
    if ground.needed(use):
        return False
    if use.reviewed:
        label_kept = bool(record.frame_file) and not ground.ages.old(use.at, policy.labelled_frames)
        return not label_kept and ground.ages.old(use.at, policy.reviewed_records)
    return ground.ages.old(use.at, policy.flagged_records if record.verdict == Verdict.FLAG.value else policy.records)
