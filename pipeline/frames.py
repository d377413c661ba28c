"""A frame together with what was said of it: what every later stage hands on, prints and records."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from inspection.verdicts import Judgement, Region
from pipeline.reading import Frame


@dataclass(frozen=True, kw_only=True)
class FrameVerdict:
    """One judged frame of a product and view. `frame.image` is usually dropped (None) by now, to save memory."""

    frame: Frame
    judgement: Judgement
    product: str
    view: str

    def to_dict(self) -> dict[str, Any]:
        """The object that `goldentwin inspect --json` prints, keys in that order, then `provisional`.

        Everything in it is plain JSON: what does not apply is None, and so is a number that is not finite.
        """
        judgement = self.judgement
        return {
            "frame": self.frame.frame,
            "part_id": self.frame.part_id,
            "product": self.product,
            "view": self.view,
            "verdict": judgement.verdict.value,
            "similarity": finite(judgement.similarity),
            "distance": finite(judgement.distance),
            "threshold": finite(judgement.threshold),
            "regions": [_region(region) for region in judgement.regions],
            "reason": judgement.reason,
            **asdict(judgement.provenance),  # encoder, reference_set, recipe, calibration
            "milliseconds": finite(judgement.milliseconds),
            "provisional": judgement.provisional,
        }


def finite(value: float | None) -> float | None:
    """`value` as a Python float; None where it is None, infinite or not a number, which JSON can't say."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)


def _region(region: Region) -> dict[str, Any]:
    """The region as JSON says it: plain ints and floats, whatever NumPy types it was measured in."""
    return {
        "x": int(region.x),
        "y": int(region.y),
        "width": int(region.width),
        "height": int(region.height),
        "area": int(region.area),
        "similarity": finite(region.similarity),
        "type": region.type,
        "types": {name: finite(share) for name, share in region.types} or None,
    }
