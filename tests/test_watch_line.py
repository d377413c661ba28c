"""The watch on really judged frames of the simulated line: each change is named within 200, quiet nights stay quiet.

A few judged frames of each kind stand for many: runs are drawn from them with replacement, and each figure gets a fresh
variation of a quarter of its own spread. `tests/benchmarks/drift.py` judges thousands.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, replace
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest

from inspection.inspector import Inspector
from inspection.recipe import Recipe
from inspection.reference_set import load_reference_set
from inspection.verdicts import Verdict
from pipeline.enrolment import enrol_goldens
from pipeline.simulator import LineSimulator
from pipeline.watch.drift import Cause, watch_frames
from pipeline.watch.figures import Baseline, FrameFigures, WatchedFrame, figures_of

SEED, SIZE = 21, 256
JUDGED = 50
BEGIN = datetime(2026, 11, 23, 21, tzinfo=UTC)


@pytest.fixture(scope="module")
def inspector(tmp_path_factory):
    """Of four goldens."""
    folder = tmp_path_factory.mktemp("line")
    files = [folder / f"{number}.png" for number in range(4)]
    for number, file in enumerate(files):
        cv2.imwrite(str(file), LineSimulator(SEED, SIZE).frame(number).image[..., ::-1])
    recipe = Recipe(image_size=192)
    enrol_goldens(folder / "goldens", product="board", files=files, recipe=recipe, added_by="test", add=False)
    return Inspector(load_reference_set(folder / "goldens", "board", "default"), engine="onnx")


def judged(inspector, line, first, count=JUDGED):
    """The figures of frames of a line."""

    def one(number):
        (found,) = inspector.judge([line.frame(number).image])
        values = {"similarity": found.similarity, "brightness": found.brightness, "focus": found.focus}
        return figures_of({**values, "matrix": found.matrix}, inspector.first_golden.shape[:2])

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, range(first, first + count)))


@pytest.fixture(scope="module")
def quiet(inspector):
    """Quiet frames, none of which is in the baseline."""
    return judged(inspector, LineSimulator(SEED, SIZE), 1000, 2 * JUDGED)


@pytest.fixture(scope="module")
def threshold(baseline):
    """Just below the least similar good part."""
    return min(one.similarity for one in baseline.frames) - 0.005


@pytest.fixture(scope="module")
def baseline(inspector):
    """Of good boards."""
    good = judged(inspector, LineSimulator(SEED, SIZE), 100, JUDGED)
    return Baseline(calibration="c" * 12, golden_size=(SIZE, SIZE), overkill=0.0, frames=tuple(good))


def drawn(rng, figures, count):
    """So many frames like these."""
    known = np.array([astuple(one) for one in figures], dtype=np.float64)
    chosen = known[rng.integers(0, len(known), count)] + rng.normal(0, 0.25, (count, 5)) * known.std(axis=0)
    return [_figures(row) for row in chosen]


def _figures(row):
    names = ("similarity", "brightness", "focus", "moved_x", "moved_y")
    return FrameFigures(**dict(zip(names, map(float, row), strict=True)))


def run_of(figures, threshold):
    """The frames with their verdicts, one every twelve seconds."""
    return [
        WatchedFrame(
            figures=one,
            verdict=Verdict.FLAG if one.similarity < threshold else Verdict.PASS,
            problem="",
            moment=BEGIN + timedelta(seconds=12 * number),
        )
        for number, one in enumerate(figures)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (LineSimulator(SEED, SIZE, light=0.85), Cause.LAMP),
        (LineSimulator(SEED, SIZE, camera_shift=(0.03, 0.0)), Cause.CAMERA),
        (LineSimulator(SEED + 1, SIZE), Cause.PRODUCT),
    ],
    ids=["lamp", "camera", "product"],
)
def test_a_change_in_the_night_is_named_within_200_frames(inspector, baseline, quiet, threshold, line, cause):
    """And nothing else beside it."""
    rng = np.random.default_rng(3)
    changed = judged(inspector, line, 2000)
    run = run_of(drawn(rng, quiet, 330) + drawn(rng, changed, 200), threshold)
    (alarm,) = watch_frames(baseline, run).alarms
    assert alarm.cause is cause
    assert alarm.known_after <= 530


@pytest.mark.slow
def test_twenty_quiet_nights_raise_no_alarm(baseline, quiet, threshold):
    """Of 1000 frames each, of which 2 % are defective."""
    for night in range(20):
        rng = np.random.default_rng([night, 5])
        figures = [replace(one, similarity=0.5) if rng.random() < 0.02 else one for one in drawn(rng, quiet, 1000)]
        assert watch_frames(baseline, run_of(figures, threshold)).alarms == ()
