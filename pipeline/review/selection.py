"""Which judged parts are reviewed: every flagged one, and a random share of those that passed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from inspection.verdicts import Verdict

if TYPE_CHECKING:
    from inspection.recipe import ReviewSettings

_BYTES = 8
_RANGE = 2.0 ** (8 * _BYTES)


class Kind(StrEnum):
    """Why a part is reviewed."""

    FLAGGED = "flagged"
    SAMPLED = "sampled"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A part that is to be reviewed; `chance` in (0, 1] is the probability that a part of its kind is."""

    kind: Kind
    chance: float


def choose(key: str, verdict: Verdict, settings: ReviewSettings) -> Choice | None:
    """Whether the part whose verdict has `key` is to be reviewed; None where it is not.

    Each part that passed is drawn by itself with probability `settings.share` (Bernoulli sampling), by a hash of seed
    and key: the same after a kill, in whatever portions the parts come, and not to be foreseen from the picture.
    What could not be inspected is not chosen: there is nothing to compare.
    """
    if verdict is Verdict.FLAG:
        return Choice(kind=Kind.FLAGGED, chance=1.0)
    if verdict is Verdict.PASS and uniform(f"{settings.seed}:{key}") < settings.share:
        return Choice(kind=Kind.SAMPLED, chance=settings.share)
    return None


def uniform(text: str) -> float:
    """A number in [0, 1) that is random but always the same for `text`."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:_BYTES], "big") / _RANGE
