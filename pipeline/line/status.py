"""Status: what a running line knows of itself, gathered from its threads, and told as one snapshot."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from inspection.verdicts import Reason, Verdict
from pipeline.line.events import BAD, EventKind, LineEvent, Seldom
from pipeline.line.snapshot import Health, LineSnapshot, ShownFrame
from pipeline.signals import LineState

if TYPE_CHECKING:
    from inspection.inspector import Inspector
    from pipeline.line.admitted import Decided
    from pipeline.line.settings import LineSettings
    from pipeline.signals import Signal

_SHOWN: Final = 8
_REJECTED: Final = 100
_EVENTS: Final = 100
_LATENCIES: Final = 1000
_RATE_SECONDS: Final = 10.0
_UNTIMELY: Final = tuple(f"{kind.value}:" for kind in (Reason.SKIPPED, Reason.TOO_LATE))

logger = logging.getLogger(__name__)


class LineStatus:
    """Counts, latencies, health and events of a line; every method may be called from any thread.

    Args:
        settings: the line's.
    """

    def __init__(self, settings: LineSettings) -> None:
        self._settings = settings
        self.policy = ""
        self._lock = threading.RLock()
        self._started_at = datetime.now(UTC)
        self._state = LineState.RUNNING
        self._counts = dict.fromkeys(Verdict, 0)
        self._captured = self._missed = self._skipped = self._late = self._waiting = self._unrecorded = 0
        self._untold = 0
        self._newest = 0
        self._limit: float | None = None
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)
        self._told: deque[float] = deque()
        self._health: dict[tuple[str, str], Health] = {}
        self._latest: OrderedDict[int, ShownFrame] = OrderedDict()
        self._rejected: deque[ShownFrame] = deque(maxlen=_REJECTED)
        self._last_flagged: ShownFrame | None = None
        self._events: deque[LineEvent] = deque(maxlen=_EVENTS)
        self._unwritten: deque[LineEvent] = deque(maxlen=_EVENTS)
        self._inspector: Inspector | None = None
        self._told_late = Seldom()

    @property
    def newest(self) -> int:
        """Sequence of the newest part that was told."""
        return self._newest

    @property
    def captured(self) -> int:
        """How many frames were taken in."""
        return self._captured

    def judged_by(self, inspector: Inspector, *, limit: float | None) -> None:
        """The inspector in use, and the latency aimed at, in seconds; None where frames may wait."""
        self._inspector, self._limit = inspector, limit

    def took_in(self) -> None:
        """A frame was taken in."""
        with self._lock:
            self._captured += 1
            self._waiting += 1

    def missed(self, count: int) -> None:
        """The camera counted frames that never came."""
        with self._lock:
            self._missed += count

    def has_decided(self, one: Decided) -> None:
        """What is told of a part is certain now."""
        with self._lock:
            reason = one.verdict.judgement.reason or ""
            self._skipped += reason.startswith(_UNTIMELY[0])
            self._late += reason.startswith(_UNTIMELY[1])
            self._counts[one.verdict.judgement.verdict] += 1
            self._waiting -= one.admitted is not None
            frame = self._latest.get(one.signal.sequence) or _shown(one)  # it may be told already
            self._show(frame)
            if frame.verdict is not Verdict.PASS:
                self._rejected.appendleft(replace(frame, image=None, judgement=None))
            if frame.verdict is Verdict.FLAG:
                self._last_flagged = frame

    def has_told(self, signal: Signal, one: Decided | None) -> None:
        """The line was told of a part; `one` is what was decided of it, None where that was long ago."""
        now = time.monotonic()
        with self._lock:
            self._newest = max(self._newest, signal.sequence)
            if one is None or one.admitted is None:
                if shown := self._latest.get(signal.sequence):
                    away = datetime.now(UTC) - shown.captured_at
                    self._show(replace(shown, milliseconds=1000 * away.total_seconds()))
                return
            judgement = one.verdict.judgement
            milliseconds = 1000 * (now - one.admitted.shot.captured)
            if judgement.verdict is not Verdict.CANNOT_INSPECT:
                self._latencies.append(milliseconds)
                self._note_told_late(one, milliseconds)
            self._told.append(now)
            while self._told and now - self._told[0] > _RATE_SECONDS:
                self._told.popleft()
            self._show(replace(_shown(one), milliseconds=milliseconds))

    def _show(self, frame: ShownFrame) -> None:
        """Among the latest from now on, once decided and again once told."""
        if self._latest and frame.sequence < next(iter(self._latest)):
            return  # told long after it was decided
        self._latest[frame.sequence] = frame
        while len(self._latest) > _SHOWN:
            self._latest.popitem(last=False)

    def _note_told_late(self, one: Decided, milliseconds: float) -> None:
        """A verdict that was certain in time, and was told after the deadline all the same."""
        allowed = 1000 * (self._settings.deadline or float("inf"))
        if milliseconds > allowed and (count := self._told_late.count()):
            last = f"part {one.signal.part_id} {milliseconds:.0f} ms after its capture, {allowed:.0f} ms are allowed"
            self.event(EventKind.TOLD_LATE, last if count == 1 else f"{count} parts, the last of them {last}")

    def records_waiting(self, count: int) -> None:
        """How many parts have no record yet."""
        self._unrecorded = count

    def telling_waits(self, count: int) -> None:
        """How many parts some receiver has not been told of."""
        self._untold = count

    def state(self, state: LineState) -> None:
        """The state of the line has changed."""
        self._state = state

    def is_up(self, what: str, name: str, *, back: EventKind | None = None) -> None:
        """Something the line needs is there; `back` is the event where it was away before."""
        with self._lock:
            before = self._health.get((what, name))
            if before is not None and before.up:
                return
            self._health[what, name] = Health(what=what, name=name, up=True, since=datetime.now(UTC))
        if before is not None and back is not None:
            self.event(back, f"{name} is back")

    def is_down(self, what: str, name: str, said: str, *, lost: EventKind) -> None:
        """Something the line needs is away; one event each time it goes."""
        with self._lock:
            before = self._health.get((what, name))
            since = before.since if before is not None and not before.up else datetime.now(UTC)
            self._health[what, name] = Health(what=what, name=name, up=False, said=said, since=since)
        if before is None or before.up:
            self.event(lost, said)

    def up(self, what: str, name: str) -> bool:
        """Whether it is there, as far as is known."""
        with self._lock:
            found = self._health.get((what, name))
            return found is not None and found.up

    def event(self, kind: EventKind, said: str) -> None:
        """Something happened."""
        one = LineEvent(line=self._settings.line, kind=kind, said=said, at=datetime.now(UTC), sequence=self._newest)
        with self._lock:
            self._events.appendleft(one)
            self._unwritten.append(one)
        logger.log(logging.WARNING if kind in BAD else logging.INFO, "%s: %s: %s", one.line, kind.value, said)

    def unwritten_events(self) -> list[LineEvent]:
        """Events that are not recorded yet; they are the caller's from here on."""
        with self._lock:
            found = list(self._unwritten)
            self._unwritten.clear()
            return found

    def give_back(self, events: list[LineEvent]) -> None:
        """Events that could not be recorded."""
        with self._lock:
            self._unwritten.extendleft(reversed(events))

    def snapshot(self) -> LineSnapshot:
        """All of it at this moment."""
        now = time.monotonic()
        with self._lock:
            inspector = self._inspector
            calibration = None if inspector is None else inspector.calibration
            told = [at for at in self._told if now - at <= _RATE_SECONDS]
            latencies = np.array(self._latencies)
            return LineSnapshot(
                line=self._settings.line,
                product=self._settings.product,
                view=self._settings.view,
                state=self._state,
                started_at=self._started_at,
                now=datetime.now(UTC),
                threshold=calibration.threshold if calibration else None,
                provisional=calibration.provisional if calibration else False,
                calibration=calibration.digest if calibration else None,
                engine=inspector.engine if inspector else "",
                policy=self.policy,
                captured=self._captured,
                counts=dict(self._counts),
                skipped=self._skipped,
                late=self._late,
                missed=self._missed,
                waiting=self._waiting,
                untold=self._untold,
                unrecorded=self._unrecorded,
                frames_per_second=len(told) / max(min(_RATE_SECONDS, now - told[0]), 1.0) if told else 0.0,
                latency_p50=float(np.quantile(latencies, 0.5)) if len(latencies) else None,
                latency_p99=float(np.quantile(latencies, 0.99)) if len(latencies) else None,
                latency_limit=None if self._limit is None else 1000 * self._limit,
                health=tuple(self._health.values()),
                latest=tuple(reversed(self._latest.values())),
                rejected=tuple(self._rejected),
                last_flagged=self._last_flagged,
                events=tuple(self._events),
            )


def _shown(one: Decided) -> ShownFrame:
    """A part as it is shown before it is told; one of an earlier run has no picture any more."""
    judgement, shot = one.verdict.judgement, one.admitted and one.admitted.shot
    return ShownFrame(
        sequence=one.signal.sequence,
        part_id=one.signal.part_id,
        verdict=judgement.verdict,
        reason=judgement.reason,
        similarity=judgement.similarity,
        threshold=judgement.threshold,
        captured_at=shot.captured_at if shot else datetime.fromisoformat(one.signal.captured_at),
        milliseconds=None,
        image=shot.image if shot else None,
        judgement=judgement,
    )
