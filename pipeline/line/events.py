"""What happened to a line, for its page, its records and Prefect."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

_SELDOM_SECONDS: Final = 10.0


class EventKind(StrEnum):
    """Kinds of events; what is lost comes back with a kind of its own."""

    STARTED = "started"
    STOPPED = "stopped"
    RECOVERED = "recovered"
    CAMERA_LOST = "camera lost"
    CAMERA_BACK = "camera back"
    FRAMES_MISSED = "frames missed"
    SIGNAL_LOST = "signal lost"
    SIGNAL_BACK = "signal back"
    NOT_ACKNOWLEDGED = "not acknowledged"
    TOO_LATE = "too late"
    TOLD_LATE = "told late"
    SKIPPING = "skipping"
    CAUGHT_UP = "caught up"
    RECORDS_LOST = "records lost"
    RECORDS_BACK = "records back"
    MLFLOW_LOST = "mlflow lost"
    MLFLOW_BACK = "mlflow back"
    DRIFT = "drift"
    REPORTING = "reporting"
    REPORTED = "reported"
    NOT_REPORTED = "not reported"


BAD = frozenset(
    {
        EventKind.CAMERA_LOST,
        EventKind.FRAMES_MISSED,
        EventKind.SIGNAL_LOST,
        EventKind.NOT_ACKNOWLEDGED,
        EventKind.TOO_LATE,
        EventKind.TOLD_LATE,
        EventKind.SKIPPING,
        EventKind.RECORDS_LOST,
        EventKind.MLFLOW_LOST,
        EventKind.DRIFT,
        EventKind.NOT_REPORTED,
    }
)


@dataclass(frozen=True, kw_only=True)
class LineEvent:
    """Something that happened to a line; `at` in UTC, `said` for people, `sequence` the newest frame's then."""

    line: str
    kind: EventKind
    said: str
    at: datetime
    sequence: int


class Seldom:
    """Counts what happens often, so that it is one event in ten seconds at most. Not safe for several threads."""

    def __init__(self) -> None:
        self._count, self._told_at = 0, -_SELDOM_SECONDS

    def count(self, number: int = 1) -> int:
        """Count some more; how many there were since the last event where it is time for another, else 0."""
        self._count += number
        if not self._count or time.monotonic() - self._told_at < _SELDOM_SECONDS:
            return 0
        return self.rest()

    def rest(self) -> int:
        """How many there were since the last event."""
        found, self._count, self._told_at = self._count, 0, time.monotonic()
        return found
