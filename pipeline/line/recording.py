"""Record: what was told goes from the spool to the verdict records, with its evidence, behind the line's back."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, defaultdict
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from inspection.errors import RecordsError
from inspection.verdicts import Reason
from pipeline.line.admitted import LIVE_SUFFIX, file_bytes, too_late
from pipeline.line.events import EventKind
from pipeline.records import LineEventRecords, ReviewRecords, VerdictRecords
from pipeline.records.schema import row_from_text, row_of, row_text
from pipeline.review.choosing import LiveFrame, Witness

if TYPE_CHECKING:
    from pathlib import Path

    from inspection.inspector import Inspector
    from pipeline.line.admitted import Decided
    from pipeline.line.settings import LineSettings
    from pipeline.line.status import LineStatus
    from pipeline.line.twofold_spool import TwofoldSpool
    from pipeline.records import SpooledPart

WHAT: Final = "records"
_PORTION: Final = 128
_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 2.0
_MOST_PICTURES: Final = 64
_LATE_SECONDS: Final = 10.0

logger = logging.getLogger(__name__)


class Recorder:
    """Writes records, evidence and reviewers' pictures in a thread of its own, some times a second.

    While the database can't be written all waits in the spool; pictures wait in memory, the newest
    64 of them: a row whose picture had to go has no evidence. So do verdicts that came too late: a row that had to do
    without tells only that it was.

    Args:
        settings: the line's.
        spool: where decided parts wait.
        status: is told whether the records are there.
        inspector: the one that judged, for the pictures.
    """

    def __init__(self, settings: LineSettings, spool: TwofoldSpool, status: LineStatus, inspector: Inspector) -> None:
        self.inspector = inspector
        self._settings, self._spool, self._status = settings, spool, status
        self._url = settings.workspace.records_url
        self._lock = threading.Lock()
        self._seen: OrderedDict[int, Decided] = OrderedDict()
        self._late: OrderedDict[int, Decided] = OrderedDict()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, one: Decided) -> None:
        """Keep what the records will want beside the spool: the picture, or the verdict that is still to come."""
        witness = Witness(self._settings.workspace, self.inspector, one.batch)
        with self._lock:
            self._seen.pop(one.signal.sequence, None)  # it may have become another
            self._late.pop(one.signal.sequence, None)
            if _is_late(one):
                _keep_newest(self._late, one)
            elif one.verdict.frame.image is not None and witness.wants(one.verdict):
                _keep_newest(self._seen, one)

    def stop(self, *, seconds: float) -> bool:
        """Record what waits, for `seconds` at most; False where not all could be recorded: it waits in the spool."""
        self._ending.set()
        self._thread.join(seconds)
        return not self._thread.is_alive() and not self._spool.to_record(1)

    def _run(self) -> None:
        while True:
            ending = self._ending.is_set()
            problem = self._record_while_there(ending=ending)
            if problem:
                self._status.is_down(WHAT, WHAT, problem, lost=EventKind.RECORDS_LOST)
            if ending:
                return
            self._ending.wait(_RETRY_SECONDS)

    def _record_while_there(self, *, ending: bool) -> str:
        """Record until the line ends, and then return ""; else what keeps us from it."""
        try:
            with ExitStack() as stack:
                tables = _Tables(self._url, stack)
                while True:
                    self._portion(tables)
                    self._status.is_up(WHAT, WHAT, back=EventKind.RECORDS_BACK)
                    waiting = self._spool.unrecorded()
                    self._status.records_waiting(waiting)
                    if ending and not waiting:
                        return ""
                    if waiting < _PORTION:
                        ending = self._ending.wait(_SECONDS if not ending else _SECONDS / 10)
        except (RecordsError, OSError) as error:
            return str(error)
        except Exception as error:
            logger.exception("records can't be written")
            return str(error) or type(error).__name__

    def _portion(self, tables: _Tables) -> None:
        events = self._status.unwritten_events()
        try:
            tables.events.add(events)
        except RecordsError:
            self._status.give_back(events)
            raise
        parts = [part for part in self._spool.to_record(_PORTION) if not self._to_come(part)]
        by_batch: dict[str, list[SpooledPart]] = defaultdict(list)
        for part in parts:
            by_batch[part.batch].append(part)
        for batch, members in by_batch.items():
            self._record(tables, batch, members)
        with self._lock:
            for part in parts:
                self._seen.pop(part.sequence, None)
                self._late.pop(part.sequence, None)

    def _record(self, tables: _Tables, batch: str, parts: list[SpooledPart]) -> None:
        witness = Witness(self._settings.workspace, self.inspector, batch)
        with self._lock:
            seen = {part.sequence: self._seen.get(part.sequence) for part in parts}
            late = {part.sequence: self._late.get(part.sequence) for part in parts}
        rows = []
        for part in parts:
            one, came_late = seen[part.sequence], late[part.sequence]
            if one is not None:
                _see(witness, one)
            row = row_from_text(part.record or "")
            if said := self._of_late(came_late):  # another key: it must be the same after a kill
                row |= said
                self._spool.amend(part.sequence, record=row_text(row))
            rows.append({**row, **_evidence(witness.evidence.get(part.frame))})
        tables.reviews.choose(witness.items)  # before the verdicts, as in a batch
        tables.verdicts.add_rows(rows, nearest=witness.nearest)
        self._spool.mark_recorded([part.sequence for part in parts])

    def _to_come(self, part: SpooledPart) -> bool:
        """Whether the verdict of a part that was too late is still on its way."""
        one = self._late.get(part.sequence)
        if one is None or one.admitted is None or one.admitted.future is None:
            return False
        return not one.admitted.future.done() and time.monotonic() - one.admitted.shot.captured < _LATE_SECONDS

    def _of_late(self, one: Decided | None) -> dict[str, Any]:
        """What came after the deadline, in the words of a row; the verdict that was told stays."""
        if one is None or one.admitted is None or one.admitted.future is None or not one.admitted.future.done():
            return {}
        if one.admitted.future.cancelled() or one.admitted.future.exception() is not None:
            return {}
        judged = one.admitted.future.result()
        deadline = self._settings.deadline or 0.0
        seconds = judged.done_at - one.admitted.shot.captured
        told = too_late(judged.judgement, seconds=seconds, deadline=deadline)
        verdict = replace(one.verdict, frame=replace(one.verdict.frame, sha256=judged.sha256), judgement=told)
        return row_of(
            verdict, batch=one.batch, station=self._settings.line, evidence=None, judged_at=one.row["judged_at"]
        )


class _Tables:
    """The tables that a line writes to, open for as long as the stack is."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self.verdicts = stack.enter_context(VerdictRecords(url))
        self.reviews = stack.enter_context(ReviewRecords(url))
        self.events = stack.enter_context(LineEventRecords(url))


