"""Signals and states for tests, and a process that sends and is killed."""

from __future__ import annotations

from typing import Any

from inspection.verdicts import Verdict
from pipeline.signals import LineState, Signal, StateReport

LINE = "line1"


def a_signal(sequence: int, **changes: Any) -> Signal:
    """The signal of one flagged part; `changes` are fields set otherwise."""
    values: dict[str, Any] = {
        "line": LINE,
        "sequence": sequence,
        "part_id": f"P{sequence}",
        "frame": f"{sequence}.png",
        "product": "bottle",
        "view": "default",
        "verdict": Verdict.FLAG,
        "reason": None,
        "similarity": 0.25,
        "threshold": 0.5,
        "captured_at": "2026-11-25T10:00:00+00:00",
        "decided_at": "2026-11-25T10:00:00.050000+00:00",
    }
    return Signal(**{**values, **changes})


def a_state(state: LineState = LineState.RUNNING, *, sequence: int = 7) -> StateReport:
    """A report of the line's state."""
    return StateReport(line=LINE, state=state, sequence=sequence, at="2026-11-25T10:00:01+00:00")
