"""Looks after a running line some times a second: new calibrations, shifts, drift, MLflow, room on the disk."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from inspection.errors import GoldentwinError, TrackingError
from pipeline.line.events import EventKind
from pipeline.line.shift import Shift, shift_of
from pipeline.line.side_jobs import SideJob, start_side_job
from pipeline.opening import keep_inspector
from pipeline.tracking.connection import require_reachable, tracking_uri

if TYPE_CHECKING:
    from collections.abc import Callable

    from inspection.inspector import Inspector
    from pipeline.line.settings import LineSettings
    from pipeline.line.status import LineStatus
    from pipeline.line.twofold_spool import TwofoldSpool

_REFRESH_SECONDS: Final = 5.0
_RESTORE_SECONDS: Final = 1.0
_MLFLOW_SECONDS: Final = 15.0
_WATCH_SECONDS: Final = 60.0
_WATCH_FRAMES: Final = 100
_REPORT_SECONDS: Final = 600.0
_DISK, _MLFLOW = "disk", "MLflow"

logger = logging.getLogger(__name__)


class Caretaker:
    """Does what is due, in the caller's thread, and nothing that takes long: that runs in processes of its own.

    Args:
        settings: the line's.
        status: is told what was found.
        spool: is brought back to the disk once that has room.
        use: gets another inspector where goldens, recipe or calibration changed.
    """

    def __init__(
        self, settings: LineSettings, status: LineStatus, spool: TwofoldSpool, use: Callable[[Inspector], None]
    ) -> None:
        self._settings, self._status, self._spool, self._use = settings, status, spool, use
        self._due = dict.fromkeys((_DISK, _MLFLOW, "inspector"), 0.0)
        self._shift = shift_of(settings, datetime.now(UTC))
        self._watch: SideJob | None = None
        self._reports: list[SideJob] = []
        self._watched_at, self._watched_frames, self._headline = time.monotonic(), 0, ""
        self._inspector: Inspector | None = None
        self._probe: threading.Thread | None = None

    def look_after(self) -> None:
        """Do what is due."""
        if self._is_due(_DISK, _RESTORE_SECONDS):
            self._look_at_disk()
        if self._is_due(_MLFLOW, _MLFLOW_SECONDS) and (self._probe is None or not self._probe.is_alive()):
            self._probe = threading.Thread(target=self._look_at_mlflow, name="probe MLflow", daemon=True)
            self._probe.start()
        if self._is_due("inspector", _REFRESH_SECONDS):
            self._look_at_inspector()
        self._look_at_drift()
        self._look_at_shift()

    def close(self, *, report: bool) -> None:
        """End the side jobs; with `report` the running shift is told to MLflow first."""
        if self._watch is not None:
            self._watch.end(0.0)
        if report and self._settings.reports and self._status.captured:
            self._report(self._shift)
        if self._reports:
            self._status.event(EventKind.REPORTING, "MLflow is told of the shift; this takes a moment")
        for job in self._reports:
            job.end(_REPORT_SECONDS)
            self._hear_report(job)

    def _is_due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._due[what]:
            return False
        self._due[what] = now + seconds
        return True

    def _look_at_disk(self) -> None:
        self._spool.restore()
        if self._spool.roomy and self._spool.durable:
            self._status.is_up(_DISK, _DISK, back=EventKind.RECORDS_BACK)
            return
        said = "the disk is full; parts are written to what was kept free for them"
        if not self._spool.durable:
            said = "the disk is full to the last; no part passes until there is room"
        self._status.is_down(_DISK, _DISK, said, lost=EventKind.RECORDS_LOST)

    def _look_at_mlflow(self) -> None:
        uri = tracking_uri(self._settings.workspace)
        try:
            require_reachable(uri)
        except TrackingError as error:
            self._status.is_down(_MLFLOW, _MLFLOW, str(error), lost=EventKind.MLFLOW_LOST)
        else:
            self._status.is_up(_MLFLOW, _MLFLOW, back=EventKind.MLFLOW_BACK)

    def _look_at_inspector(self) -> None:
        settings = self._settings
        try:
            inspector = keep_inspector(settings.workspace, settings.product, settings.view, engine=settings.engine)
        except (GoldentwinError, OSError) as error:
            logger.warning("the line goes on with the goldens it has: %s", error)
            return
        if inspector is not self._inspector:
            self._inspector = inspector
            self._use(inspector)

    def _look_at_drift(self) -> None:
        if self._watch is not None and self._watch.done:
            answer = self._watch.answer() or {}
            self._watch = None
            headline = str(answer.get("headline", "")) if answer.get("causes") else ""
            causes = ", ".join(answer.get("causes", []))
            if causes and causes != self._headline:
                self._status.event(EventKind.DRIFT, headline)
            self._headline = causes
        told = self._status.captured
        if (
            self._watch is None
            and self._settings.watches
            and told - self._watched_frames >= _WATCH_FRAMES
            and time.monotonic() - self._watched_at >= _WATCH_SECONDS
        ):
            self._watched_at, self._watched_frames = time.monotonic(), told
            self._watch = self._start("watch", self._shift)

    def _look_at_shift(self) -> None:
        now = datetime.now(UTC)
        if now >= self._shift.ends:
            ended, self._shift = self._shift, shift_of(self._settings, now)
            if self._settings.reports:
                self._report(ended)
        for job in [job for job in self._reports if job.done]:
            self._reports.remove(job)
            self._hear_report(job)

    def _report(self, shift: Shift) -> None:
        job = self._start("report", shift)
        if job is not None:
            self._reports.append(job)

    def _start(self, what: str, shift: Shift) -> SideJob | None:
        try:
            return start_side_job(what, self._settings, shift.batch)
        except OSError as error:
            logger.warning("no process can be started to %s the shift: %s", what, error)
            return None

    def _hear_report(self, job: SideJob) -> None:
        answer = job.answer()
        if answer is None or "error" in answer:
            said = "its process ended without a word" if answer is None else str(answer["error"])
            self._status.event(EventKind.NOT_REPORTED, f"the shift is not in MLflow: {said}")
        elif answer.get("tracked"):
            self._status.event(EventKind.REPORTED, f"the shift is in MLflow: {answer['frames']} frames")
        else:
            self._status.event(EventKind.NOT_REPORTED, "MLflow is away; `goldentwin deliver` tells it of the shift")
