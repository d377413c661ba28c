"""Tell: one thread a receiver takes what is decided from the spool, in order, and tells it once."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from inspection.errors import RecordsError
from pipeline.line.events import EventKind
from pipeline.signals import LineState, Signal, SinkLostError, StateReport
from pipeline.signals.sink import SignalRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.line.status import LineStatus
    from pipeline.line.twofold_spool import TwofoldSpool
    from pipeline.signals import Sink

WHAT: Final = "signal"
_PORTION: Final = 64
_HEARTBEAT_SECONDS: Final = 1.0
_IDLE_SECONDS: Final = 0.2
_BACKOFF: Final = (0.1, 5.0)
_MOST_AWAITED: Final = 10_000

logger = logging.getLogger(__name__)


class Teller:
    """Tells one receiver of every part, in the order of the sequences, and sends it the line's heartbeat.

    While it is away, what is decided waits in the spool. After it came back, and after a restart, it is asked what it
    has, so that nothing is told twice.

    Args:
        sink: the receiver.
        spool: where decided parts wait.
        status: is told whether the receiver is there.
        line: the line's name.
        highest_before: the highest sequence that could have been told before this process started.
        is_late: whether a signal that is told now comes after its deadline.
        on_told: called with each signal once it was told.
        acknowledge_seconds: how soon the line is to confirm, where the receiver passes confirmations on.
    """

    def __init__(  # noqa: PLR0913 - what a teller consists of, by name
        self,
        sink: Sink,
        spool: TwofoldSpool,
        status: LineStatus,
        *,
        line: str,
        highest_before: int,
        is_late: Callable[[Signal], bool],
        on_told: Callable[[Signal], None],
        acknowledge_seconds: float,
    ) -> None:
        self.sink = sink
        self._spool, self._status, self._line = spool, status, line
        self._highest = highest_before  # that could have been told
        self._is_late, self._on_told = is_late, on_told
        self._acknowledge_seconds = acknowledge_seconds
        self._awaited: OrderedDict[int, float] = OrderedDict()
        self._state, self._detail = LineState.RUNNING, ""
        self._reported = 0.0
        self._until = 0.0
        self.there_since = 0.0
        self._something = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"tell {sink.name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There is something new to tell."""
        self._something.set()

    def state(self, state: LineState, detail: str) -> None:
        """From the next heartbeat on, this is the line's state."""
        self._state, self._detail = state, detail

    def stop(self, state: LineState, detail: str, *, seconds: float) -> bool:
        """Tell what waits and that the line has ended, for `seconds` at most; False where not all could be told."""
        self._state, self._detail = state, detail
        self._until = time.monotonic() + seconds
        self._ending.set()
        self._something.set()
        self._thread.join(seconds)
        return not self._thread.is_alive() and not self._spool.to_tell(self.sink.name, 1)

    def _run(self) -> None:
        wait = _BACKOFF[0]
        while True:
            problem = self._problem()
            self._close()
            if not problem:
                return
            wait = _BACKOFF[0] if self._status.up(WHAT, self.sink.name) else min(2 * wait, _BACKOFF[1])
            self._status.is_down(WHAT, self.sink.name, problem, lost=EventKind.SIGNAL_LOST)
            if self._ending.wait(wait):
                if time.monotonic() + wait > self._until:
                    return
                time.sleep(wait)
            self._something.set()

    def _problem(self) -> str:
        """Tell until the line has ended, and then return ""; else what keeps us from it."""
        try:
            self._tell_while_there()
        except (SinkLostError, RecordsError) as error:
            return str(error)
        except Exception as error:
            logger.exception("telling %s failed", self.sink.name)
            return str(error) or type(error).__name__
        return ""

    def _tell_while_there(self) -> None:
        """Returns once the line has ended and all is told."""
        self.sink.open()
        self._take_over()
        self._report()
        self._status.is_up(WHAT, self.sink.name, back=EventKind.SIGNAL_BACK)
        self.there_since = time.monotonic()
        while True:
            self._something.wait(_IDLE_SECONDS)
            self._something.clear()
            ending = self._ending.is_set()
            while parts := self._spool.to_tell(self.sink.name, _PORTION):
                for part in parts:
                    self._tell(Signal.from_json(part.signal or ""))
                    self._beat()
                self._hear()
            self._hear()
            if ending:
                self._report()
                return
            self._beat()

    def _take_over(self) -> None:
        """What an earlier process told without having noted it, or this one before the receiver went away."""
        last = self.sink.last_sequence()
        known = self._spool.told(self.sink.name)
        if last is not None and known < min(last, self._highest):
            self._spool.mark_told(self.sink.name, min(last, self._highest))

    def _tell(self, signal: Signal) -> None:
        if not signal.late and self._is_late(signal):
            signal = replace(signal, late=True)
            self._spool.amend(signal.sequence, signal=signal.to_json())  # from now on it has these words
        self._highest = max(self._highest, signal.sequence)
        try:
            self.sink.send(signal)
        except SignalRefusedError as error:
            self._status.event(EventKind.NOT_ACKNOWLEDGED, f"part {signal.part_id}: {error}")
        self._spool.mark_told(self.sink.name, signal.sequence)
        self._on_told(signal)
        if self.sink.acknowledges:
            self._awaited[signal.sequence] = time.monotonic()
            while len(self._awaited) > _MOST_AWAITED:
                self._awaited.popitem(last=False)

    def _hear(self) -> None:
        """What the line confirmed, and what it did not in time."""
        for heard in self.sink.acknowledgements():
            sent = self._awaited.pop(heard.sequence, None)
            if sent is not None and heard.at - sent > self._acknowledge_seconds:
                self._status.event(
                    EventKind.NOT_ACKNOWLEDGED,
                    f"signal {heard.sequence} was confirmed {heard.at - sent:.1f} s after it was sent, "
                    f"{self._acknowledge_seconds:.1f} s are allowed",
                )
        now, missing = time.monotonic(), []
        while self._awaited and now - next(iter(self._awaited.values())) > self._acknowledge_seconds:
            missing.append(self._awaited.popitem(last=False)[0])
        if missing:
            which = (
                f"signal {missing[0]} was" if len(missing) == 1 else f"{len(missing)} signals from {missing[0]} on were"
            )
            self._status.event(
                EventKind.NOT_ACKNOWLEDGED, f"{which} not confirmed within {self._acknowledge_seconds:.1f} s"
            )

    def _beat(self) -> None:
        if time.monotonic() - self._reported >= _HEARTBEAT_SECONDS:
            self._report()

    def _report(self) -> None:
        self._reported = time.monotonic()
        self.sink.report(
            StateReport(
                line=self._line,
                state=self._state,
                sequence=self._spool.told(self.sink.name),
                at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                detail=self._detail,
            )
        )

    def _close(self) -> None:
        with suppress(Exception):
            self.sink.close()
