"""Retain: hold everything against the policy, once; what has had its days goes, safely at any moment."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from inspection.errors import GoldentwinError, RecordsError, RetentionError, TrackingError
from pipeline.open_batches import LONGEST
from pipeline.outbox import waiting
from pipeline.records import RetentionRecords
from pipeline.retention.frames import age_frames
from pipeline.retention.ground import Ground
from pipeline.retention.pictures import age_evidence
from pipeline.retention.policy import Ages, RetentionPolicy, load_policy
from pipeline.retention.reports import age_reports
from pipeline.retention.rows import age_events, age_records
from pipeline.retention.tally import Aged, Kind, OutOfTimeError, Tally, Way
from pipeline.retention.tracked import age_batch_artifacts, age_traces
from pipeline.tracking.ageing import ageing_room, nothing_tracked
from pipeline.tracking.entry import RefusedError, read_note

if TYPE_CHECKING:
    from pipeline.workspace import Workspace

_LOCK_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Retained:
    """What went and what stayed, by kind; `problems` are what could not be done, `given_back` the database's bytes.

    `whole` is False for a survey that ran out of time.
    """

    kinds: tuple[Aged, ...]
    dry_run: bool
    problems: tuple[str, ...]
    given_back: int
    whole: bool = True


def retain(workspace: Workspace, *, dry_run: bool = False, now: datetime | None = None) -> Retained:
    """Hold everything against the policy; remove what has had its days, or with `dry_run` only say what would go.

    Safe beside running batches and lines, and when killed at any moment; doing it again changes nothing more. What
    MLflow holds is left out, and said to be, where MLflow does not answer.

    Raises:
        RetentionError: the policy contradicts itself, or another process is at it.
        RecordsError: the records can't be read or written.
    """
    policy = load_policy(workspace)
    if not _recorded(workspace):
        return Retained(kinds=_nothing(), dry_run=dry_run, problems=(), given_back=0)
    if dry_run:
        return _Retaining(workspace, policy, now, Way(dry=True)).all()
    workspace.home.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(workspace.home / ".retain.lock", timeout=_LOCK_SECONDS):
            return _Retaining(workspace, policy, now, Way(dry=False)).all()
    except Timeout as error:
        message = "another process is at the retention of this home; wait for it"
        raise RetentionError(message) from error


def survey(workspace: Workspace, *, until: float) -> Retained:
    """What would go of all that lies in the home, without asking MLflow, until `time.monotonic` says `until`.

    Raises:
        RetentionError: the policy contradicts itself.
        RecordsError: the records can't be read.
    """
    policy = load_policy(workspace)
    if not _recorded(workspace):
        return Retained(kinds=_nothing(), dry_run=True, problems=(), given_back=0)
    return _Retaining(workspace, policy, None, Way(dry=True, until=until)).all(tracked=False)


def _recorded(workspace: Workspace) -> bool:
    """Whether there are records: without, nobody knows what was reviewed, and nothing may go."""
    return bool(os.environ.get("GOLDENTWIN_DATABASE_URL")) or (workspace.home / "records.db").exists()


def _nothing() -> tuple[Aged, ...]:
    return tuple(Tally(kind=kind).result() for kind in Kind)


class _Retaining:
    """One run."""

    def __init__(self, workspace: Workspace, policy: RetentionPolicy, now: datetime | None, way: Way) -> None:
        self._started = datetime.now(UTC)
        self._workspace, self._way = workspace, way
        self._ages = Ages(policy=policy, now=now or self._started)
        self._tallies = {kind: Tally(kind=kind) for kind in Kind}
        self._problems: list[str] = []

    def all(self, *, tracked: bool = True) -> Retained:
        since = self._ages.cutoff(self._ages.policy.open_queues)
        given_back, whole = 0, True
        with RetentionRecords(self._workspace.records_url, open_since=since) as records:
            ground = self._ground(records)
            try:
                age_evidence(ground, self._tallies[Kind.EVIDENCE])
                age_frames(ground, self._tallies[Kind.FRAMES])
                settled = self._tracked(ground) if tracked else True
                age_reports(ground, self._tallies[Kind.BATCH_REPORTS])
                age_records(ground, self._tallies[Kind.RECORDS], traces_settled=settled)
                age_events(ground, self._tallies[Kind.LINE_EVENTS])
            except OutOfTimeError:
                whole = False
            if not self._way.dry:
                given_back = self._give_back(records)
        tallies = self._tallies.values()
        problems = [*self._problems, *(problem for tally in tallies for problem in tally.problems)]
        return Retained(
            kinds=tuple(tally.result() for tally in tallies),
            dry_run=self._way.dry,
            problems=tuple(problems),
            given_back=given_back,
            whole=whole,
        )

    def _ground(self, records: RetentionRecords) -> Ground:
        untouched = records.newest_batches()
        if not untouched and any(self._workspace.frames.glob("*/*")):
            message = "the records hold no verdict, but the home has kept frames; is this the right "
            raise RetentionError(message + "database? check GOLDENTWIN_DATABASE_URL")
        return Ground(
            workspace=self._workspace,
            records=records,
            ages=self._ages,
            way=self._way,
            untouched=frozenset(untouched | _begun(self._workspace, self._ages.now) | _to_deliver(self._workspace)),
            started=self._started,
        )

    def _tracked(self, ground: Ground) -> bool:
        """Age what MLflow holds; whether it could be asked."""
        if nothing_tracked(self._workspace):
            return True
        try:
            with ageing_room(self._workspace) as room:
                age_traces(ground, room, self._tallies[Kind.TRACES])
                age_batch_artifacts(ground, room, self._tallies[Kind.BATCH_ARTIFACTS])
        except TrackingError as error:
            self._problems.append(str(error))
            return False
        return True

    def _give_back(self, records: RetentionRecords) -> int:
        try:
            return records.give_back_pages()
        except RecordsError as error:  # another night
            self._problems.append(f"the database's free pages were not given back: {error}")
            return 0


def _begun(workspace: Workspace, now: datetime) -> set[str]:
    """Batches begun and not summarised that may run still; one that was killed is not taken up after `LONGEST`."""
    found = set()
    for path in (workspace.home / "open_batches").glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            begun = json.loads(path.read_text(encoding="utf-8"))
            if now - datetime.fromisoformat(begun["at"]) < 2 * LONGEST:
                found.add(str(begun["batch"]))
    return found


def _to_deliver(workspace: Workspace) -> set[str]:
    """Batches that MLflow is still to be told of."""
    found = set()
    for job in waiting(workspace):
        with suppress(RefusedError, GoldentwinError):
            found.add(read_note(job).tags.get("goldentwin.batch", ""))
    return found - {""}
