"""What goes and what stays, by kind, counted as it happens or as it would."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What ages out, in the order in which it does: a record goes after all that it points to."""

    EVIDENCE = "evidence"
    FRAMES = "frames"
    TRACES = "traces"
    BATCH_ARTIFACTS = "batch artifacts"
    BATCH_REPORTS = "batch reports"
    RECORDS = "records"
    LINE_EVENTS = "line events"


@dataclass(frozen=True, kw_only=True)
class Aged:
    """How much of a kind goes and stays; `bytes_kept` is None where nobody can say without asking for each."""

    kind: Kind
    gone: int
    bytes_gone: int
    kept: int
    bytes_kept: int | None


@dataclass(kw_only=True)
class Tally:
    """Counts one kind."""

    kind: Kind
    gone: int = 0
    bytes_gone: int = 0
    kept: int = 0
    bytes_kept: int | None = 0
    problems: list[str] = field(default_factory=list)

    def go(self, size: int, count: int = 1) -> None:
        """It goes."""
        self.gone += count
        self.bytes_gone += size

    def stay(self, size: int, count: int = 1) -> None:
        """It stays."""
        self.kept += count
        if self.bytes_kept is not None:
            self.bytes_kept += size

    def result(self) -> Aged:
        """What was counted."""
        return Aged(
            kind=self.kind, gone=self.gone, bytes_gone=self.bytes_gone, kept=self.kept, bytes_kept=self.bytes_kept
        )


class OutOfTimeError(Exception):
    """A survey that may take only so long has not seen everything."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """How it is done: `dry` removes nothing; after `until` (`time.monotonic`) a survey ends; None goes to the end."""

    dry: bool
    until: float | None = None

    def go_on(self) -> None:
        """Say between portions that there is time.

        Raises:
            OutOfTimeError: there is none.
        """
        if self.until is not None and time.monotonic() > self.until:
            raise OutOfTimeError
