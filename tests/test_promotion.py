"""Promoting a challenger: refused for a reason of its own, with pictures; or champion everywhere, kill or no kill."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlparse

import pytest
from drawn_line import PLATES, write
from drawn_night import PRODUCT, draw_part
from life_samples import (
    FAINTEST,
    FLAGS_GOOD,
    MISSES_ONE,
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

from flows.commands import run
from inspection.errors import PromotionError
from inspection.recipe import QualityLimits, ReviewSettings
from inspection.reference_set import load_reference_set
from inspection.reference_store import history
from pipeline.champions import read_challenger, read_champion
from pipeline.keeping import open_audit
from pipeline.labelled import read_labelled
from pipeline.opening import open_inspector

FLIPPED = """
class _Other(JudgedModel):
    def predict(self, context, model_input, params=None):
        rows = super().predict(context, model_input, params)
        for row, image in zip(rows, model_input):
            if hashlib.sha256(image.tobytes()).hexdigest() == "{digest}":
                row["verdict"] = "PASS"
        return rows


set_model(_Other())
"""


@pytest.fixture
def line(plates, home):
    """A line of plates with a champion."""
    workspace = life_line(plates, home)
    calibrate_at(workspace, USUAL)
    return workspace


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """Twenty good plates and twenty scratched ones, the first of them hardly."""
    return frozen_set(tmp_path_factory.mktemp("frozen") / "set")


def refused_by(done):
    """The gates that were not passed."""
    return [gate["name"] for gate in done.evidence["gates"] if not gate["passed"]]


def artifacts(run):
    """The names of a run's artifacts."""
    root = Path(urlparse(run.info.artifact_uri).path)
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_one_more_missed_defect_is_refused_with_its_picture(line, frozen):
    """The champion stays everywhere, and record, run and pictures say why."""
    champion = read_champion(line, PRODUCT, "default")
    challenger = calibrate_at(line, MISSES_ONE, challenger=True)
    done = promoted(line, frozen)
    assert not done.passed
    assert refused_by(done) == ["escape"]
    (reason,) = done.refusals
    assert "misses 1 defective part more than the champion, allowed are 0" in reason
    assert "challenger 5 % (1 of 20;" in reason
    assert "McNemar's exact p = 1" in reason
    assert done.evidence["gates"][1]["offending"] == [FAINTEST]
    (picture,) = done.pictures
    assert picture.read_bytes().startswith(b"\xff\xd8")
    assert picture.is_relative_to(line.reports)
    assert read_champion(line, PRODUCT, "default") == champion
    assert open_inspector(line, PRODUCT, engine="onnx").calibration.threshold == USUAL
    assert aliases(line) == {"champion": champion.digest, "challenger": challenger.digest}
    assert actions(line) == ["calibrate", "challenge", "refuse"]
    (logged,) = runs_of(line, "promotion")
    assert logged.data.tags["goldentwin.refused_by"] == "escape"
    assert logged.data.tags["goldentwin.audit"] == str(done.row.anchor)
    assert {"gates.csv", "parts.csv", f"refused/escape/{picture.name}"} <= artifacts(logged)
    assert (logged.data.metrics["escape_challenger"], logged.data.metrics["escape_p"]) == (1, 1)
    assert "Refused by: escape" in logged.data.tags["mlflow.note.content"]


def test_a_stated_limit_allows_one_more(line, frozen):
    """Who allows one more missed defect gets it."""
    calibrate_at(line, MISSES_ONE, challenger=True)
    assert promoted(line, frozen, more_escapes=1).passed


def test_more_flagged_good_parts_are_refused(line, frozen):
    """With pictures of the good parts."""
    calibrate_at(line, FLAGS_GOOD, challenger=True)
    done = promoted(line, frozen)
    assert refused_by(done) == ["overkill"]
    assert "allowed are 1 % more" in done.refusals[0]
    assert {picture.parent.name for picture in done.pictures} == {"overkill"}


