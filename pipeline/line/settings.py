"""What is asked of one line: which camera, which product, how fast, and whom to tell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from inspection.errors import GoldentwinError

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.workspace import Workspace

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class StreamError(GoldentwinError):
    """What is asked of a line can't be done; the message says what to mend."""


class Policy(StrEnum):
    """What happens when frames come faster than they can be judged.

    `block` lets the camera wait: right for folders and files, where nothing is lost by waiting. `skip` takes in every
    frame, and those that could not be judged in time are told and recorded as CANNOT_INSPECT at once.
    """

    BLOCK = "block"
    SKIP = "skip"


class Parts(StrEnum):
    """Which frames are parts: `every` one, or those that `motion` shows: one frame a part, the best."""

    EVERY = "every"
    MOTION = "motion"


@dataclass(frozen=True, kw_only=True)
class LineSettings:
    """One line of one product and view.

    `line` names it in signals, records and files. `deadline` is the time from capture after which a verdict is of no
    use to the ejector, in seconds; None where there is none. `latency_limit` is what admission aims at under `skip`, in
    seconds; by default the deadline, else three times what one frame takes and 50 ms. A shift is `shift_hours` long and
    one batch of the records; shifts begin at `shift_begins` o'clock. `frames` and `seconds` end the run, None goes on.
    `watches` looks for drift while it runs, `reports` tells MLflow and the review queue of each shift.
    """

    workspace: Workspace
    product: str
    view: str = "default"
    line: str = "line1"
    engine: str = "auto"
    policy: Policy | None = None
    parts: Parts | None = None
    deadline: float | None = None
    latency_limit: float | None = None
    workers: int | None = None
    shift_hours: int = 8
    shift_begins: int = 6
    acknowledge_seconds: float = 1.0
    frames: int | None = None
    seconds: float | None = None
    watches: bool = True
    reports: bool = True

    def __post_init__(self) -> None:
        """Refuse what can't be.

        Raises:
            StreamError: a name or a number is out of its range.
        """
        if not _NAME.fullmatch(self.line):
            message = f"{self.line!r} is no name for a line; use letters, digits, dots and dashes"
            raise StreamError(message)
        if self.shift_hours not in {1, 2, 3, 4, 6, 8, 12, 24} or not 0 <= self.shift_begins < 24:  # noqa: PLR2004 - a day's hours
            message = (
                f"a shift of {self.shift_hours} h from {self.shift_begins} o'clock does not fit a day; take 8 and 6"
            )
            raise StreamError(message)
        for name in ("deadline", "latency_limit"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                message = f"{name} must be more than 0, not {value}"
                raise StreamError(message)

    @property
    def folder(self) -> Path:
        """Where the line keeps its spool and its signals."""
        return self.workspace.lines / self.line
