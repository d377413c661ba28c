"""What a watch says of a line that changed, and of quiet nights: python tests/benchmarks/drift.py [--distinct 2000].

Really judged frames of the simulated board: 6 goldens, a threshold on 60 good and 40 defective boards, then runs of 200
frames with the lamp 15 % darker, the camera moved by 3 %, and another version of the board (other copper under the same
parts); 2 % of all boards are defective. Then 20 quiet nights of 1000 frames, drawn with replacement from `--distinct`
judged ones where that is less than 20 000. Prints a table.
"""

from __future__ import annotations

import argparse
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from inspection.calibration import Calibration, Policy, calibrate_scores
from inspection.decision import judge_similarity
from inspection.inspector import Inspector
from inspection.reference_set import load_reference_set
from pipeline.enrolment import enrol_goldens
from pipeline.simulator import LineSimulator
from pipeline.simulator.defects import DefectKind
from pipeline.watch.drift import watch_frames
from pipeline.watch.figures import Baseline, figures_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.watch.drift import Night

SEED: Final = 11
DEFECTIVE: Final = 50  # every so many-th board
NIGHTS, FRAMES, CHANGED = 20, 1000, 200
KINDS: Final = list(DefectKind)
CHANGES: Final[dict[str, dict[str, Any]]] = {
    "lamp": {"light": 0.85},
    "camera": {"camera_shift": (0.03, 0.0)},
    "product": {},
}


def judged(inspector: Inspector, line: LineSimulator, first: int, count: int, *, every: int) -> list[dict[str, Any]]:
    """The figures of `count` frames from number `first` on; each `every`-th is defective, none where that is 0."""

    def one(number: int) -> dict[str, Any]:
        kind = KINDS[number % len(KINDS)] if every and number % every == 0 else None
        (found,) = inspector.judge([line.frame(first + number, kind).image])
        matrix = None if found.matrix is None else found.matrix.tolist()
        values = {"brightness": found.brightness, "focus": found.focus, "similarity": found.similarity}
        return {**values, "matrix": matrix}

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, range(count)))


def ready(folder: Path, line: LineSimulator) -> tuple[Inspector, Baseline, Calibration]:
    """An inspector of six goldens, with a threshold and the figures of its good parts."""
    files = []
    for number in range(6):
        files.append(folder / f"{number}.png")
        cv2.imwrite(str(files[-1]), cv2.cvtColor(line.frame(number).image, cv2.COLOR_RGB2BGR))
    enrol_goldens(folder / "goldens", product="board", view="default", files=files, added_by="benchmark", add=False)
    inspector = Inspector(load_reference_set(folder / "goldens", "board", "default"), cache=folder / "cache")
    good = judged(inspector, line, 100, 60, every=0)
    defective = judged(inspector, line, 200, 40, every=1)
    scores = [[one["similarity"] for one in part if one["similarity"] is not None] for part in (good, defective)]
    calibration = calibrate_scores(*scores, policy=Policy(max_overkill=0.02), binding=inspector.binding)
    size = inspector.first_golden.shape[:2]
    overkill = calibration.overkill.rate if calibration.overkill else 0.0
    frames = tuple(figures_of(one, size) for one in good)
    baseline = Baseline(calibration=calibration.digest, golden_size=size, overkill=overkill, frames=frames)
    return inspector, baseline, calibration


def watched(baseline: Baseline, values: Sequence[dict[str, Any]], threshold: float) -> Night:
    """The watch of these frames, in their order."""
    verdicts = [
        "CANNOT_INSPECT" if one["similarity"] is None else str(judge_similarity(one["similarity"], threshold))
        for one in values
    ]
    return watch_frames(baseline, [figures_of(one, baseline.golden_size) for one in values], verdicts)


def main() -> None:
    """One row a change, one for the quiet nights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--distinct", type=int, default=2000, help="quiet frames that are really judged")
    distinct = parser.parse_args().distinct
    line = LineSimulator(seed=SEED)
    with tempfile.TemporaryDirectory() as folder:
        inspector, baseline, calibration = ready(Path(folder), line)
        print("| run | frames | said |\n|---|---:|---|", flush=True)
        for name, change in CHANGES.items():
            changed = LineSimulator(seed=SEED + (name == "product"), **change)
            values = judged(inspector, changed, 5000, CHANGED, every=DEFECTIVE)
            night = watched(baseline, values, calibration.threshold)
            print(f"| {name} | {CHANGED} | {'; '.join(one.said for one in night.alarms) or 'nothing'} |", flush=True)
        quiet = judged(inspector, line, 10_000, distinct, every=DEFECTIVE)
    rng, alarmed = np.random.default_rng(SEED), 0
    for number in range(NIGHTS):
        whole = distinct >= NIGHTS * FRAMES
        chosen = range(number * FRAMES, (number + 1) * FRAMES) if whole else rng.integers(0, distinct, FRAMES)
        night = watched(baseline, [quiet[index] for index in chosen], calibration.threshold)
        alarmed += bool(night.alarms)
        for one in night.alarms:
            print(f"| quiet night {number} | {FRAMES} | {one.said} |", flush=True)
    print(f"| {NIGHTS} quiet nights | {FRAMES} each, of {distinct} judged | {alarmed} with an alarm |")


if __name__ == "__main__":
    main()