def test_a_logged_model_that_judges_otherwise_is_refused(line, frozen):
    """One frame on which the served script says something else than the library is enough."""
    calibrate_at(line, 0.9, challenger=True)
    (script,) = [path for path in line.mlflow.rglob("served_model.py") if "0.9" in _threshold_beside(path)]
    import hashlib

    part = scratched(7)
    other = FLIPPED.format(digest=hashlib.sha256(part.tobytes()).hexdigest())
    script.write_text(script.read_text().replace("set_model(JudgedModel())", other))
    done = promoted(line, frozen)
    assert refused_by(done) == ["parity"]
    assert done.refusals == ["parity: the logged model's verdict is not the library's on 1 part of 40: scratch/07.png"]
    assert len(done.pictures) == 1
    assert read_champion(line, PRODUCT, "default").calibration.threshold == USUAL


def _threshold_beside(script):
    (document,) = script.parent.glob("artifacts/bundle/calibration.json")
    return str(json.loads(document.read_text())["threshold"])


def test_too_few_parts_are_refused(line, tmp_path):
    """Whatever they show."""
    calibrate_at(line, 0.9, challenger=True)
    done = promoted(line, frozen_set(tmp_path / "few", good=5, defective=20))
    assert refused_by(done) == ["sample"]
    assert "5 good parts and 20 defective parts, needed are 20 good and 20 defective" in done.refusals[0]
    assert done.pictures == ()


def test_a_challenger_that_inspects_fewer_parts_is_refused(line, tmp_path):
    """What it can't inspect is neither escape nor overkill, but it is no better for that."""
    labelled = frozen_set(tmp_path / "set")
    write(labelled / "good", [(draw_part(60) * 0.6).astype("uint8")], first=90)
    strict = replace(PLATES, quality=QualityLimits(min_brightness=0.95))
    tried = tried_elsewhere(line, tmp_path / "tried", [draw_part(0), draw_part(1)], strict)
    calibrate_at(tried, USUAL, challenger=True)
    done = promoted(line, labelled)
    assert refused_by(done) == ["inspected"]
    assert "can't inspect 1 part more than the champion: challenger 1 of 41, champion 0" in done.refusals[0]
    assert done.evidence["gates"][3]["offending"] == ["good/90.png"]


def test_what_passes_is_champion_everywhere(line, frozen):
    """It judges, is champion at home and in the registry, is challenger no more; record and run name both by hash."""
    before = read_champion(line, PRODUCT, "default")
    challenger = calibrate_at(line, 0.9, challenger=True)
    assert open_inspector(line, PRODUCT, engine="onnx").calibration.threshold == USUAL
    done = promoted(line, frozen)
    assert done.passed, done.refusals
    assert done.tracked
    assert done.evidence["warnings"] == []
    assert open_inspector(line, PRODUCT, engine="onnx").calibration.threshold == 0.9
    assert read_champion(line, PRODUCT, "default").digest == challenger.digest
    assert read_challenger(line, PRODUCT, "default") is None
    assert aliases(line) == {"champion": challenger.digest}
    assert len(load_reference_set(line.references, PRODUCT).goldens) == 2
    assert load_reference_set(line.references, PRODUCT).version == 1
    assert done.row.who == "bert"
    assert (done.evidence["before"], done.evidence["bundle"]) == (before.digest, challenger.digest)
    assert done.evidence["champion"]["calibration"] == before.calibration.digest
    (logged,) = runs_of(line, "promotion")
    (given,) = logged.inputs.dataset_inputs
    assert given.dataset.digest == done.evidence["data"]
    assert logged.data.tags["goldentwin.passed"] == "true"
    with pytest.raises(PromotionError, match="has no challenger"):
        promoted(line, frozen)


