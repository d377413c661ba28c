"""Decide: in the order the parts came, each gets its final word, in time; it is written down, then told."""

from __future__ import annotations

import threading
import time
from concurrent.futures import TimeoutError as NotYetError
from datetime import datetime
from typing import TYPE_CHECKING, Final

from inspection.verdicts import Judgement, Reason
from pipeline.line.admitted import Admitted, Decided, decided, file_digest, refusal, too_late
from pipeline.line.events import EventKind, Seldom
from pipeline.line.shift import shift_of
from pipeline.records import SpooledPart
from pipeline.records.schema import row_text

if TYPE_CHECKING:
    import queue
    from collections.abc import Callable

    from inspection.inspector import Inspector
    from pipeline.line.judging import Judges
    from pipeline.line.pace import Pace
    from pipeline.line.settings import LineSettings
    from pipeline.line.status import LineStatus
    from pipeline.line.twofold_spool import TwofoldSpool

_LOOK_SECONDS: Final = 0.005


class Decider:
    """Takes the parts in their order and decides each; what is decided is told and recorded in the same words.

    Args:
        settings: the line's, with the deadline.
        pace: tells how long before the deadline a verdict must be certain to be told by it.
        spool: where it is written down before it is told.
        judges: has the inspector in use.
        status: is told.
        taken: the parts in their order; None ends them.
        can_tell: whether the receiver that acts is there.
        on_deciding: called with each part just before it is written down, once more where it had to become another.
        on_decided: called with each part once it is written down.
        has_left: called with each part once nobody judges it any more.
    """

    def __init__(  # noqa: PLR0913 - what a decider consists of, by name
        self,
        settings: LineSettings,
        *,
        pace: Pace,
        spool: TwofoldSpool,
        judges: Judges,
        status: LineStatus,
        taken: queue.Queue[Admitted | None],
        can_tell: Callable[[], bool],
        on_deciding: Callable[[Decided], None],
        on_decided: Callable[[Decided], None],
        has_left: Callable[[Admitted], None],
    ) -> None:
        self._settings, self._pace, self._spool = settings, pace, spool
        self._judges, self._status = judges, status
        self._taken, self._can_tell, self._has_left = taken, can_tell, has_left
        self._on_deciding, self._on_decided = on_deciding, on_decided
        self._late = Seldom()
        self.working_since: float | None = None
        self.problem: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="decide", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether it still decides."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait until all parts are decided."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            while (one := self._taken.get()) is not None:
                self.working_since = time.monotonic()
                self.keep(self._decide(one))
                self.working_since = None
                if one.future is not None:  # a late one may still be at it: it keeps its place until then
                    one.future.add_done_callback(lambda _future, one=one: self._has_left(one))  # type: ignore[misc]
            self._tell_of_late(self._late.rest())
        except Exception as error:  # noqa: BLE001 - the line is stopped by whoever looks after it
            self.problem = error

    def keep(self, one: Decided) -> None:
        """Write down what is decided, and hand it on. Where that can't be, the part is told not to be inspected."""
        self._on_deciding(one)
        if not self._spool.decide(_spooled(one)):
            one = self._not_recorded(one)
            self._on_deciding(one)
            self._spool.decide_in_memory(_spooled(one))
        self._status.has_decided(one)
        self._on_decided(one)

    def _decide(self, one: Admitted) -> Decided:
        inspector = self._judges.inspector
        judgement, sha256 = self._judgement(one, inspector)
        late = str(judgement.reason or "").startswith(f"{Reason.TOO_LATE.value}:")
        if late:
            self._tell_of_late(self._late.count())
        return decided(self._settings, one, judgement, sha256=sha256, batch=self._batch(one), late=late)

    def _judgement(self, one: Admitted, inspector: Inspector) -> tuple[Judgement, str]:
        deadline = self._settings.deadline
        if one.future is None:
            detail = "frames came faster than they could be judged in time"
            return refusal(Reason.SKIPPED, detail, inspector.provenance), ""
        if deadline is None:
            judged = one.future.result()
            return judged.judgement, judged.sha256
        until = one.shot.captured + deadline - self._pace.telling
        try:
            judged = one.future.result(timeout=max(0.0, until - time.monotonic()))
        except NotYetError:
            one.future.cancel()  # where nobody has begun with it, nobody will
            detail = f"no verdict that could be told within {1000 * deadline:.0f} ms of its capture"
            return refusal(Reason.TOO_LATE, detail, inspector.provenance), ""
        if time.monotonic() > until or not self._told_by(until):
            return too_late(
                judged.judgement, seconds=time.monotonic() - one.shot.captured, deadline=deadline
            ), judged.sha256
        return judged.judgement, judged.sha256

    def _told_by(self, until: float) -> bool:
        """Wait for a receiver that is away, for as long as telling it would still help."""
        while not self._can_tell():
            if time.monotonic() >= until:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def _not_recorded(self, one: Decided) -> Decided:
        """What is told of a part whose verdict can't be written down: it must not pass."""
        admitted = one.admitted
        judgement = refusal(Reason.NOT_RECORDED, "the disk is full; free space on it", one.verdict.judgement.provenance)
        if admitted is None:
            return one  # of an earlier run; it does not pass anyway
        sha256 = one.verdict.frame.sha256 or file_digest(admitted.shot)
        return decided(self._settings, admitted, judgement, sha256=sha256, batch=one.batch)

    def _batch(self, one: Admitted) -> str:
        return shift_of(self._settings, one.shot.captured_at).batch

    def _tell_of_late(self, count: int) -> None:
        if count and self._settings.deadline is not None:
            which = "a part" if count == 1 else f"{count} parts"
            said = f"{which} had no verdict, or could not be told of, within {1000 * self._settings.deadline:.0f} ms"
            self._status.event(EventKind.TOO_LATE, said)


def batch_of(settings: LineSettings, captured_at: str) -> str:
    """The batch of a part by the moment of its capture, ISO 8601."""
    return shift_of(settings, datetime.fromisoformat(captured_at)).batch


def _spooled(one: Decided) -> SpooledPart:
    signal = one.signal
    return SpooledPart(
        sequence=signal.sequence,
        frame=signal.frame,
        part_id=signal.part_id,
        captured_at=signal.captured_at,
        signal=signal.to_json(),
        record=row_text(one.row),
        batch=one.batch,
    )
