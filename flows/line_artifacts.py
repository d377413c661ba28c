"""What a running line shows in Prefect: a progress bar through its shift, and an event for all that happens to it."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.events import emit_event
from prefect.events.worker import EventsWorker

from flows.artifacts import artifact_key, prefect_may_fail
from flows.prefect_here import DELIVERY_SECONDS
from inspection.verdicts import Verdict
from pipeline.line.shift import shift_of

if TYPE_CHECKING:
    from pipeline.line.events import LineEvent
    from pipeline.line.settings import LineSettings
    from pipeline.line.snapshot import LineSnapshot

SHOW_SECONDS = 15.0


class LineTeller:
    """Tells Prefect of a line. Where Prefect does not answer the line goes on without it."""

    def __init__(self, settings: LineSettings) -> None:
        self._settings = settings
        self._told: datetime | None = None
        self._bar: UUID | None = None
        self._batch = ""
        self._shown_at = -SHOW_SECONDS

    def tell(self, snapshot: LineSnapshot, *, last: bool = False) -> None:
        """Emit what has happened since the last call, and move the bar now and then."""
        for event in reversed(snapshot.events):
            if self._told is None or event.at > self._told:
                self._told = event.at
                with prefect_may_fail("an event of the line is not in Prefect"):
                    self._emit(event, snapshot)
        now = time.monotonic()
        if last or now - self._shown_at >= SHOW_SECONDS:
            self._shown_at = now
            with prefect_may_fail("the progress bar stands still"):
                self._show(snapshot)

    def deliver(self) -> None:
        """Wait until Prefect has the events."""
        with prefect_may_fail("the last events of the line are not in Prefect"):
            EventsWorker.drain_all(timeout=DELIVERY_SECONDS)

    def _emit(self, event: LineEvent, snapshot: LineSnapshot) -> None:
        emit_event(
            event=f"goldentwin.line.{event.kind.value.replace(' ', '-')}",
            occurred=event.at,
            resource={
                "prefect.resource.id": f"goldentwin.line.{event.line}",
                "prefect.resource.name": event.line,
            },
            payload={
                "said": event.said,
                "sequence": event.sequence,
                "product": snapshot.product,
                "view": snapshot.view,
            },
        )

    def _show(self, snapshot: LineSnapshot) -> None:
        """The bar goes through the shift; a new shift has a new one."""
        shift = shift_of(self._settings, snapshot.now)
        share = (snapshot.now - shift.begins) / (shift.ends - shift.begins)
        progress, said = round(100 * min(max(share, 0.0), 1.0), 1), headline(snapshot)
        if self._bar is None or self._batch != shift.batch:
            self._batch = shift.batch
            key = artifact_key(self._settings.line, snapshot.product, "shift")
            made = create_progress_artifact(progress=progress, key=key, description=f"shift {shift.batch}: {said}")
            self._bar = cast("UUID", made)  # Prefect declares the coroutine that it gives in async code only
        else:
            update_progress_artifact(
                artifact_id=self._bar, progress=progress, description=f"shift {shift.batch}: {said}"
            )


def headline(snapshot: LineSnapshot) -> str:
    """`812 parts: 800 passed, 10 flagged, 2 not inspected; 7.2 a second`."""
    counts = snapshot.counts
    total = sum(counts.values())
    return (
        f"{total} parts: {counts.get(Verdict.PASS, 0)} passed, {counts.get(Verdict.FLAG, 0)} flagged, "
        f"{counts.get(Verdict.CANNOT_INSPECT, 0)} not inspected; {snapshot.frames_per_second:.1f} a second"
    )
