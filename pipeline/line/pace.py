"""Pace: how long a frame and its signal take here and now, and whether another one would still be told in time."""

from __future__ import annotations

import threading
from typing import Final

_SLACK_SECONDS: Final = 0.05
_TIMES: Final = 3.0
_WEIGHT: Final = 0.1
_DEVIATIONS: Final = 2.0
_TELLING_DEVIATIONS: Final = 4.0  # a part that is told too late is worse than one that is skipped


class _Followed:
    """A moving mean and mean absolute deviation of what is measured again and again."""

    def __init__(self, mean: float) -> None:
        self._mean, self._deviation = mean, 0.0

    def follow(self, value: float) -> None:
        apart = value - self._mean
        self._mean += _WEIGHT * apart
        self._deviation += _WEIGHT * (abs(apart) - self._deviation)

    def on_a_bad_day(self, deviations: float) -> float:
        return self._mean + deviations * self._deviation


class Pace:
    """Follows the time that one turn of a worker takes, and the time from verdict to signal; for several threads.

    Args:
        single: seconds that one frame takes alone, measured before the line starts.
        workers: how many frames are judged at once.
        limit: the latency that is aimed at, in seconds; None for three times `single` and 50 ms.
    """

    def __init__(self, *, single: float, workers: int, limit: float | None) -> None:
        self.limit = _TIMES * single + _SLACK_SECONDS if limit is None else limit
        self._workers = workers
        self._turn = _Followed(single)
        self._telling = _Followed(0.0)
        self._lock = threading.Lock()

    def took(self, seconds: float, *, behind: float) -> None:
        """A frame had its verdict so long after its capture, with `behind` frames in hand when it came.

        Kept is the time per turn, which has all in it that a frame waits for: cores that are busy elsewhere, its order.
        """
        turn = seconds / self._turns(behind)
        with self._lock:
            self._turn.follow(turn)

    def told(self, seconds: float) -> None:
        """A part was told of so long after its last word was certain; more than the whole limit counts as the limit.

        So a receiver that was away is forgotten soon after it came back.
        """
        with self._lock:
            self._telling.follow(min(seconds, self.limit))

    @property
    def telling(self) -> float:
        """Seconds to keep between a verdict and the moment by which it must be told, on a pessimistic day."""
        with self._lock:
            return self._telling.on_a_bad_day(_TELLING_DEVIATIONS)

    def expected(self, in_hand: int) -> float:
        """Seconds after which a frame that comes now would have its verdict, on a pessimistic day.

        `in_hand` frames came before it and have none yet.
        """
        with self._lock:
            return self._turn.on_a_bad_day(_DEVIATIONS) * self._turns(in_hand)

    def has_room(self, in_hand: int, *, age: float = 0.0) -> bool:
        """Whether a frame that comes now and is `age` seconds old would be told in time; the first always is tried."""
        return in_hand == 0 or age + self.expected(in_hand) + self.telling <= self.limit

    def _turns(self, in_hand: float) -> float:
        """How many turns it takes: its own, and those of the frames before it, shared among the workers.

        A worker that is free takes it at once; those at work are half done, as a rule.
        """
        ahead = in_hand - self._workers
        return 1.0 if ahead < 0 else 1.5 + ahead / self._workers
