"""What a judged frame is called: verdict, region, judgement."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Verdict(StrEnum):
    """The three things that can be said of a frame. One that was not really inspected is never PASS."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FLAG = "FLAG"
    CANNOT_INSPECT = "CANNOT_INSPECT"


class Reason(StrEnum):
    """Why a frame could not be inspected; the detail follows after a colon in `Judgement.reason`."""

    UNREADABLE = "unreadable"
    WRONG_SIZE = "wrong size"
    BLURRED = "blurred"
    TOO_DARK = "too dark"
    TOO_BRIGHT = "too bright"
    BLANK = "blank"
    NOT_REGISTERED = "not registered"
    NOT_COMPARED = "not compared"
    NOT_CALIBRATED = "not calibrated"
    NOT_RECOGNISED = "not recognised"
    SKIPPED = "skipped"
    TOO_LATE = "too late"
    INTERRUPTED = "interrupted"
    NOT_RECORDED = "not recorded"


@dataclass(frozen=True, kw_only=True)
class Region:
    """A connected place below the threshold, in pixels of the frame as it was delivered.

    `similarity` is the lowest similarity inside the region (its peak defect); `area` counts pixels.
    Where a network was trained to name defects, `types` holds all names with their shares, likeliest first, which sum
    to 1. `certainty` in [0, 1] is how sure a network that judges pairs is of
    the whole region, else None.
    """

    x: int
    y: int
    width: int
    height: int
    area: int
    similarity: float
    certainty: float | None = None
    types: tuple[tuple[str, float], ...] = ()

    @property
    def type(self) -> str | None:
        """The likeliest type of defect; None where none are named."""
        return self.types[0][0] if self.types else None


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The hashes (12 hex digits each) that a verdict rests on; `calibration` is None where there is none."""

    encoder: str
    reference_set: str
    recipe: str
    calibration: str | None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the twin says of one frame.

    `similarity` lies in [0, 1], higher is more like golden; `distance` is the same raw, never clamped, in units of
    the goldens' own nuisance scale (1 = what harmless changes of light and pose give). Both are None where the
    frame was not compared. `threshold` is a similarity: the frame is flagged when `similarity < threshold`.
    `similarity_map` is (H, W) float32 in [0, 1] in the golden's coordinate frame, or None.
    `matrix` is (3, 3) float64 and maps pixels of the delivered frame to pixels of the golden, or None.
    """

    verdict: Verdict
    reason: str | None
    similarity: float | None
    distance: float | None
    threshold: float | None
    provisional: bool
    regions: tuple[Region, ...]
    provenance: Provenance
    milliseconds: float
    similarity_map: NDArray[np.float32] | None = None
    matrix: NDArray[np.float64] | None = None
    brightness: float | None = None
    focus: float | None = None
    registration_quality: float | None = None

    @classmethod
    def refused(
        cls,
        reason: str | None,
        provenance: Provenance,
        *,
        threshold: float | None = None,
        provisional: bool = False,
        milliseconds: float = 0.0,
    ) -> Judgement:
        """CANNOT_INSPECT, for a reason; nothing was compared."""
        return cls(
            verdict=Verdict.CANNOT_INSPECT,
            reason=reason,
            similarity=None,
            distance=None,
            threshold=threshold,
            provisional=provisional,
            regions=(),
            provenance=provenance,
            milliseconds=milliseconds,
        )
