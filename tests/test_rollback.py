"""Rolling back: the champion before this one judges again, twice goes back two, with or without MLflow."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from drawn_line import PLATES, enrol
from drawn_night import PRODUCT, draw_part
from life_samples import USUAL, aliases, calibrate_at, frozen_set, life_line, promoted, runs_of
from plate_samples import DEAD_MLFLOW

from flows.commands import run
from inspection.errors import PromotionError, TrackingError
from inspection.reference_set import load_reference_set
from pipeline.champions import champion_shelf, read_champion
from pipeline.keeping import open_audit
from pipeline.opening import open_inspector
from pipeline.outbox import deliver, waiting
from pipeline.rolling_back import roll_back


@pytest.fixture
def line(plates, home):
    """A line of plates with a champion at 0.86."""
    workspace = life_line(plates, home)
    calibrate_at(workspace, USUAL)
    return workspace


@pytest.fixture
def offline(plates, home, monkeypatch):
    """The same while MLflow is down."""
    workspace = life_line(plates, home)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DEAD_MLFLOW)
    calibrate_at(workspace, USUAL)
    return workspace


def back(workspace):
    """Roll back, and give the threshold that judges from then on."""
    done = roll_back(workspace, PRODUCT, "default", by="bert")
    threshold = judging(workspace)
    assert done.bundle.calibration.threshold == threshold
    assert read_champion(workspace, PRODUCT, "default").digest == done.bundle.digest
    return threshold


def judging(workspace):
    """The threshold that judges."""
    return open_inspector(workspace, PRODUCT, engine="onnx").calibration.threshold


def test_rolling_back_twice_goes_back_two(offline):
    """And no further than there is anything on record; MLflow is down all the while."""
    calibrate_at(offline, 0.87)
    calibrate_at(offline, 0.88)
    assert back(offline) == 0.87
    assert back(offline) == 0.86
    with pytest.raises(PromotionError, match="no champion before this one"):
        back(offline)
    assert judging(offline) == 0.86
    with open_audit(offline) as audit:
        assert [(row.action, row.who) for row in audit.rows()][-2:] == [("rollback", "bert")] * 2


def test_a_champion_made_after_a_rollback_follows_the_one_rolled_back_to(offline):
    """What was rolled back does not come back by rolling back again."""
    calibrate_at(offline, 0.87)
    assert back(offline) == 0.86
    calibrate_at(offline, 0.88)
    assert back(offline) == 0.86


def test_the_alias_follows_once_mlflow_is_up(offline, monkeypatch):
    """Calibrations and rollback wait in the outbox; delivered, the alias is where the last decision put it."""
    first = read_champion(offline, PRODUCT, "default").digest
    calibrate_at(offline, 0.87)
    assert not roll_back(offline, PRODUCT, "default").tracked
    assert len(waiting(offline)) == 3
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert deliver(offline).delivered == 3
    assert aliases(offline) == {"champion": first}
    (logged,) = runs_of(offline, "rollback")
    assert logged.data.params["by"] == "unknown"


def test_a_late_calibration_does_not_take_the_crown_back(line, monkeypatch, tmp_path):
    """The job of a calibration that failed to be delivered before a rollback changes nothing after it."""
    first = read_champion(line, PRODUCT, "default").digest
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", DEAD_MLFLOW)
        calibrate_at(line, 0.87)
    (job,) = waiting(line)
    late = shutil.move(job, tmp_path / job.name)
    assert roll_back(line, PRODUCT, "default").tracked
    shutil.move(late, job)
    assert deliver(line).delivered == 1
    assert aliases(line) == {"champion": first}


def test_goldens_and_recipe_go_back_too(line, tmp_path):
    """The promoted challenger's are replaced by those of the champion before, as the version they had."""
    before = open_inspector(line, PRODUCT, engine="onnx").provenance
    tried = type(line)(home=line.home, references=tmp_path / "tried")
    enrol(tried, PRODUCT, [draw_part(3)], replace(PLATES, image_size=96))
    calibrate_at(tried, 0.86, challenger=True)
    done = promoted(line, frozen_set(tmp_path / "set"))
    assert done.passed, done.refusals
    assert roll_back(line, PRODUCT, "default").before == done.evidence["bundle"]
    assert open_inspector(line, PRODUCT, engine="onnx").provenance == before
    found = load_reference_set(line.references, PRODUCT)
    assert (found.version, found.recipe.image_size) == (1, 128)


def test_a_champion_no_longer_on_the_shelf_comes_from_mlflow(line, monkeypatch):
    """Without MLflow it can't, and nothing changes."""
    first = read_champion(line, PRODUCT, "default").digest
    calibrate_at(line, 0.87)
    shutil.rmtree(champion_shelf(line, PRODUCT, "default").folder / first)
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", DEAD_MLFLOW)
        with pytest.raises(TrackingError, match="can't be reached"):
            back(line)
    assert judging(line) == 0.87
    assert back(line) == 0.86
    assert read_champion(line, PRODUCT, "default").digest == first


@pytest.mark.parametrize(
    "step", ["pipeline.rolling_back.enqueue", "pipeline.succession.keep_calibration", "pipeline.champions.Shelf.point"]
)
def test_rolling_back_again_after_a_kill_completes_it(offline, monkeypatch, step):
    """And does not go back one more."""
    calibrate_at(offline, 0.87)
    calibrate_at(offline, 0.88)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(step, killed)
        with pytest.raises(KeyboardInterrupt):
            back(offline)
    done = roll_back(offline, PRODUCT, "default")
    assert done.resumed
    assert judging(offline) == 0.87
    assert back(offline) == 0.86


def test_a_calibration_killed_before_it_counted_is_rolled_back(offline, monkeypatch):
    """It is on record but was never champion: going back leads to the champion that is, then to the one before."""
    calibrate_at(offline, 0.87)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.champions.Shelf.point", killed)
        with pytest.raises(KeyboardInterrupt):
            calibrate_at(offline, 0.88)
    assert back(offline) == 0.87
    assert back(offline) == 0.86


def test_command_says_what_judges_again(offline, capsys):
    """Exit code 0, then 1 with the reason."""
    calibrate_at(offline, 0.87)
    assert run(["rollback", PRODUCT, "--by", "bert", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["threshold"], found["mlflow"]) == (0.86, False)
    assert run(["rollback", PRODUCT]) == 1
    assert "no champion before this one" in capsys.readouterr().err
