"""The watch names lamp, lens, camera and product, keeps quiet otherwise, and holds PASS where the recipe says so."""

from __future__ import annotations

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
from drawn_line import write
from drawn_night import PRODUCT, draw_part

from inspection.calibration import Policy
from inspection.errors import CalibrationError, EvaluationError
from inspection.recipe import Recipe, WatchSettings
from inspection.verdicts import Verdict
from pipeline import batch, calibrating
from pipeline.batch import judge_chunk, plan_batch, summarise_batch
from pipeline.calibrating import calibrate_product
from pipeline.opening import keep_inspector, read_calibration
from pipeline.review.pushing import Pushed
from pipeline.watch.drift import Cause, watch_frames
from pipeline.watch.figures import Baseline, FrameFigures, figures_of, read_baseline
from pipeline.watch.watching import watch_batch

RNG_BASE = 99


def frames(rng, count, **shift):
    """Frames of a quiet line, or with some of their figures shifted."""
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


def verdicts_of(run, threshold=0.925):
    """Flagged below the threshold."""
    return ["FLAG" if frame.similarity < threshold else "PASS" for frame in run]


@pytest.fixture(scope="module")
def baseline():
    """The figures of 60 good parts."""
    good = frames(np.random.default_rng(RNG_BASE), 60)
    overkill = verdicts_of(good).count("FLAG") / 60
    return Baseline(calibration="c" * 12, golden_size=(128, 128), overkill=overkill, frames=tuple(good))


@pytest.mark.parametrize(
    ("shift", "cause", "said"),
    [
        ({"brightness": -18, "focus": -8}, Cause.LAMP, "15% darker"),
        ({"focus": -20}, Cause.LENS, "less sharp"),
        ({"moved_x": 0.03}, Cause.CAMERA, r"\d% right"),
        ({"moved_y": -0.03}, Cause.CAMERA, r"\d% up"),
        ({"similarity": -0.03}, Cause.PRODUCT, "flagged"),
        ({"similarity": -0.015}, Cause.PRODUCT, "less like"),
        ({"brightness": -18, "similarity": -0.03}, Cause.LAMP, "darker"),
    ],
)
def test_each_change_is_named_within_200_frames(baseline, shift, cause, said):
    """With what was seen of it, and nothing else beside it."""
    run = frames(np.random.default_rng(1), 200, **shift)
    found = watch_frames(baseline, run, verdicts_of(run)).alarms
    assert [alarm.cause for alarm in found] == [cause]
    assert re.search(said, found[0].said)


def test_quiet_nights_are_quiet(baseline):
    """Twenty of 1000 frames each, with 2 % defective parts."""
    for night in range(20):
        rng = np.random.default_rng([night, 4])
        run = [replace(frame, similarity=0.5) if rng.random() < 0.02 else frame for frame in frames(rng, 1000)]
        assert watch_frames(baseline, run, verdicts_of(run)).alarms == ()


def test_a_change_in_the_middle_is_named_at_its_second_window(baseline):
    """From frame 500 on: the alarm is at the window that begins with frame 600."""
    run = frames(np.random.default_rng(2), 500) + frames(np.random.default_rng(3), 500, brightness=-18)
    (alarm,) = watch_frames(baseline, run, verdicts_of(run)).alarms
    assert alarm.window == 6


def test_one_odd_tray_is_no_alarm(baseline):
    """A single window out of range between quiet ones."""
    rng = np.random.default_rng(5)
    run = frames(rng, 300) + frames(rng, 100, moved_x=0.03) + frames(rng, 300)
    assert watch_frames(baseline, run, verdicts_of(run)).alarms == ()


def test_frames_that_can_t_be_inspected_are_a_change(baseline):
    """Nothing else can be measured of them."""
    nothing = FrameFigures(similarity=None, brightness=None, focus=None, moved_x=None, moved_y=None)
    run = [nothing if number % 4 == 0 else frame for number, frame in enumerate(frames(np.random.default_rng(6), 200))]
    verdicts = ["CANNOT_INSPECT" if frame is nothing else "PASS" for frame in run]
    (alarm,) = watch_frames(baseline, run, verdicts).alarms
    assert "not inspected" in alarm.said


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


