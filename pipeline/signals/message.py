"""What the line is told, in plain values that go out as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from inspection.verdicts import Verdict


class LineState(StrEnum):
    """How the inspection of a line is. A part may be let through on no other word than a PASS while `running`."""

    RUNNING = "running"
    STOPPED = "stopped"
    LOST = "lost"


@dataclass(frozen=True, kw_only=True)
class Signal:
    """What is told of one part.

    `sequence` counts the line's frames without a gap, so that a receiver sees what it missed and knows what it has
    already; the same part is told with the same number and the same words however often. `verdict` decides: only
    `PASS` lets a part pass. `captured_at` and `decided_at` are ISO 8601, UTC. `late` says that it is told after the
    deadline, or after an interruption; `provisional` that the threshold rests on the goldens alone.
    """

    line: str
    sequence: int
    part_id: str
    frame: str
    product: str
    view: str
    verdict: Verdict
    reason: str | None
    similarity: float | None
    threshold: float | None
    captured_at: str
    decided_at: str
    late: bool = False
    provisional: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "verdict": self.verdict.value}

    def to_json(self) -> str:
        """One line of JSON, keys in declaration order."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> Signal:
        """Read it back.

        Raises:
            ValueError, TypeError, KeyError: it is none.
        """
        values = json.loads(text)
        return cls(**{**values, "verdict": Verdict(values["verdict"])})


@dataclass(frozen=True, kw_only=True)
class StateReport:
    """What is told of the inspection of a line as a whole, also as its heartbeat, every second or so.

    `sequence` is the newest part's that was told; `at` is ISO 8601, UTC; `detail` says why, for people.
    """

    line: str
    state: LineState
    sequence: int
    at: str
    detail: str = ""

    def to_json(self) -> str:
        """One line of JSON, keys in declaration order."""
        return json.dumps({**asdict(self), "state": self.state.value})
