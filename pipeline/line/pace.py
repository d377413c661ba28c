"""Pace: how long a frame takes here and now, and whether another one could still be judged in time."""

from __future__ import annotations

import threading
from typing import Final

_SLACK_SECONDS: Final = 0.05
_TIMES: Final = 3.0
_WEIGHT: Final = 0.1
_DEVIATIONS: Final = 2.0


class Pace:
    """Follows the time that one turn of a worker takes, as a moving mean and deviation; for several threads.

    Args:
        single: seconds that one frame takes alone, measured before the line starts.
        workers: how many frames are judged at once.
        limit: the latency that is aimed at, in seconds; None for three times `single` and 50 ms.
    """

    def __init__(self, *, single: float, workers: int, limit: float | None) -> None:
        self.limit = _TIMES * single + _SLACK_SECONDS if limit is None else limit
        self._workers = workers
        self._mean = single
        self._deviation = 0.0
        self._lock = threading.Lock()

    def took(self, seconds: float, *, behind: float) -> None:
        """A frame had its verdict so long after its capture, with `behind` frames in hand when it came.

        Kept is the time per turn, which has all in it that a frame waits for: cores that are busy elsewhere, its order.
        """
        turn = seconds / self._turns(behind)
        with self._lock:
            apart = turn - self._mean
            self._mean += _WEIGHT * apart
            self._deviation += _WEIGHT * (abs(apart) - self._deviation)

    def expected(self, in_hand: int) -> float:
        """Seconds from its capture after which a frame that comes now would have its verdict, on a pessimistic day.

        `in_hand` frames came before it and have none yet.
        """
        with self._lock:
            return (self._mean + _DEVIATIONS * self._deviation) * self._turns(in_hand)

    def has_room(self, in_hand: int) -> bool:
        """Whether a frame that comes now would be judged in time; the first always is tried."""
        return in_hand == 0 or self.expected(in_hand) <= self.limit

    def _turns(self, in_hand: float) -> float:
        """How many turns it takes: its own, and those of the frames before it, shared among the workers.

        A worker that is free takes it at once; those at work are half done, as a rule.
        """
        ahead = in_hand - self._workers
        return 1.0 if ahead < 0 else 1.5 + ahead / self._workers
