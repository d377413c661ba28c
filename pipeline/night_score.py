"""Score a night: its recorded verdicts beside the truth that only a simulated line knows."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inspection.calibration import Rate
from inspection.errors import EvaluationError
from inspection.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class NightScore:
    """How often the night's verdicts were wrong.

    `escape` is over all defective frames, `per_type` over those of each type, `overkill` over good ones; None where
    there were none. Frames that could not be inspected count in no rate but in `not_inspected`.
    """

    escape: Rate | None
    per_type: dict[str, Rate]
    overkill: Rate | None
    not_inspected: int


def score_night(rows: Sequence[Mapping[str, Any]], truth: Path) -> NightScore:
    """Compare recorded rows with the truth, a CSV file with the columns frame and defect (empty on a good part).

    Raises:
        EvaluationError: the truth can't be read, or knows nothing of a recorded frame.
    """
    defects = _read(truth)
    unknown = next((row["frame"] for row in rows if row["frame"] not in defects), None)
    if unknown is not None:
        message = f"{truth} knows nothing of the frame {unknown}; give the truth of this very night"
        raise EvaluationError(message)
    seen = [row for row in rows if row["verdict"] != Verdict.CANNOT_INSPECT]
    passed: dict[str, list[bool]] = {}
    for row in seen:
        passed.setdefault(defects[row["frame"]], []).append(row["verdict"] == Verdict.PASS)
    good = passed.pop("", [])
    defective = [one for found in passed.values() for one in found]
    return NightScore(
        escape=_rate(defective),
        per_type={name: Rate.of(sum(found), len(found)) for name, found in sorted(passed.items())},
        overkill=_rate([not one for one in good]),
        not_inspected=len(rows) - len(seen),
    )


def _rate(events: Sequence[bool]) -> Rate | None:
    return Rate.of(sum(events), len(events)) if events else None


def _read(truth: Path) -> dict[str, str]:
    try:
        with truth.open(encoding="utf-8", newline="") as file:
            return {row["frame"]: row["defect"] for row in csv.DictReader(file)}
    except (OSError, KeyError, ValueError) as error:
        message = f"the night's truth {truth} can't be read ({error}); it needs the columns frame and defect"
        raise EvaluationError(message) from error
