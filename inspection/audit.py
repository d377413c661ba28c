"""The audit of goldens: what is wrong with a picture before it becomes one, told with its name and the remedy.

Each golden is held against the others, so that natural variety of a product is no fault; with one or two goldens
only plain nonsense can be told.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from inspection.candidate import Candidate
from inspection.errors import ReferenceSetError
from inspection.framing import misframed
from inspection.quality import aspect_change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NEAR_DUPLICATE = 1.0
SPREAD_LIMIT = 2.0
BLANK_OF_OTHERS = 0.25
ASPECT_LIMIT = 0.1
DARK_LIMIT, BRIGHT_LIMIT, FOCUS_LIMIT = 15.0, 245.0, 0.01
LIGHT_FACTOR, FOCUS_FACTOR = 1.3, 4.0
ROBUST_SIGMAS = 3.5
LIGHT_SIGMAS = 5.0
MAD_TO_SIGMA = 1.4826
ODD_FACTOR = 1.25
ENOUGH_TO_COMPARE = 3
ENOUGH_FOR_ODD = 4


class Level(StrEnum):
    """`refuse`: the picture does not become a golden; `warn`: it does, and a person should look."""

    REFUSE = "refuse"
    WARN = "warn"


class Fault(StrEnum):
    """What can be wrong with a picture that is to become a golden."""

    UNREADABLE = "unreadable"
    DUPLICATE = "duplicate"
    NEAR_DUPLICATE = "near duplicate"
    BLANK = "blank"
    OTHER_ASPECT = "other aspect ratio"
    OTHER_SIZE = "other size"
    BLURRED = "blurred"
    DARK = "dark"
    BRIGHT = "bright"
    MISFRAMED = "misframed"
    ODD_ONE_OUT = "odd one out"


REMEDIES = {
    Fault.UNREADABLE: "copy it again from the camera or leave it out",
    Fault.DUPLICATE: "dropped, nothing to do",
    Fault.NEAR_DUPLICATE: "give a picture of another part, it teaches more",
    Fault.BLANK: "give a picture that shows the part",
    Fault.OTHER_ASPECT: "give pictures of one camera setting, or enrol it as another --view",
    Fault.OTHER_SIZE: "give pictures of one camera setting, where you can",
    Fault.BLURRED: "refocus and take it again, or leave it out",
    Fault.DARK: "check the light and take it again, or leave it out",
    Fault.BRIGHT: "check exposure and light and take it again, or leave it out",
    Fault.MISFRAMED: "place the part as in the others and take it again, or leave it out",
    Fault.ODD_ONE_OUT: "look whether it shows a good part of this product; if not, enrol without it",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing found on one picture: its name, what is wrong, by which figures, and what mends it."""

    level: Level
    picture: str
    fault: Fault
    detail: str
    remedy: str

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.picture}: {self.fault.value} ({self.detail}); {self.remedy}"


def audit(candidates: Sequence[Candidate]) -> list[Finding]:
    """Hold the candidates, whose names differ, against each other.

    Returns:
        Refusals first, then warnings in the candidates' order. What is refused takes no part in later comparisons.
    """
    refusals: list[Finding] = []
    kept = list(candidates)
    for rule in (_unreadable_ones, _duplicates, _blank, _other_aspect):
        refusals += rule(kept)
        refused = {finding.picture for finding in refusals}
        kept = [candidate for candidate in kept if candidate.name not in refused]
    warnings = [*_other_size(kept), *_near_duplicates(kept), *_light(kept), *_focus(kept), *_framing(kept)]
    position = {candidate.name: index for index, candidate in enumerate(kept)}
    return refusals + sorted(warnings, key=lambda finding: position[finding.picture])


