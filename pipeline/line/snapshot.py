"""A line at one moment, in plain values: what its page, its metrics and the terminal show."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inspection.verdicts import Verdict
from pipeline.signals import LineState

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from inspection.verdicts import Judgement
    from pipeline.line.events import LineEvent


@dataclass(frozen=True, kw_only=True)
class Health:
    """Whether one thing that the line needs is there: `what` it is (camera, signal, records, MLflow) and its `name`."""

    what: str
    name: str
    up: bool
    said: str = ""
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ShownFrame:
    """A frame lately decided. `image` is RGB uint8 (H, W, 3), None where there was no picture.

    `milliseconds` is the time from its capture to its signal, None as long as the line is not told.
    """

    sequence: int
    part_id: str
    verdict: Verdict
    reason: str | None
    similarity: float | None
    threshold: float | None
    captured_at: datetime
    milliseconds: float | None
    image: NDArray[np.uint8] | None = None
    judgement: Judgement | None = None


@dataclass(frozen=True, kw_only=True)
class LineSnapshot:
    """A line at one moment.

    `captured` counts the frames taken in since the start, `counts` those decided by verdict (CANNOT_INSPECT holds
    skipped and late ones too), `skipped` and `late` those not inspected for want of time, `waiting` those in hand,
    `untold` those decided that a receiver has not been told of, of earlier runs too, `unrecorded` those decided whose
    record is still to be written, `missed` frames that the camera counted and that never came. Latencies are from
    capture to signal, in milliseconds, over the last frames that were judged; `latency_limit` is what is aimed at, None
    for nothing. `latest`, `rejected` (the newest that did not pass, without their pictures) and `events` come newest
    first; `last_flagged` is the newest of all that was flagged.
    """

    line: str
    product: str
    view: str
    state: LineState
    started_at: datetime
    now: datetime
    threshold: float | None
    provisional: bool
    calibration: str | None
    engine: str
    policy: str
    captured: int = 0
    counts: dict[Verdict, int] = field(default_factory=dict)
    skipped: int = 0
    late: int = 0
    missed: int = 0
    waiting: int = 0
    untold: int = 0
    unrecorded: int = 0
    frames_per_second: float = 0.0
    latency_p50: float | None = None
    latency_p99: float | None = None
    latency_limit: float | None = None
    health: tuple[Health, ...] = ()
    latest: tuple[ShownFrame, ...] = ()
    rejected: tuple[ShownFrame, ...] = ()
    last_flagged: ShownFrame | None = None
    events: tuple[LineEvent, ...] = ()
