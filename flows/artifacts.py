"""What a night shows in the Prefect UI: how far it is, and at its end its page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.events import emit_event

from flows.night_page import headline, night_page
from pipeline.batch import BatchSummary


class NightProgress:
    """The progress bar of a run. Where Prefect does not take it the night goes on without a bar."""

    def __init__(self, portions: int, *, key: str, what: str) -> None:
        """Create the bar at 0 %, or at 100 % where nothing is left to judge."""
        self._portions = portions
        self._bar: UUID | None = None
        with prefect_may_fail("there is no progress bar"):
            made = create_progress_artifact(progress=0.0 if portions else 100.0, key=key, description=what)
            self._bar = cast("UUID", made)  # Prefect declares the coroutine that it gives in async code only

    def show(self, done: int) -> None:
        """Move the bar to `done` portions."""
        bar, self._bar = self._bar, None
        if bar is None:
            return
        with prefect_may_fail("the progress bar stops here"):
            update_progress_artifact(artifact_id=bar, progress=round(100 * done / self._portions, 1))
            self._bar = bar


def tell_drift(summary: BatchSummary) -> None:
    """Emit the event `goldentwin.drift` where the line has changed, for automations to act on."""
    watched = summary.watched
    if watched is None or not watched.alarms:
        return
    with prefect_may_fail("no event tells of the drift"):
        emit_event(
            event="goldentwin.drift",
            resource={
                "prefect.resource.id": f"goldentwin.line.{summary.product}.{summary.view}",
                "prefect.resource.name": f"{summary.product}/{summary.view}",
            },
            payload={
                "batch": summary.batch,
                "headline": watched.headline,
                "causes": [alarm.cause.value for alarm in watched.alarms],
                "alarms": [
                    {"cause": alarm.cause.value, "said": alarm.said, "first_frame": alarm.first}
                    for alarm in watched.alarms
                ],
                "page": str(watched.page),
            },
        )


def publish_night(summary: BatchSummary) -> None:
    """Publish the night's page as a Markdown artifact, its contact sheet inside."""
    with prefect_may_fail("the night's page is not in Prefect"):
        create_markdown_artifact(
            markdown=night_page(summary),
            key=artifact_key(summary.product, summary.view, "night"),
            description=headline(summary),
        )


@contextmanager
def prefect_may_fail(consequence: str) -> Iterator[None]:
    """Turn whatever ails Prefect inside the block into a warning that names the consequence: frames come first."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - Prefect raises its own, httpx's and plain RuntimeErrors
        get_run_logger().warning("%s: %s", consequence, error)


def artifact_key(product: str, view: str, what: str) -> str:
    """A key as Prefect wants it (lower-case letters, digits and dashes), the same every night."""
    return re.sub("[^a-z0-9]+", "-", f"{product}-{view}-{what}".lower()).strip("-")
