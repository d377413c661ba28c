"""What is to be told to MLflow, kept on disk until it is delivered: inspection goes on while MLflow is down."""

from __future__ import annotations

import logging
import os
import shutil
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from filelock import FileLock, Timeout

from inspection.errors import GoldentwinError, TrackingError
from pipeline.tracking.connection import require_reachable, tracking_uri
from pipeline.tracking.entry import RefusedError, RunEntry
from pipeline.tracking.runs import delivery
from pipeline.tracking.values import safe_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.workspace import Workspace

logger = logging.getLogger(__name__)
REJECTED = "rejected"
REASON_FILE = "reason.txt"
LOCK_SECONDS = 3.0
_MAX_FAILURES = 3
_ABANDONED_SECONDS = 86_400.0
_DRAFT = ".draft-"


class Log(Protocol):
    """What can be posted: `CalibrationLog`, `BatchLog`, `EvaluationLog`."""

    def entry(self) -> RunEntry:
        """The MLflow run that shows it."""


@dataclass(frozen=True, kw_only=True)
class DeliveryReport:
    """How many jobs were delivered, how many wait, how many were set aside, and why not all were delivered."""

    delivered: int
    waiting: int
    rejected: int = 0
    reason: str | None = None


def post(workspace: Workspace, log: Log) -> bool:
    """Keep `log` on disk, then try to deliver all that waits; give whether this one was delivered.

    Never raises for a full disk or a dead MLflow, but warns in one line: what was judged is in the records already.
    """
    try:
        job = enqueue(workspace, log)
    except OSError as error:
        logger.warning("not logged to MLflow: %s can't be written (%s)", workspace.outbox, error)
        return False
    report = deliver(workspace)
    if report.reason is not None:
        logger.warning("%s; %d waiting in %s, delivered later", report.reason, report.waiting, workspace.outbox)
    return not job.exists() and not (workspace.outbox / REJECTED / job.name).exists()


def enqueue(workspace: Workspace, log: Log) -> Path:
    """Write `log` as a job folder, complete or not at all, and give the folder.

    Raises:
        OSError: the disk is full, or the outbox can't be written.
    """
    entry = log.entry()
    workspace.outbox.mkdir(parents=True, exist_ok=True)
    draft = workspace.outbox / f"{_DRAFT}{uuid.uuid4().hex}"
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{safe_name(entry.note.key)}"
    try:
        entry.write(draft)
        _flush(draft)
        return draft.replace(workspace.outbox / name)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def waiting(workspace: Workspace) -> list[Path]:
    """The jobs that wait, oldest first."""
    if not workspace.outbox.is_dir():
        return []
    return sorted(p for p in workspace.outbox.iterdir() if p.is_dir() and p.name[0] != "." and p.name != REJECTED)


def deliver(workspace: Workspace) -> DeliveryReport:
    """Try to deliver what waits, oldest first; one process at a time.

    What MLflow takes is removed. A damaged job, or one whose content MLflow refuses, goes to `rejected/` with the
    reason beside it. When MLflow does not answer, the rest waits.
    """
    if not waiting(workspace):
        return DeliveryReport(delivered=0, waiting=0)
    try:
        with FileLock(workspace.outbox / ".lock", timeout=LOCK_SECONDS):
            return _deliver(workspace)
    except Timeout:
        return _report(workspace, reason="another process is delivering to MLflow")
    except OSError as error:
        return _report(workspace, reason=f"{workspace.outbox} can't be locked ({error})")


def _deliver(workspace: Workspace) -> DeliveryReport:
    _remove_abandoned(workspace)
    tally = _Tally()
    try:
        with delivery(workspace) as deliver_job:
            while jobs := [job for job in waiting(workspace) if job.name not in tally.failed]:
                _try(workspace, deliver_job, jobs[0], tally)
    except TrackingError as error:
        tally.reason = str(error)
    except Exception as error:  # noqa: BLE001 - whatever MLflow and its database raise, inspection goes on
        tally.reason = _one_line(error)
    return _report(workspace, delivered=tally.delivered, rejected=tally.rejected, reason=tally.reason)


@dataclass(kw_only=True)
class _Tally:
    """What happened so far in one delivery."""

    delivered: int = 0
    rejected: int = 0
    failed: set[str] = field(default_factory=set)
    reason: str | None = None


def _try(workspace: Workspace, deliver_job: Callable[[Path], str], job: Path, tally: _Tally) -> None:
    """Deliver one job. A failure that is the job's own does not hold up the others; a dead MLflow ends it all."""
    try:
        deliver_job(job)
    except RefusedError as error:
        _reject(workspace, job, str(error))
        tally.rejected += 1
        tally.reason = str(error)
    except Exception as error:
        tally.failed.add(job.name)
        tally.reason = f"MLflow did not take {job.name}: {_one_line(error)}"
        require_reachable(tracking_uri(workspace))
        if len(tally.failed) >= _MAX_FAILURES:
            raise TrackingError(tally.reason) from error
    else:
        _remove(job)
        tally.delivered += 1


def _reject(workspace: Workspace, job: Path, reason: str) -> None:
    target = workspace.outbox / REJECTED / job.name
    target.parent.mkdir(exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    job.replace(target)
    (target / REASON_FILE).write_text(f"{reason}\n", encoding="utf-8")


def _remove(job: Path) -> None:
    """Out of the queue in one step, then from the disk."""
    draft = job.replace(job.with_name(f"{_DRAFT}{uuid.uuid4().hex}"))
    shutil.rmtree(draft, ignore_errors=True)


def _remove_abandoned(workspace: Workspace) -> None:
    """Drafts that a killed process left; one that is being written now is young."""
    for draft in workspace.outbox.glob(f"{_DRAFT}*"):
        if time.time() - draft.stat().st_mtime > _ABANDONED_SECONDS:
            shutil.rmtree(draft, ignore_errors=True)


def _report(workspace: Workspace, *, delivered: int = 0, rejected: int = 0, reason: str | None) -> DeliveryReport:
    left = len(waiting(workspace))
    return DeliveryReport(delivered=delivered, waiting=left, rejected=rejected, reason=reason)


def _flush(folder: Path) -> None:
    """Ask the system to put the folder's files on the disk: a job must outlive a power cut."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _one_line(error: Exception) -> str:
    kind = "" if isinstance(error, GoldentwinError) else f"{type(error).__name__}: "
    return kind + (str(error).strip().splitlines() or [""])[0][:300]