@pytest.fixture
def line(plates, home, tmp_path, monkeypatch):
    """Plates calibrated on 40 good ones and 8 scratched ones; MLflow takes no part."""
    for module in (calibrating, batch):
        monkeypatch.setattr(module, "post", lambda *_: True)
    monkeypatch.setattr(batch, "push_reviews", lambda *_, **__: Pushed(pushed={}, lost=(), addresses={}))
    line = plates.copy(home)
    write(tmp_path / "set" / "good", [draw_part(600 + n) for n in range(40)])
    write(tmp_path / "set" / "scratch", [draw_part(700 + n, scratched=True) for n in range(8)])
    calibrate_product(
        line, PRODUCT, "default", labelled=tmp_path / "set", policy=Policy(max_overkill=0.05), engine="onnx"
    )
    return line


def night_of(line, folder, *, darker=1.0, first=800, parts=60):
    """A judged night; `darker` is a factor on its light."""
    pictures = [np.clip(draw_part(first + n) * darker, 0, 255).astype(np.uint8) for n in range(parts)]
    plan = plan_batch(line, PRODUCT, "default", write(folder, pictures), engine="onnx")
    for chunk in plan.chunks:
        judge_chunk(plan, chunk)
    return summarise_batch(plan, 1.0)


def test_a_night_is_watched_with_charts(line, tmp_path):
    """A quiet one says so, a dark one names the lamp; page and picture are there, and stand alone."""
    assert read_baseline(line, PRODUCT, "default", read_calibration(line, PRODUCT, "default").digest) is not None
    quiet = night_of(line, tmp_path / "quiet").watched
    assert quiet.headline.startswith("quiet")
    dark = night_of(line, tmp_path / "dark", darker=0.8, first=900).watched
    assert [alarm.cause for alarm in dark.alarms] == [Cause.LAMP]
    page = dark.page.read_text(encoding="utf-8")
    assert "lamp: 20% darker" in page
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    assert cv2.imread(str(dark.picture)).shape[1] > 1000
    assert watch_batch(line, PRODUCT, "default").batch == dark.batch


def test_pass_is_held_where_the_recipe_says_so_until_the_next_calibration(line, tmp_path):
    """FLAG stays FLAG, PASS becomes CANNOT_INSPECT with the reason; calibrating anew ends it."""
    path = line.references / PRODUCT / "default" / "recipe.json"
    path.write_text(replace(Recipe.load(path), watch=WatchSettings(holds_pass=True)).to_json())
    night_of(line, tmp_path / "dark", darker=0.8)
    inspector = keep_inspector(line, PRODUCT, "default", engine="onnx")
    good, scratched = inspector.judge([draw_part(5), draw_part(6, scratched=True)])
    assert good.verdict is Verdict.CANNOT_INSPECT
    assert "automatic PASS is off" in good.reason
    assert good.similarity >= good.threshold
    assert scratched.verdict is Verdict.FLAG
    write(tmp_path / "set" / "good", [draw_part(650 + n) for n in range(45)])
    calibrate_product(
        line, PRODUCT, "default", labelled=tmp_path / "set", policy=Policy(max_overkill=0.06), engine="onnx"
    )
    (good,) = keep_inspector(line, PRODUCT, "default", engine="onnx").judge([draw_part(5)])
    assert good.verdict is Verdict.PASS


def test_without_figures_of_the_calibration_nothing_is_watched(plates, home, tmp_path, monkeypatch):
    """A provisional calibration has none; the reason is told. No batch at all is an error."""
    monkeypatch.setattr(batch, "post", lambda *_: True)
    monkeypatch.setattr(batch, "push_reviews", lambda *_, **__: Pushed(pushed={}, lost=(), addresses={}))
    line = plates.copy(home)
    with pytest.raises(EvaluationError, match="goldentwin batch"):
        watch_batch(line, PRODUCT, "default")
    watched = night_of(line, tmp_path / "night", parts=5).watched
    assert "provisional" in watched.why_not
    assert watched.page is None
