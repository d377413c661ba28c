"""A promotion that is killed, or that can't reach MLflow: nothing is decided twice, and nothing stays half done."""

from __future__ import annotations

from dataclasses import replace

import pytest
from drawn_line import PLATES
from drawn_night import PRODUCT, draw_part
from life_samples import (
    USUAL,
    actions,
    aliases,
    calibrate_at,
    frozen_set,
    life_line,
    promoted,
    runs_of,
    scratched,
    tried_elsewhere,
)
from plate_samples import DEAD_MLFLOW

from inspection.errors import CalibrationError, TrackingError
from inspection.recipe import RegistrationMethod
from inspection.verdicts import Verdict
from pipeline.champions import read_challenger, read_champion
from pipeline.opening import open_inspector
from pipeline.outbox import waiting
from pipeline.planning import plan_batch
from pipeline.rolling_back import roll_back

STEPS = (
    "pipeline.promoting.enqueue",
    "pipeline.succession.keep_calibration",
    "pipeline.succession.install_version",
    "inspection.reference_install.make_current",
    "pipeline.champions.Shelf.point",
    "pipeline.champions.Shelf.clear",
)


def killed(*_, **__):
    """What a step does that is killed."""
    raise KeyboardInterrupt


@pytest.fixture
def line(plates, home):
    """A line of plates with a champion."""
    workspace = life_line(plates, home)
    calibrate_at(workspace, USUAL)
    return workspace


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """Twenty good plates and twenty scratched ones."""
    return frozen_set(tmp_path_factory.mktemp("frozen") / "set")


def test_promoting_again_after_a_kill_completes_it(line, frozen, tmp_path, monkeypatch):
    """Killed at each step after the decision, one after the other: decided and recorded once, one run, one champion."""
    shifted = replace(PLATES, registration=RegistrationMethod.SHIFT)
    tried = tried_elsewhere(line, tmp_path / "tried", [draw_part(3), draw_part(4)], shifted)
    challenger = calibrate_at(tried, USUAL, challenger=True)
    frames = [draw_part(77), scratched(5)]
    refused = 0
    for step in STEPS:
        with monkeypatch.context() as patch:
            patch.setattr(step, killed)
            with pytest.raises(KeyboardInterrupt):
                promoted(line, frozen)
        told = open_inspector(line, PRODUCT, engine="onnx").judge(frames)
        judged = [one.verdict for one in told]
        assert judged in ([Verdict.PASS, Verdict.FLAG], [Verdict.CANNOT_INSPECT] * 2), step
        if judged[0] is Verdict.CANNOT_INSPECT:
            assert "goldentwin promote plate --view default --labelled DIR` to complete it" in told[0].reason
            refused += 1
        assert actions(line).count("promote") == 1
    assert refused, "no kill left goldens without their calibration: this test shows nothing of what is told then"
    done = promoted(line, frozen)
    assert done.passed
    assert done.resumed
    assert actions(line) == ["calibrate", "challenge", "promote"]
    assert open_inspector(line, PRODUCT, engine="onnx").provenance == challenger.provenance
    assert read_champion(line, PRODUCT, "default").digest == challenger.digest
    assert read_challenger(line, PRODUCT, "default") is None
    assert aliases(line) == {"champion": challenger.digest}
    assert len(runs_of(line, "promotion")) == 1
    assert waiting(line) == []


def test_without_mlflow_nothing_is_promoted_or_decided(line, frozen, monkeypatch):
    """The logged model can't be asked; the champion stays, and the record says nothing."""
    calibrate_at(line, 0.9, challenger=True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DEAD_MLFLOW)
    with pytest.raises(TrackingError, match="can't be reached"):
        promoted(line, frozen)
    assert actions(line) == ["calibrate", "challenge"]
    assert read_champion(line, PRODUCT, "default").calibration.threshold == USUAL


def test_an_interrupted_rollback_names_its_own_command(line, frozen, tmp_path, monkeypatch):
    """Frames and the batch are refused with the command that completes it, which then does."""
    tried = tried_elsewhere(line, tmp_path / "tried", [draw_part(3), draw_part(4)])
    calibrate_at(tried, USUAL, challenger=True)
    promoted(line, frozen)
    with monkeypatch.context() as patch:
        patch.setattr("inspection.reference_install.write_json", killed)
        patch.setattr("inspection.reference_install.make_current", killed)
        with pytest.raises(KeyboardInterrupt):
            roll_back(line, PRODUCT, "default", by="bert")
    (line.references / PRODUCT / "default" / "recipe.json").write_text(replace(PLATES, image_size=96).to_json())
    with pytest.raises(CalibrationError, match=r"rollback in row 4 .* run `goldentwin rollback plate --view default`"):
        plan_batch(line, PRODUCT, "default", tmp_path, engine="onnx")
    assert roll_back(line, PRODUCT, "default", by="bert").resumed
    assert open_inspector(line, PRODUCT, engine="onnx").judge([draw_part(77)])[0].verdict is Verdict.PASS
