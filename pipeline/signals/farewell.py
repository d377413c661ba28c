"""The last word to a receiver: nothing more comes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from pipeline.signals.message import LineState, StateReport


def farewell(last: StateReport | None) -> StateReport | None:
    """What is to be reported when a sink is closed; None where nothing was reported, or that it stopped already."""
    if last is None or last.state is not LineState.RUNNING:
        return None
    return replace(last, state=LineState.STOPPED, at=utc_now(), detail="closed")


def utc_now() -> str:
    """The time as signals carry it: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat()
