"""Judged frames for tests of what comes after judging."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from inspection.verdicts import Judgement, Provenance, Region, Verdict
from pipeline.frames import FrameVerdict
from pipeline.reading import Frame

GROUNDS = Provenance(encoder="e" * 12, reference_set="f" * 12, recipe="a" * 12, calibration="c" * 12)
UNCALIBRATED = Provenance(encoder="e" * 12, reference_set="f" * 12, recipe="a" * 12, calibration=None)
SCRATCH = Region(x=10, y=20, width=30, height=8, area=120, similarity=0.25)


def judgement(similarity: float | None = 0.9, **changes: Any) -> Judgement:
    """A judgement at threshold 0.5: FLAG with one region below it, PASS above, CANNOT_INSPECT without similarity."""
    if similarity is None:
        verdict, reason = Verdict.CANNOT_INSPECT, "blurred: focus 3.1 below 7.0"
    else:
        verdict, reason = (Verdict.FLAG if similarity < 0.5 else Verdict.PASS), None
    values: dict[str, Any] = {
        "verdict": verdict,
        "reason": reason,
        "similarity": similarity,
        "distance": None if similarity is None else 1.0 - similarity,
        "threshold": 0.5,
        "provisional": False,
        "regions": (SCRATCH,) if verdict is Verdict.FLAG else (),
        "provenance": GROUNDS,
        "milliseconds": 12.5,
        "matrix": np.eye(3),
        "brightness": 120.0,
        "focus": 30.0,
        "registration_quality": 0.97,
    }
    return Judgement(**(values | changes))


def judged(frame: str = "a.png", similarity: float | None = 0.9, **changes: Any) -> FrameVerdict:
    """A judged frame of product `bolt`, view `top`; `changes` go to the fields they name."""
    frame_values = {
        "frame": frame,
        "part_id": frame.rsplit(".", 1)[0],
        "sha256": hashlib.sha256(frame.encode("utf-8", "surrogateescape")).hexdigest(),
        "captured_at": "2026-03-01T22:15:00+00:00",
        "image": None,
        "problem": None,
    }
    frame_values |= {name: changes.pop(name) for name in list(changes) if name in frame_values}
    product, view = changes.pop("product", "bolt"), changes.pop("view", "top")
    return FrameVerdict(
        frame=Frame(**frame_values), judgement=judgement(similarity, **changes), product=product, view=view
    )
