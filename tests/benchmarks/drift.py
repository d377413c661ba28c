"""What a watch says of a line that changed, and of quiet nights: python tests/benchmarks/drift.py [--distinct 4000].

Really judged frames of the simulated board: 6 goldens, a threshold on 60 good and 40 defective boards; 2 % of all
boards of a night are defective. Each change begins inside a window, after 330 quiet frames, and lasts 200. Then quiet
nights of 1000 frames, drawn with replacement from `--distinct` judged ones (each once where that is 20 000 or more): 20
with the calibration above, and 20 with each of 50 others, of 60 and of 30 good boards drawn from the same quiet frames,
because a calibration that lies off the line's true mean would alarm every night. Prints a table.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.calibration import Calibration, Policy, calibrate_scores
from inspection.decision import judge_similarity
from inspection.inspector import Inspector
from inspection.reference_set import load_reference_set
from pipeline.enrolment import enrol_goldens
from pipeline.simulator import LineSimulator
from pipeline.simulator.defects import DefectKind
from pipeline.watch.drift import Night, watch_frames
from pipeline.watch.figures import Baseline, figures_of, watched_frame

SEED: Final = 11
DEFECTIVE: Final = 50  # every so many-th board
NIGHTS, FRAMES, BEFORE, CHANGED, OTHERS = 20, 1000, 330, 200, 50
KINDS: Final = list(DefectKind)
BEGIN: Final = datetime(2026, 11, 23, 21, tzinfo=UTC)
SECONDS: Final = 12  # between two frames
Alter = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def judged(
    inspector: Inspector, line: LineSimulator, first: int, count: int, *, every: int, alter: Alter | None = None
) -> list[dict[str, Any]]:
    """The figures of `count` frames from number `first` on; each `every`-th is defective, none where that is 0."""

    def one(number: int) -> dict[str, Any]:
        kind = KINDS[number % len(KINDS)] if every and number % every == 0 else None
        image = line.frame(first + number, kind).image
        (found,) = inspector.judge([image if alter is None else alter(image)])
        matrix = None if found.matrix is None else found.matrix.tolist()
        values = {"brightness": found.brightness, "focus": found.focus, "similarity": found.similarity}
        return {**values, "matrix": matrix, "reason": found.reason, "good": kind is None}

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, range(count)))


def opened(folder: Path, line: LineSimulator) -> Inspector:
    """An inspector of six goldens."""
    files = []
    for number in range(6):
        files.append(folder / f"{number}.png")
        cv2.imwrite(str(files[-1]), cv2.cvtColor(line.frame(number).image, cv2.COLOR_RGB2BGR))
    enrol_goldens(folder / "goldens", product="board", view="default", files=files, added_by="benchmark", add=False)
    return Inspector(load_reference_set(folder / "goldens", "board", "default"), cache=folder / "cache")


def calibrated(
    inspector: Inspector, good: Sequence[dict[str, Any]], defective: Sequence[dict[str, Any]]
) -> tuple[Baseline, Calibration]:
    """A threshold, and the figures of its good parts, as `goldentwin calibrate` keeps them."""
    seen = [one for one in good if one["similarity"] is not None]
    scores = [[one["similarity"] for one in part if one["similarity"] is not None] for part in (good, defective)]
    calibration = calibrate_scores(*scores, policy=Policy(max_overkill=0.05), binding=inspector.binding)
    size = inspector.first_golden.shape[:2]
    baseline = Baseline(
        calibration=calibration.digest,
        golden_size=size,
        overkill=sum(one["similarity"] < calibration.threshold for one in seen) / len(seen),
        frames=tuple(figures_of(one, size) for one in seen),
        not_inspected=len(good) - len(seen),
    )
    return baseline, calibration


def watched(baseline: Baseline, values: Sequence[dict[str, Any]], threshold: float) -> Night:
    """The watch of these frames, in their order."""
    frames = []
    for number, one in enumerate(values):
        similarity = one["similarity"]
        verdict = "CANNOT_INSPECT" if similarity is None else judge_similarity(similarity, threshold)
        moment = (BEGIN + timedelta(seconds=SECONDS * number)).isoformat()
        row = {**one, "verdict": verdict, "threshold": threshold, "captured_at": moment}
        frames.append(watched_frame(row, baseline.golden_size))
    return watch_frames(baseline, frames)


def one_part_less(line: LineSimulator) -> LineSimulator:
    """The same board without its resistor R20: a small change of version."""
    layout = line._design.layout
    placements = tuple(one for one in layout.placements if one.name != "R20")
    less = LineSimulator(line.seed, line.size)
    less._design = replace(less._design, layout=replace(layout, placements=placements))
    return less


def changes(line: LineSimulator) -> dict[str, tuple[LineSimulator, Alter | None]]:
    """The lines that changed, by what should be said of them."""
    return {
        "lamp: 15 % darker": (LineSimulator(SEED, light=0.85), None),
        "lamp: 15 % brighter": (LineSimulator(SEED, light=1.15), None),
        "camera: moved by 3 %": (LineSimulator(SEED, camera_shift=(0.03, 0.0)), None),
        "camera: moved by 15 %": (LineSimulator(SEED, camera_shift=(0.0, 0.15)), None),
        "lens: out of focus": (line, lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), 1.5), np.uint8)),
        "product: other copper": (LineSimulator(SEED + 1), None),
        "product: one resistor less": (one_part_less(line), None),
    }


def other_calibrations(
    inspector: Inspector, quiet: Sequence[dict[str, Any]], defective: Sequence[dict[str, Any]], parts: int
) -> tuple[int, int]:
    """Of 50 calibrations on `parts` good boards: how many alarm in any of 20 quiet nights, and in how many nights.

    Calibrations and nights are drawn from different frames.
    """
    rng, calibrations, nights = np.random.default_rng([SEED, parts]), 0, 0
    for _ in range(OTHERS):
        order = rng.permutation(len(quiet))
        mine = [index for index in order if quiet[index]["good"]][:parts]
        others = np.setdiff1d(order, mine)
        baseline, calibration = calibrated(inspector, [quiet[index] for index in mine], defective)
        alarmed = sum(
            bool(watched(baseline, [quiet[at] for at in rng.choice(others, FRAMES)], calibration.threshold).alarms)
            for _ in range(NIGHTS)
        )
        nights += alarmed
        calibrations += bool(alarmed)
    return calibrations, nights


def main() -> None:
    """One row a change, one for each kind of quiet nights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--distinct", type=int, default=4000, help="quiet frames that are really judged")
    distinct = parser.parse_args().distinct
    line, started = LineSimulator(SEED), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        inspector = opened(Path(folder), line)
        good, defective = judged(inspector, line, 100, 60, every=0), judged(inspector, line, 200, 40, every=1)
        baseline, calibration = calibrated(inspector, good, defective)
        quiet = judged(inspector, line, 10_000, distinct, every=DEFECTIVE)
        print("| run | named after | said |\n|---|---:|---|", flush=True)
        for name, (changed, alter) in changes(line).items():
            values = judged(inspector, changed, 5000, CHANGED, every=DEFECTIVE, alter=alter)
            alarms = watched(baseline, [*quiet[:BEFORE], *values], calibration.threshold).alarms
            after = alarms[0].known_after - BEFORE if alarms else "-"
            print(f"| {name} | {after} | {'; '.join(one.said for one in alarms) or 'nothing'} |", flush=True)
        rng, alarmed = np.random.default_rng(SEED), 0
        for number in range(NIGHTS):
            whole = distinct >= NIGHTS * FRAMES
            chosen = range(number * FRAMES, (number + 1) * FRAMES) if whole else rng.integers(0, distinct, FRAMES)
            night = watched(baseline, [quiet[index] for index in chosen], calibration.threshold)
            alarmed += bool(night.alarms)
            for one in night.alarms:
                print(f"| quiet night {number} | - | {one.said} |", flush=True)
        print(
            f"| {NIGHTS} quiet nights of {FRAMES}, from {distinct} judged | - | {alarmed} with an alarm |", flush=True
        )
        for parts in (60, 30):
            calibrations, nights = other_calibrations(inspector, quiet, defective, parts)
            told = f"{calibrations} of {OTHERS} alarm in one night or more, {nights} of {OTHERS * NIGHTS} nights"
            print(f"| quiet nights, other calibrations on {parts} boards | - | {told} |", flush=True)
    print(f"\n{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
