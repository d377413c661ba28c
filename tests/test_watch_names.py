"""The watch names lamp, lens, camera and product from figures of frames, and keeps quiet otherwise."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy import stats

from inspection.errors import CalibrationError
from inspection.verdicts import Verdict
from pipeline.watch.charts import TAIL, draw_charts
from pipeline.watch.drift import WINDOW, Cause, watch_frames
from pipeline.watch.figures import Baseline, FrameFigures, WatchedFrame, figures_of, watched_frame

RNG_BASE = 99
THRESHOLD = 0.925
BEGIN = datetime(2026, 11, 23, 21, tzinfo=UTC)


def figures(rng, count, **shift):
    """Figures of frames of a quiet line, or with some of them shifted."""
    found = []
    for _ in range(count):
        values = {
            "similarity": float(np.clip(rng.normal(0.95, 0.01), 0, 1)),
            "brightness": rng.normal(120, 4),
            "focus": rng.normal(50, 5),
            "moved_x": rng.normal(0, 0.006),
            "moved_y": rng.normal(0, 0.006),
        }
        found.append(FrameFigures(**{name: value + shift.get(name, 0.0) for name, value in values.items()}))
    return found


def judged(run, *, seconds=12):
    """The frames with their verdicts, one every so many seconds."""
    return [
        WatchedFrame(
            figures=one,
            verdict=Verdict.FLAG if one.similarity < THRESHOLD else Verdict.PASS,
            problem="",
            moment=BEGIN + timedelta(seconds=seconds * number),
        )
        for number, one in enumerate(run)
    ]


def refused(frames, every, problem):
    """The frames, of which every so-many-th could not be inspected."""
    nothing = FrameFigures(similarity=None, brightness=120.0, focus=50.0, moved_x=None, moved_y=None)
    return [
        replace(one, figures=nothing, verdict=Verdict.CANNOT_INSPECT, problem=problem) if number % every == 0 else one
        for number, one in enumerate(frames)
    ]


def drawn_baseline(rng, parts=60):
    """The figures of good parts of the quiet line."""
    good = figures(rng, parts)
    overkill = sum(one.similarity < THRESHOLD for one in good) / parts
    return Baseline(calibration="c" * 12, golden_size=(128, 128), overkill=overkill, frames=tuple(good))


@pytest.fixture(scope="module")
def baseline():
    """The figures of 60 good parts."""
    return drawn_baseline(np.random.default_rng(RNG_BASE))


@pytest.mark.parametrize(
    ("shift", "cause", "said"),
    [
        ({"brightness": -18, "focus": -8}, Cause.LAMP, "1[3-7] % darker"),
        ({"brightness": 18}, Cause.LAMP, "1[3-7] % brighter"),
        ({"focus": -20}, Cause.LENS, "(3[5-9]|4[0-5]) % less sharp"),
        ({"moved_x": 0.03}, Cause.CAMERA, r"(2\.|3).* % to the right"),
        ({"moved_y": -0.03}, Cause.CAMERA, r"(2\.|3).* % higher"),
        ({"similarity": -0.03}, Cause.PRODUCT, "flagged.* focus .* in range"),
        ({"similarity": -0.012}, Cause.PRODUCT, "less alike the goldens"),
        ({"brightness": -18, "similarity": -0.03}, Cause.LAMP, "darker.*of parts flagged"),
    ],
)
def test_each_change_is_named_within_200_frames(baseline, shift, cause, said):
    """Wherever in a window it begins; with what was seen of it, and nothing else beside it."""
    for before in (0, 301, 330, 349):
        rng = np.random.default_rng([before, 1])
        run = judged(figures(rng, before) + figures(rng, 200, **shift))
        found = watch_frames(baseline, run).alarms
        assert [alarm.cause for alarm in found] == [cause]
        assert re.search(said, found[0].said)
        assert found[0].known_after <= before + 200
        assert abs(found[0].first - before) <= WINDOW


def test_lens_and_lamp_are_both_named_where_focus_fell_by_more_than_the_light(baseline):
    """A lamp that lost 15 % does not explain that focus lost 60 %."""
    run = judged(figures(np.random.default_rng(8), 200, brightness=-18, focus=-30))
    assert {alarm.cause for alarm in watch_frames(baseline, run).alarms} == {Cause.LAMP, Cause.LENS}


@pytest.mark.parametrize("parts", [60, 20])
def test_quiet_nights_are_quiet(parts):
    """Twenty of 1000 frames each, with 2 % defective parts, each with a calibration of its own."""
    for night in range(20):
        rng = np.random.default_rng([night, parts])
        baseline = drawn_baseline(rng, parts)
        run = [replace(one, similarity=0.5) if rng.random() < 0.02 else one for one in figures(rng, 1000)]
        assert watch_frames(baseline, judged(run)).alarms == ()


def test_one_odd_tray_is_no_alarm(baseline):
    """A hundred parts that lie elsewhere, among quiet ones."""
    rng = np.random.default_rng(5)
    run = figures(rng, 300) + figures(rng, 100, moved_x=0.03) + figures(rng, 300)
    assert watch_frames(baseline, judged(run)).alarms == ()


def test_an_hour_finds_what_its_windows_do_not(baseline):
    """More parts are flagged for an hour, never in three windows in a row."""
    rng = np.random.default_rng(6)
    run = [
        replace(one, similarity=0.9) if 300 <= number < 600 and number // 50 % 3 < 2 and number % 10 < 4 else one
        for number, one in enumerate(figures(rng, 900))
    ]
    (alarm,) = watch_frames(baseline, judged(run)).alarms
    assert (alarm.cause, alarm.first, alarm.known_after) == (Cause.PRODUCT, 300, 600)


@pytest.mark.parametrize(
    ("problem", "cause"),
    [("too dark", Cause.LAMP), ("blurred", Cause.LENS), ("not registered", Cause.CAMERA), ("", Cause.PRODUCT)],
)
def test_frames_that_can_t_be_inspected_speak_for_what_ails_them(baseline, problem, cause):
    """Where most of them are too dark it is the lamp, and so on."""
    run = refused(judged(figures(np.random.default_rng(7), 200)), 3, problem)
    (alarm,) = watch_frames(baseline, run).alarms
    assert alarm.cause is cause
    assert "can't be inspected" in alarm.said


def test_the_limits_of_shares_are_those_of_the_beta_binomial_distribution(baseline):
    """Checked against scipy's; and a share of 0 of 60 is no promise of none in 50."""
    charts = draw_charts(baseline, judged(figures(np.random.default_rng(9), 50)), [(0, 50)])
    flagged = round(baseline.overkill * 60)
    expected = stats.betabinom.isf(TAIL, 50, flagged + 0.5, 60 - flagged + 0.5) / 50
    assert charts.flagged.high[0] == pytest.approx(expected)
    assert charts.not_inspected.high[0] == pytest.approx(stats.betabinom.isf(TAIL, 50, 0.5, 60.5) / 50)


