"""A line's snapshot as the plain values that its page reads as JSON."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from inspection.verdicts import Verdict
from pipeline.line.events import BAD
from pipeline.signals import LineState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pipeline.line.events import LineEvent
    from pipeline.line.snapshot import Health, LineSnapshot, ShownFrame

STALE_SECONDS: Final = 5.0
"""A snapshot whose `now` is older than this is of a line that does not answer any more."""

MOST_FRAMES: Final = 8
MOST_EVENTS: Final = 40
_DISPENSABLE: Final = "MLflow"
_LONGEST: Final = 400  # characters of a part id, a reason or what an event said
_CREDENTIALS: Final = re.compile(r"(\w[\w+.-]*://)[^/\s]*@")


@dataclass(frozen=True, kw_only=True)
class Share:
    """How many of how many; `value` in [0, 1] is None where there are none."""

    count: int
    of: int

    @property
    def value(self) -> float | None:
        """The count as a part of all."""
        return self.count / self.of if self.of else None


def not_passed(counts: Mapping[Verdict, int]) -> Share:
    """The reject rate: parts that were not told PASS, of all told; those that could not be inspected are among them."""
    told = sum(counts.values())
    return Share(count=told - counts.get(Verdict.PASS, 0), of=told)


def stale_for(snapshot: LineSnapshot, now: datetime) -> float | None:
    """Seconds for which the line has not answered; None while it does."""
    age = (now - snapshot.now).total_seconds()
    return age if age > STALE_SECONDS else None


def troubled(snapshot: LineSnapshot) -> bool:
    """Whether a line that runs lacks something that parts can't do without; MLflow may be away for a shift."""
    down = [one for one in snapshot.health if not one.up and one.what != _DISPENSABLE]
    return snapshot.state is LineState.RUNNING and bool(down)


def without_credentials(text: str) -> str:
    """`rtsp://user:word@camera/1` as `rtsp://***@camera/1`: addresses are shown, passwords are not."""
    return _CREDENTIALS.sub(r"\1***@", text)


def line_values(snapshot: LineSnapshot) -> dict[str, Any]:
    """A snapshot for the page, in values that JSON knows; times are ISO 8601 in UTC, latencies in milliseconds."""
    rejected = not_passed(snapshot.counts)
    return {
        "line": _text(snapshot.line),
        "product": _text(snapshot.product),
        "view": _text(snapshot.view),
        "state": snapshot.state.value,
        "troubled": troubled(snapshot),
        "started_at": _moment(snapshot.started_at),
        "now": _moment(snapshot.now),
        "threshold": _number(snapshot.threshold),
        "provisional": snapshot.provisional,
        "calibration": None if snapshot.calibration is None else _text(snapshot.calibration),
        "engine": _text(snapshot.engine),
        "policy": _text(snapshot.policy),
        "captured": snapshot.captured,
        "told": rejected.of,
        "counts": {verdict.value: snapshot.counts.get(verdict, 0) for verdict in Verdict},
        "not_passed": rejected.count,
        "reject_rate": rejected.value,
        "skipped": snapshot.skipped,
        "late": snapshot.late,
        "missed": snapshot.missed,
        "waiting": snapshot.waiting,
        "untold": snapshot.untold,
        "unrecorded": snapshot.unrecorded,
        "frames_per_second": _number(snapshot.frames_per_second),
        "latency_p50": _number(snapshot.latency_p50),
        "latency_p99": _number(snapshot.latency_p99),
        "latency_limit": _number(snapshot.latency_limit),
        "health": [_health(one) for one in snapshot.health],
        "latest": [_frame(one) for one in snapshot.latest[:MOST_FRAMES]],
        "last_flagged": None if snapshot.last_flagged is None else _frame(snapshot.last_flagged),
        "events": [_event(one) for one in snapshot.events[:MOST_EVENTS]],
    }


def _health(health: Health) -> dict[str, Any]:
    return {
        "what": _text(health.what),
        "name": _text(without_credentials(health.name)),
        "up": health.up,
        "said": _text(without_credentials(health.said)),
        "since": None if health.since is None else _moment(health.since),
    }


def _frame(frame: ShownFrame) -> dict[str, Any]:
    judgement = frame.judgement
    return {
        "sequence": frame.sequence,
        "part_id": _text(frame.part_id),
        "verdict": frame.verdict.value,
        "reason": None if frame.reason is None else _text(without_credentials(frame.reason)),
        "similarity": _number(frame.similarity),
        "threshold": _number(frame.threshold),
        "captured_at": _moment(frame.captured_at),
        "milliseconds": _number(frame.milliseconds),
        "picture": frame.image is not None,
        "provisional": judgement is not None and judgement.provisional,
        "regions": 0 if judgement is None else len(judgement.regions),
    }


def _event(event: LineEvent) -> dict[str, Any]:
    return {
        "kind": event.kind.value,
        "said": _text(without_credentials(event.said)),
        "at": _moment(event.at),
        "sequence": event.sequence,
        "bad": event.kind in BAD,
    }


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _number(value: float | None) -> float | None:
    """None for what JSON can't say."""
    return float(value) if value is not None and math.isfinite(value) else None


def _text(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
