"""What MLflow holds ages out: traces of parts, and the files of batches' runs; never other runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.retention.ground import portions

if TYPE_CHECKING:
    from pipeline.records import PartUse
    from pipeline.retention.ground import Ground
    from pipeline.retention.tally import Tally
    from pipeline.tracking.ageing import AgeingRoom, OldTrace


def age_traces(ground: Ground, room: AgeingRoom, tally: Tally) -> None:
    """Count and, unless it is dry, remove the traces that have had their days, with the files they would leave behind.

    On a server that others use too, only traces of parts that these records know.

    Raises:
        RecordsError, TrackingError: the records or MLflow do not take part.
    """
    known = ground.records.traced()
    for portion in portions(room.old_traces(ground.ages.cutoff(ground.ages.policy.traces))):
        ground.way.go_on()
        parts = ground.records.parts([trace.key for trace in portion])
        gone = [trace for trace in portion if _goes(ground, room, trace, parts.get(trace.key))]
        sizes = [room.size_of(trace.location) for trace in gone]
        if gone and not ground.way.dry:
            ground.records.forget_traces([trace.key for trace in gone])
            room.remove_traces(gone)
        tally.go(sum(sizes), len(gone))
        known -= sum(trace.key in parts for trace in gone)
    tally.kept, tally.bytes_kept = (
        max(0, known),
        room.size_of_all_traces(less=0 if not ground.way.dry else tally.bytes_gone),
    )


def _goes(ground: Ground, room: AgeingRoom, trace: OldTrace, part: PartUse | None) -> bool:
    policy = ground.ages.policy
    if trace.batch in ground.untouched or (part is None and not room.own):
        return False
    if part is not None and ground.needed(part):
        return False
    if trace.answered and (part is None or not part.reviewed):
        return False  # an answer that was not pulled yet
    reviewed = part is not None and part.reviewed
    return ground.ages.old(trace.at, policy.reviewed_traces if reviewed else policy.traces)


def age_batch_artifacts(ground: Ground, room: AgeingRoom, tally: Tally) -> None:
    """Count and, unless it is dry, remove the files of batches' runs that have had their days; the runs stay.

    Raises:
        RecordsError, TrackingError: the records or MLflow do not take part.
    """
    runs = room.batch_runs()
    mine = None if room.own else ground.records.known_batches({run.batch for run in runs})
    for run in runs:
        if mine is not None and run.batch not in mine:
            continue
        ground.way.go_on()
        old = ground.ages.old(run.at, ground.ages.policy.batch_artifacts)
        if not old or run.batch in ground.untouched:
            tally.stay(room.size_of(run.location) if room.local(run.location) else 0)
            continue
        size = room.size_of(run.location)
        if not ground.way.dry:
            room.remove_artifacts(run, ground.ages.now)
        tally.go(size)
    if any(not room.local(run.location) for run in runs):
        tally.bytes_kept = None