def _see(witness: Witness, one: Decided) -> None:
    """Draw and keep what reviewers want of a part; one whose picture can't be drawn is recorded without."""
    try:
        witness.see(one.verdict, _frame_file(one))
    except (RecordsError, OSError):
        raise  # they are away, and will be back
    except Exception:
        logger.exception("part %s can't be shown", one.signal.part_id)


def _keep_newest(kept: OrderedDict[int, Decided], one: Decided) -> None:
    """Each holds a picture: only so many may wait for a database that is away."""
    kept[one.signal.sequence] = one
    while len(kept) > _MOST_PICTURES:
        kept.popitem(last=False)


def _is_late(one: Decided) -> bool:
    reason = one.verdict.judgement.reason or ""
    return (
        reason.startswith(f"{Reason.TOO_LATE.value}:") and one.admitted is not None and one.admitted.future is not None
    )


def _frame_file(one: Decided) -> LiveFrame:
    shot = one.admitted.shot if one.admitted is not None else None
    data = b"" if shot is None else file_bytes(shot)
    return LiveFrame(data=data, suffix=(shot.suffix if shot is not None and shot.data is not None else LIVE_SUFFIX))


def _evidence(path: Path | None) -> dict[str, str]:
    return {} if path is None else {"evidence": path.as_posix()}
