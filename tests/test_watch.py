"""A judged night is watched with charts, and PASS is held where the recipe says so."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest
from drawn_line import write
from drawn_night import PRODUCT, draw_part
from typer.testing import CliRunner

from flows.commands import app
from inspection.calibration import Policy
from inspection.errors import EvaluationError, NotEnrolledError
from inspection.recipe import Recipe, WatchSettings
from inspection.verdicts import Verdict
from pipeline import batch, calibrating, opening
from pipeline.batch import judge_chunk, summarise_batch
from pipeline.calibrating import calibrate_product
from pipeline.opening import keep_inspector, open_inspector, read_calibration
from pipeline.planning import plan_batch
from pipeline.review.pushing import Pushed
from pipeline.watch.figures import read_baseline
from pipeline.watch.hold import hold_pass, read_hold, release_pass
from pipeline.watch.naming import Cause
from pipeline.watch.watching import watch_batch


@pytest.fixture
def line(plates, home, tmp_path, monkeypatch):
    """Plates calibrated on 40 good ones and 8 scratched ones; MLflow takes no part."""
    for module in (calibrating, batch):
        monkeypatch.setattr(module, "post", lambda *_: True)
    monkeypatch.setattr(batch, "find_run", lambda *_: None)
    monkeypatch.setattr(batch, "push_reviews", lambda *_, **__: Pushed(pushed={}, lost=(), addresses={}))
    line = plates.copy(home)
    write(tmp_path / "set" / "good", [draw_part(600 + n) for n in range(40)])
    write(tmp_path / "set" / "scratch", [draw_part(700 + n, scratched=True) for n in range(8)])
    calibrate_product(
        line, PRODUCT, "default", labelled=tmp_path / "set", policy=Policy(max_overkill=0.05), engine="onnx"
    )
    return line


def goldentwin(line, *arguments):
    """What the command prints."""
    done = CliRunner().invoke(app, [*arguments, "--home", str(line.home)])
    assert done.exit_code == 0, done.output
    return done.stdout


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
    assert "20 % darker than at calibration" in page
    assert not re.search(r"(src|href)=.http|url\(http|@import|<script", page)
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


def test_a_night_under_a_hold_is_watched_as_it_is(line, tmp_path):
    """The hold makes every part CANNOT_INSPECT, which is no change of the line."""
    digest = read_calibration(line, PRODUCT, "default").digest
    hold_pass(line, PRODUCT, "default", calibration=digest, reason="lamp", judged_at=datetime.now(UTC))
    summary = night_of(line, tmp_path / "quiet")
    assert summary.counts[Verdict.CANNOT_INSPECT] >= 55
    assert summary.watched.headline.startswith("quiet")


def test_a_hold_keeps_its_first_reason_and_is_released(line):
    """What was judged before the release does not bring it back, what is judged afterwards does."""
    before = datetime.now(UTC)
    names = (line, PRODUCT, "default")
    for reason in ("lamp: darker", "lens: blurred"):
        hold_pass(*names, calibration="c" * 12, reason=reason, judged_at=before)
    assert "lamp: darker" in read_hold(*names, "c" * 12)
    assert read_hold(*names, "d" * 12) == ""
    assert release_pass(*names)
    assert not release_pass(*names)
    hold_pass(*names, calibration="c" * 12, reason="lamp: darker", judged_at=before)
    assert read_hold(*names, "c" * 12) == ""
    hold_pass(*names, calibration="c" * 12, reason="lens", judged_at=datetime.now(UTC) + timedelta(seconds=1))
    assert "lens" in read_hold(*names, "c" * 12)


def test_an_unreadable_hold_holds_and_can_be_released(line):
    """Never PASS by mistake; the reason names the command."""
    file = line.home / "holds" / PRODUCT / "default.json"
    file.parent.mkdir(parents=True)
    file.write_text("{")
    assert "--release" in read_hold(line, PRODUCT, "default", "c" * 12)
    assert release_pass(line, PRODUCT, "default")
    assert read_hold(line, PRODUCT, "default", "c" * 12) == ""


def test_the_champion_that_stands_in_for_goldens_out_of_reach_is_held_too(line, monkeypatch):
    """A share that is away does not let parts pass; and an inspector kept open notices a hold."""

    def away(*_):
        raise NotEnrolledError(PRODUCT)

    monkeypatch.setattr(opening, "load_reference_set", away)
    kept = keep_inspector(line, PRODUCT, "default", engine="onnx")
    assert kept.judge([draw_part(5)])[0].verdict is Verdict.PASS
    digest = kept.calibration.digest
    hold_pass(line, PRODUCT, "default", calibration=digest, reason="lamp", judged_at=datetime.now(UTC))
    for inspector in (open_inspector(line, PRODUCT), keep_inspector(line, PRODUCT, "default", engine="onnx")):
        assert inspector.judge([draw_part(5)])[0].verdict is Verdict.CANNOT_INSPECT


def test_the_command_tells_draws_and_releases(line, tmp_path):
    """As JSON with every alarm; `--release` ends the hold, and there is none to end twice."""
    path = line.references / PRODUCT / "default" / "recipe.json"
    path.write_text(replace(Recipe.load(path), watch=WatchSettings(holds_pass=True)).to_json())
    summary = night_of(line, tmp_path / "dark", darker=0.8)
    found = json.loads(goldentwin(line, "watch", PRODUCT, "--json"))
    assert found["batch"] == summary.batch
    assert [alarm["cause"] for alarm in found["alarms"]] == ["lamp"]
    assert json.loads(goldentwin(line, "watch", PRODUCT, "--release", "--json")) == {"released": True}
    assert json.loads(goldentwin(line, "watch", PRODUCT, "--release", "--json")) == {"released": False}
    goldentwin(line, "watch", PRODUCT)
    assert open_inspector(line, PRODUCT, engine="onnx").hold == ""


def test_a_batch_of_few_frames_is_not_watched(line, tmp_path):
    """The reason says how many it takes."""
    watched = night_of(line, tmp_path / "few", darker=0.8, parts=12).watched
    assert "12 frames" in watched.headline
    assert watched.alarms == ()


def test_without_figures_of_the_calibration_nothing_is_watched(plates, home, tmp_path, monkeypatch):
    """A provisional calibration has none; the reason is told. No batch at all is an error."""
    monkeypatch.setattr(batch, "post", lambda *_: True)
    monkeypatch.setattr(batch, "find_run", lambda *_: None)
    monkeypatch.setattr(batch, "push_reviews", lambda *_, **__: Pushed(pushed={}, lost=(), addresses={}))
    line = plates.copy(home)
    with pytest.raises(EvaluationError, match="goldentwin batch"):
        watch_batch(line, PRODUCT, "default")
    watched = night_of(line, tmp_path / "night", parts=5).watched
    assert "provisional" in watched.why_not
    assert watched.page is None