def test_goldens_and_recipe_come_with_the_challenger(line, frozen, tmp_path):
    """As a new version of the line's, whose own settings of the review stay."""
    recipe_file = line.references / PRODUCT / "default" / "recipe.json"
    recipe_file.write_text(replace(PLATES, review=ReviewSettings(share=0.5)).to_json())
    goldens = [draw_part(3), draw_part(4), draw_part(5)]
    tried = tried_elsewhere(line, tmp_path / "tried", goldens, replace(PLATES, image_size=96))
    challenger = calibrate_at(tried, USUAL, challenger=True)
    assert open_inspector(line, PRODUCT, engine="onnx").calibration.threshold == USUAL
    done = promoted(line, frozen)
    assert done.passed, done.refusals
    installed = load_reference_set(line.references, PRODUCT)
    assert (installed.version, len(installed.goldens)) == (2, 3)
    assert (installed.recipe.image_size, installed.recipe.review.share) == (96, 0.5)
    assert [(change.version, change.by, change.action) for change in history(line.references, PRODUCT)][-1] == (
        2,
        "bert",
        "promote",
    )
    assert open_inspector(line, PRODUCT, engine="onnx").provenance == challenger.provenance


def test_parts_that_chose_the_threshold_are_warned_of(line, frozen):
    """The frozen set is the very set the challenger was calibrated on, or a part of it."""
    known = [one.sha256 for one in read_labelled(frozen)]
    calibrate_at(line, 0.9, challenger=True, chosen_on=tuple(known))
    (warning,) = promoted(line, frozen).evidence["warnings"]
    assert warning.startswith("this very set chose the challenger's threshold")
    calibrate_at(line, 0.9, challenger=True, chosen_on=tuple(known[:7]))
    (warning,) = promoted(line, frozen).evidence["warnings"]
    assert warning.startswith("7 of these 40 parts chose")


def test_goldens_of_either_are_left_out(line, tmp_path):
    """Compared with itself, a golden reads 1."""
    labelled = frozen_set(tmp_path / "set")
    write(labelled / "good", [draw_part(0), draw_part(3)], first=90)
    tried = tried_elsewhere(line, tmp_path / "tried", [draw_part(3), draw_part(4)])
    calibrate_at(tried, USUAL, challenger=True)
    done = promoted(line, labelled)
    assert {one.frame for one in done.left_out} == {"good/90.png", "good/91.png"}
    assert done.evidence["overkill"]["n"] == 20


def test_command_refuses_with_exit_code_and_reason(line, frozen, capsys):
    """1 and the reasons in JSON and for people; 0 once it passes, and `audit --mlflow` holds the record to the runs."""
    calibrate_at(line, MISSES_ONE, challenger=True)
    assert run(["promote", PRODUCT, "--labelled", str(frozen), "--engine", "onnx", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["passed"] is False
    assert found["refusals"][0].startswith("escape: the challenger misses 1")
    assert Path(found["pictures"][0]).is_file()
    assert run(["promote", PRODUCT, "--labelled", str(frozen), "--max-more-escapes", "1", "--by", "bert"]) == 0
    assert "champion now" in capsys.readouterr().out
    assert run(["audit", "--mlflow", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["action"], row["who"]) for row in rows][-1] == ("promote", "bert")


def test_a_calibrated_challenger_changes_nothing_but_the_registry(line, frozen, capsys):
    """`calibrate --challenger` keeps and registers it, names its data, and leaves champion and calibration alone."""
    champion = read_champion(line, PRODUCT, "default")
    arguments = ["calibrate", PRODUCT, "--labelled", str(frozen), "--challenger", "--engine", "onnx", "--by", "carl"]
    assert run([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["challenger"], found["mlflow"]) == (True, True)
    challenger = read_challenger(line, PRODUCT, "default")
    assert challenger.calibration.digest == found["calibration"]
    assert read_champion(line, PRODUCT, "default") == champion
    assert open_inspector(line, PRODUCT, engine="onnx").calibration == champion.calibration
    assert aliases(line) == {"champion": champion.digest, "challenger": challenger.digest}
    with open_audit(line) as audit:
        row = audit.rows()[-1]
    assert (row.action, row.who, row.facts["bundle"]) == ("challenge", "carl", challenger.digest)
    (warning,) = promoted(line, frozen).evidence["warnings"]
    assert warning.startswith("this very set")
