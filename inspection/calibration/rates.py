"""Escape and overkill as rates with the interval that their sample size allows."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from scipy.special import betaincinv

from inspection.errors import CalibrationError, InsufficientSampleError

CONFIDENCE = 0.95
_NUMBER = re.compile(r"(?P<number>\d+(\.\d*)?|\.\d+)\s*(?P<percent>%?)")
_ROUNDING = 1e-9


_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A share of parts, in [0, 1], with its two-sided 95 % Clopper-Pearson interval `low` to `high`.

    `n` counts the parts it is a share of: defective parts for escape, good parts for overkill, never all parts.
    """

    rate: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, events: int, n: int) -> Rate:
        """The rate of `events` among `n` parts (Clopper and Pearson 1934, Biometrika 26, 404-413).

        Raises:
            InsufficientSampleError: `n` is 0, where no rate exists.
            CalibrationError: `events` does not lie in 0 to `n`.
        """
        if n == 0:
            message = "a rate of 0 parts does not exist; at least 1 part is needed"
            raise InsufficientSampleError(message)
        if not 0 <= events <= n:
            message = f"{events} of {n} parts is no rate"
            raise CalibrationError(message)
        tail = (1.0 - CONFIDENCE) / 2.0
        low = float(betaincinv(events, n - events + 1, tail)) if events else 0.0
        high = float(betaincinv(events + 1, n - events, 1.0 - tail)) if events < n else 1.0
        return cls(rate=events / n, low=low, high=high, n=n)

    @property
    def events(self) -> int:
        """How many of the `n` parts it was."""
        return round(self.rate * self.n)

    def __str__(self) -> str:
        """For people: `3.6 % (2 of 56; 95 % interval 0.4 % to 12.3 %)`.

        A rate that no count of the `n` parts gives was estimated from parts that stand for others, and says so.
        """
        counted_out = abs(self.rate * self.n - self.events) < _ROUNDING
        counts = f"{self.events} of {self.n}" if counted_out else f"estimated from {self.n} parts"
        return f"{percent(self.rate)} ({counts}; 95 % interval {percent(self.low)} to {percent(self.high)})"


def upper_bound(events: int, n: int) -> float:
    """One-sided 95 % Clopper-Pearson bound: with 95 % confidence the true rate is at most this, in [0, 1]."""
    return float(betaincinv(events + 1, n - events, CONFIDENCE)) if events < n else 1.0


def defective_parts_needed(max_escape: float) -> int:
    """How many defective parts, none of them escaping, prove an escape of at most `max_escape` at 95 % confidence.

    The smallest n with `(1 - max_escape)**n <= 0.05` (Wilks 1941, Ann. Math. Stat. 12, 91-96): 598 for 0.5 %.
    """
    return math.ceil(math.log(1.0 - CONFIDENCE) / math.log1p(-max_escape) - _ROUNDING)


def good_parts_needed(max_overkill: float) -> int:
    """How many good parts a conformal bound of `max_overkill` needs: n + 1 >= 1 / max_overkill, so 19 for 5 %."""
    return max(1, math.ceil(1.0 / max_overkill - 1.0 - _ROUNDING))


def conformal_rank(n: int, max_overkill: float) -> int:
    """`floor((n + 1) * max_overkill)`, safe against rounding: which of n good parts, least similar first, bounds."""
    return min(n, math.floor((n + 1) * max_overkill + _ROUNDING))


def percent(share: float) -> str:
    """A share in [0, 1] for people: `0.5 %`, `12.3 %`, `100 %`; small ones keep two significant digits."""
    value = 100.0 * share
    digits = 1 if value >= 0.1 or value == 0.0 else 1 - math.floor(math.log10(value))  # noqa: PLR2004 - one decimal
    text = f"{value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.')} %"


def counted(n: int, what: str) -> str:
    """`1 good part`, `2 good parts`."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def parse_percentage(text: str) -> float:
    """Read `1%`, `0.5 %` or the bare share `0.01` as a share in [0, 1].

    Raises:
        CalibrationError: not a number, above 100 %, or a bare number of 1 or more, which could mean either.
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        message = f"{text!r} is no percentage; write it like 1%, 0.5% or 0.005"
        raise CalibrationError(message)
    number = float(match["number"])
    if not match["percent"] and number >= 1.0:
        message = f"{text!r} could mean a share or a percentage; write {match['number']}% or a share below 1"
        raise CalibrationError(message)
    share = number / 100.0 if match["percent"] else number
    if share > 1.0:
        message = f"{text!r} is more than 100 %"
        raise CalibrationError(message)
    return share
