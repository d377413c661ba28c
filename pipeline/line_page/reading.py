"""Reading a line for those who look on: however many they are, the line is asked a few times a second."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipeline.line.snapshot import LineSnapshot, ShownFrame

if TYPE_CHECKING:
    from inspection.lettering import Picture

KEPT_SECONDS: Final = 0.25

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ShownLine:
    """A line to be shown. `snapshot` is thread-safe and returns at once.

    `golden` is RGB uint8 (H, W, 3), what its frames are shown beside; None where there is none.
    """

    snapshot: Callable[[], LineSnapshot]
    golden: Picture | None = None


class LineReader:
    """The newest snapshot of one line, asked for at most every `KEPT_SECONDS`; for one thread.

    Attributes:
        last: the newest snapshot that was given; None before the first.
        problem: why the line gave no snapshot when it was last asked; None where it did.
    """

    def __init__(self, line: ShownLine) -> None:
        self.golden = line.golden
        self.last: LineSnapshot | None = None
        self.problem: str | None = None
        self._ask = line.snapshot
        self._asked_at = float("-inf")

    def refresh(self) -> LineSnapshot | None:
        """Ask the line unless that was just done; the newest snapshot there is."""
        now = time.monotonic()
        if now - self._asked_at < KEPT_SECONDS:
            return self.last
        self._asked_at = now
        try:
            self.last = self._ask()
        except Exception as error:
            if self.problem is None:
                logger.exception("a line gave no snapshot")
            self.problem = f"the line does not answer: {type(error).__name__}: {error}"
            return self.last
        self.problem = None
        return self.last

    def frames(self) -> Iterator[ShownFrame]:
        """The frames that can be shown now, newest first."""
        if self.last is not None:
            yield from self.last.latest
            if self.last.last_flagged is not None:
                yield self.last.last_flagged
