"""The figures of one frame that a watch looks at, and those of the good parts of a calibration to hold them against."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from inspection.durable import write_text
from inspection.errors import CalibrationError
from inspection.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from inspection.calibration import Calibration
    from inspection.inspector import Inspector
    from pipeline.scoring import Scored
    from pipeline.workspace import Workspace

FEWEST = 10
"""Good parts below which their spread is not known well enough to watch by."""


@dataclass(frozen=True, kw_only=True)
class FrameFigures:
    """What is measured of each frame; None where it was not.

    `brightness` is the mean grey value (0 to 255), `focus` the quality gate's measure, `moved_x` and `moved_y` say how
    far the frame's middle lies from where it lies in the golden, in parts of the golden's side.
    """

    similarity: float | None
    brightness: float | None
    focus: float | None
    moved_x: float | None
    moved_y: float | None


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The figures of the good parts that a calibration was chosen on; `golden_size` is (height, width) in pixels.

    `overkill` is the share of them below the threshold; `not_inspected` counts the good parts that could not be
    inspected and are not among `frames`.
    """

    calibration: str
    golden_size: tuple[int, int]
    overkill: float
    frames: tuple[FrameFigures, ...]
    not_inspected: int = 0

    def to_json(self) -> str:
        """Plain JSON."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Baseline:
        """Read it back.

        Raises:
            CalibrationError: it is no baseline.
        """
        try:
            data = json.loads(text)
            frames = tuple(FrameFigures(**frame) for frame in data["frames"])
            height, width = data["golden_size"]
            return cls(
                calibration=str(data["calibration"]),
                golden_size=(int(height), int(width)),
                overkill=float(data["overkill"]),
                frames=frames,
                not_inspected=int(data.get("not_inspected", 0)),
            )
        except (ValueError, TypeError, KeyError) as error:
            message = f"the figures of the calibration's parts can't be read ({error}); calibrate anew"
            raise CalibrationError(message) from error


@dataclass(frozen=True, kw_only=True)
class WatchedFrame:
    """One judged frame of a run, when it was taken (with a time zone), and what was said of it.

    `verdict` is that of the judge alone: where a hold kept a part from passing, it is PASS all the same, or the watch
    would take its own hold for a change of the line. `problem` is why a frame could not be inspected, as the values of
    `inspection.verdicts.Reason`; "" where it was.
    """

    figures: FrameFigures
    verdict: Verdict
    problem: str
    moment: datetime


def watched_frame(row: Mapping[str, Any], golden_size: tuple[int, int]) -> WatchedFrame:
    """A recorded row as the watch sees it; the moment in this machine's time zone."""
    verdict, problem = Verdict(row["verdict"]), ""
    if verdict is Verdict.CANNOT_INSPECT:
        if row["similarity"] is None or row["threshold"] is None:
            problem = str(row["reason"] or "").partition(":")[0]
        else:
            verdict = Verdict.FLAG if row["similarity"] < row["threshold"] else Verdict.PASS
    return WatchedFrame(
        figures=figures_of(row, golden_size),
        verdict=verdict,
        problem=problem,
        moment=datetime.fromisoformat(row["captured_at"] or row["judged_at"]).astimezone(),
    )


def figures_of(values: Mapping[str, Any], golden_size: tuple[int, int]) -> FrameFigures:
    """The figures of a verdict's row."""
    x, y = _moved(values.get("matrix"), golden_size)
    return FrameFigures(
        similarity=values["similarity"],
        brightness=values["brightness"],
        focus=values["focus"],
        moved_x=x,
        moved_y=y,
    )


def keep_baseline(
    workspace: Workspace, inspector: Inspector, calibration: Calibration, scored: Sequence[Scored]
) -> Path | None:
    """Keep the figures of the good parts beside the calibration; None where there are too few to watch by."""
    rows = []
    lost = 0
    for one in scored:
        judgement = one.verdict.judgement
        if one.labelled.defective:
            continue
        lost += one.similarity is None
        if one.similarity is not None:
            matrix = None if judgement.matrix is None else judgement.matrix.tolist()
            values = {"similarity": one.similarity, "brightness": judgement.brightness, "focus": judgement.focus}
            rows.append({**values, "matrix": matrix})
    return keep_baseline_of(workspace, inspector, calibration, rows, not_inspected=lost)


def keep_baseline_of(
    workspace: Workspace,
    inspector: Inspector,
    calibration: Calibration,
    good: Sequence[Mapping[str, Any]],
    *,
    not_inspected: int = 0,
) -> Path | None:
    """The same from the recorded rows of good parts; `not_inspected` counts those without a similarity."""
    if len(good) < FEWEST:
        return None
    size = (int(inspector.first_golden.shape[0]), int(inspector.first_golden.shape[1]))
    below = sum(row["similarity"] < calibration.threshold for row in good)
    baseline = Baseline(
        calibration=calibration.digest,
        golden_size=size,
        overkill=below / len(good),
        frames=tuple(figures_of(row, size) for row in good),
        not_inspected=not_inspected,
    )
    found = inspector.reference_set
    path = _path(workspace, found.product, found.view, calibration.digest)
    write_text(path, baseline.to_json())
    return path


def read_baseline(workspace: Workspace, product: str, view: str, calibration: str) -> Baseline | None:
    """The figures kept with the calibration of that digest; None where there are none.

    Raises:
        CalibrationError: they can't be read.
    """
    try:
        return Baseline.from_json(_path(workspace, product, view, calibration).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _path(workspace: Workspace, product: str, view: str, calibration: str) -> Path:
    return workspace.calibrations / product / view / f"baseline-{calibration}.json"


def _moved(matrix: Any, golden_size: tuple[int, int]) -> tuple[float | None, float | None]:
    """How far the part lies from where it lies in the golden, in parts of its side; both at the golden's scale."""
    if matrix is None:
        return None, None
    values = np.array(matrix, dtype=np.float64)
    height, width = golden_size
    middle = np.array([(width - 1) / 2, (height - 1) / 2, 1.0])
    scale = np.sqrt(abs(np.linalg.det(values[:2, :2])))
    back = np.linalg.solve(values, middle)
    apart = back[:2] / back[2] * scale - middle[:2]
    return float(apart[0] / width), float(apart[1] / height)