def odd_ones(distances: NDArray[np.float64]) -> tuple[int, ...]:
    """Which goldens lie far from the others: their median distance beyond median + 3.5 robust sigmas of all.

    The limit is Iglewicz and Hoaglin's (How to Detect and Handle Outliers, 1993), with the median absolute
    deviation; besides, an odd one is at least a quarter farther than the median. With fewer than four goldens none.

    Args:
        distances: (n, n), at least 0, of each golden from each other; the diagonal is not looked at.

    Raises:
        ReferenceSetError: not a square matrix, or not finite off its diagonal.
    """
    matrix = np.asarray(distances, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:  # noqa: PLR2004 - a matrix
        message = f"distances between goldens must be a square matrix, not of shape {matrix.shape}"
        raise ReferenceSetError(message)
    others = ~np.eye(len(matrix), dtype=bool)
    if not np.isfinite(matrix[others]).all():
        message = "distances between goldens must be finite"
        raise ReferenceSetError(message)
    if len(matrix) < ENOUGH_FOR_ODD:
        return ()
    both = (matrix + matrix.T) / 2
    typical = np.median(both[others].reshape(len(both), -1), axis=1)
    middle = float(np.median(typical))
    sigma = MAD_TO_SIGMA * float(np.median(np.abs(typical - middle)))
    limit = max(middle + ROBUST_SIGMAS * sigma, middle * ODD_FACTOR)
    return tuple(int(index) for index in np.flatnonzero(typical > limit))


def odd_findings(names: Sequence[str], distances: NDArray[np.float64]) -> list[Finding]:
    """The odd ones as warnings; `names` in the order of the matrix."""
    detail = "the encoder finds it far from the other goldens"
    return [_found(Level.WARN, names[index], Fault.ODD_ONE_OUT, detail) for index in odd_ones(distances)]


def _found(level: Level, picture: str, fault: Fault, detail: str) -> Finding:
    return Finding(level=level, picture=picture, fault=fault, detail=detail, remedy=REMEDIES[fault])


def _unreadable_ones(candidates: Sequence[Candidate]) -> list[Finding]:
    broken = (candidate for candidate in candidates if candidate.problem)
    return [_found(Level.REFUSE, one.name, Fault.UNREADABLE, str(one.problem)) for one in broken]


def _duplicates(candidates: Sequence[Candidate]) -> list[Finding]:
    first: dict[str, str] = {}
    findings = []
    for candidate in candidates:
        same = first.setdefault(candidate.sha256, candidate.name)
        if same != candidate.name:
            findings.append(_found(Level.REFUSE, candidate.name, Fault.DUPLICATE, f"the same file as {same}"))
    return findings


def _blank(candidates: Sequence[Candidate]) -> list[Finding]:
    """Nearly one grey value, or far less contrast between places than the others have."""
    limit = 0.0
    if len(candidates) >= ENOUGH_TO_COMPARE:
        limit = BLANK_OF_OTHERS * statistics.median(candidate.quality.contrast for candidate in candidates)
    return [
        _found(Level.REFUSE, one.name, Fault.BLANK, f"contrast {one.quality.contrast:.1f}, spread {one.spread:.1f}")
        for one in candidates
        if one.spread < SPREAD_LIMIT or one.quality.contrast < limit
    ]


def _other_aspect(candidates: Sequence[Candidate]) -> list[Finding]:
    """Those whose aspect ratio is not that of the most frequent size (of equally frequent ones the first)."""
    if not candidates:
        return []
    usual = _usual(candidates)
    return [
        _found(Level.REFUSE, one.name, Fault.OTHER_ASPECT, _sizes(one, usual))
        for one in candidates
        if aspect_change(one.quality, usual.quality) > ASPECT_LIMIT
    ]


def _other_size(candidates: Sequence[Candidate]) -> list[Finding]:
    if not candidates:
        return []
    usual = _usual(candidates)
    others = (one for one in candidates if _size(one) != _size(usual))
    return [_found(Level.WARN, one.name, Fault.OTHER_SIZE, _sizes(one, usual)) for one in others]


def _usual(candidates: Sequence[Candidate]) -> Candidate:
    """The first candidate of the most frequent size."""
    counts = Counter(_size(candidate) for candidate in candidates)
    return max(candidates, key=lambda candidate: counts[_size(candidate)])


def _size(candidate: Candidate) -> tuple[int, int]:
    return candidate.quality.width, candidate.quality.height


def _sizes(one: Candidate, usual: Candidate) -> str:
    (width, height), (usual_width, usual_height) = _size(one), _size(usual)
    return f"{width} x {height} px, {usual.name} has {usual_width} x {usual_height}"


def _near_duplicates(candidates: Sequence[Candidate]) -> list[Finding]:
    """Pictures whose 64 x 64 thumbnails differ by less than one grey value on average, brightness aside."""
    findings = []
    flat = np.array([(one.thumbnail - one.thumbnail.mean()).ravel() for one in candidates])  # (n, 4096)
    for index in range(1, len(candidates)):
        gaps = np.abs(flat[:index] - flat[index]).mean(axis=1)
        nearest = int(gaps.argmin())
        if gaps[nearest] < NEAR_DUPLICATE:
            detail = f"hardly differs from {candidates[nearest].name}"
            findings.append(_found(Level.WARN, candidates[index].name, Fault.NEAR_DUPLICATE, detail))
    return findings


def _light(candidates: Sequence[Candidate]) -> list[Finding]:
    """Brightness far from the others' median; with one or two pictures, all but black or white ones."""
    values = [candidate.quality.brightness for candidate in candidates]
    low, high = DARK_LIMIT, BRIGHT_LIMIT
    if len(values) >= ENOUGH_TO_COMPARE:
        low, high = _robust_range(values, LIGHT_FACTOR, LIGHT_SIGMAS)
    findings = []
    for candidate, value in zip(candidates, values, strict=True):
        if value < low:
            detail = f"brightness {value:.0f} below {low:.0f}"
            findings.append(_found(Level.WARN, candidate.name, Fault.DARK, detail))
        elif value > high:
            detail = f"brightness {value:.0f} above {high:.0f}"
            findings.append(_found(Level.WARN, candidate.name, Fault.BRIGHT, detail))
    return findings


def _focus(candidates: Sequence[Candidate]) -> list[Finding]:
    """Focus far below the others' median; with one or two pictures, nothing sharp in them at all."""
    values = [candidate.quality.focus for candidate in candidates]
    low = _robust_range(values, FOCUS_FACTOR, ROBUST_SIGMAS)[0] if len(values) >= ENOUGH_TO_COMPARE else FOCUS_LIMIT
    return [
        _found(Level.WARN, candidate.name, Fault.BLURRED, f"focus {value:.3f} below {low:.3f}")
        for candidate, value in zip(candidates, values, strict=True)
        if value < low
    ]


def _framing(candidates: Sequence[Candidate]) -> list[Finding]:
    found = misframed([candidate.grey for candidate in candidates])
    return [_found(Level.WARN, candidates[index].name, Fault.MISFRAMED, detail) for index, detail in found.items()]


def _robust_range(values: Sequence[float], factor: float, sigmas: float) -> tuple[float, float]:
    """The median divided and multiplied by `factor`, or by that many robust sigmas of the logarithms, if more."""
    logs = [math.log(max(value, 1e-6)) for value in values]
    middle = statistics.median(logs)
    sigma = MAD_TO_SIGMA * statistics.median(abs(value - middle) for value in logs)
    reach = max(math.log(factor), sigmas * sigma)
    return math.exp(middle - reach), math.exp(middle + reach)
