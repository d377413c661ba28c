"""Lateness: whether what is told now comes after its deadline."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipeline.line.admitted import Decided
    from pipeline.signals import Signal

_MOST: Final = 10_000


class Lateness:
    """Remembers when the newest parts were captured; `deadline` in seconds from there, None for none."""

    def __init__(self, deadline: float | None) -> None:
        self._deadline = deadline
        self._captured: OrderedDict[int, float] = OrderedDict()

    def note(self, one: Decided) -> None:
        """A part is about to be told."""
        if one.admitted is None:
            return
        self._captured[one.signal.sequence] = one.admitted.shot.captured
        while len(self._captured) > _MOST:
            self._captured.popitem(last=False)

    def is_late(self, signal: Signal) -> bool:
        """Whether it is told after the deadline; what has waited for very long, or for another process, is."""
        if self._deadline is None:
            return False
        captured = self._captured.get(signal.sequence)
        return captured is None or time.monotonic() - captured > self._deadline