def test_a_smaller_calibration_has_wider_limits():
    """And too small a stretch has none."""
    run = judged(figures(np.random.default_rng(10), 80))
    widths = []
    for parts in (15, 60, 240):
        charts = draw_charts(drawn_baseline(np.random.default_rng(11), parts), run, [(0, 60), (60, 80)])
        widths.append((charts.distance.high[0], charts.not_inspected.high[0]))
        assert np.isnan(charts.not_inspected.high[1])
    assert widths[0] > widths[1] > widths[2]


def test_a_part_that_a_hold_kept_back_counts_as_passed():
    """Or the next night's watch would take its own hold for a change of the line."""
    row = {
        "similarity": 0.94, "threshold": 0.9, "verdict": "CANNOT_INSPECT", "reason": "automatic PASS is off: lamp",
        "brightness": 120.0, "focus": 50.0, "matrix": None, "captured_at": None, "judged_at": BEGIN.isoformat(),
    }  # fmt: skip
    assert watched_frame(row, (128, 128)).verdict is Verdict.PASS
    unread = watched_frame({**row, "similarity": None, "reason": "blurred: focus 1.0"}, (128, 128))
    assert (unread.verdict, unread.problem) == (Verdict.CANNOT_INSPECT, "blurred")


def test_the_shift_is_told_in_parts_of_the_golden_whatever_the_frame_s_size():
    """A frame of twice the size whose part lies 10 golden pixels right and 5 down of 100."""
    matrix = [[0.5, 0.0, -10.0], [0.0, 0.5, -5.0], [0.0, 0.0, 1.0]]
    values = {"similarity": 0.9, "brightness": 1.0, "focus": 1.0, "matrix": matrix}
    found = figures_of(values, (100, 100))
    assert (found.moved_x, found.moved_y) == pytest.approx((0.1, 0.05))


def test_figures_survive_json(baseline):
    """And what is none is a typed error."""
    assert Baseline.from_json(baseline.to_json()) == baseline
    with pytest.raises(CalibrationError, match="calibrate anew"):
        Baseline.from_json("{}")
