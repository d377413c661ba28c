"""What happened to a line, for its page, its records and Prefect."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


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
    SKIPPING = "skipping"
    CAUGHT_UP = "caught up"
    RECORDS_LOST = "records lost"
    RECORDS_BACK = "records back"
    MLFLOW_LOST = "mlflow lost"
    MLFLOW_BACK = "mlflow back"
    DRIFT = "drift"
    REPORTED = "reported"
    NOT_REPORTED = "not reported"


BAD = frozenset(
    {
        EventKind.CAMERA_LOST,
        EventKind.FRAMES_MISSED,
        EventKind.SIGNAL_LOST,
        EventKind.NOT_ACKNOWLEDGED,
        EventKind.TOO_LATE,
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
