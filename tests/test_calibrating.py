"""Calibrating a product on a labelled set: what counts, what is left out, what is kept."""

from __future__ import annotations

import json
import shutil

import pytest
from drawn_night import PRODUCT
from plate_samples import DEAD_MLFLOW, GOOD, SCRATCHED, enrolled_plate, labelled_plates

from inspection.calibration import Policy
from inspection.errors import CalibrationError, EvaluationError, InsufficientSampleError
from pipeline.calibrating import calibrate_product
from pipeline.champions import read_champion
from pipeline.labelled import read_labelled
from pipeline.opening import open_inspector, read_calibration
from pipeline.outbox import waiting

POLICY = Policy(max_overkill=0.05)


@pytest.fixture
def workspace(home, monkeypatch):
    """A home with an enrolled plate; MLflow is down."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DEAD_MLFLOW)
    return enrolled_plate(home)


@pytest.fixture
def labelled(tmp_path):
    """A labelled set of the test's own."""
    return shutil.copytree(labelled_plates(), tmp_path / "labelled")


def calibrate(workspace, labelled, policy=POLICY):
    """Calibrate the plate."""
    return calibrate_product(workspace, PRODUCT, "default", labelled=labelled, policy=policy)


def test_calibration_judges_from_now_on(workspace):
    """It is firm, bound to the goldens, drawn, kept as champion, and waits for MLflow."""
    before = len(waiting(workspace))
    done = calibrate(workspace, labelled_plates())
    assert not done.calibration.provisional
    assert (done.calibration.good, done.calibration.defective) == (GOOD, SCRATCHED)
    assert done.calibration.escape.events == 0
    assert open_inspector(workspace, PRODUCT).calibration == done.calibration
    assert done.picture.read_bytes().startswith(b"\x89PNG")
    assert read_champion(workspace, PRODUCT, "default").calibration == done.calibration
    assert not done.tracked
    assert len(waiting(workspace)) == before + 1


def test_goldens_among_the_parts_are_left_out(workspace, labelled):
    """A golden compared with itself reads distance 0 and would pull the threshold up."""
    (golden,) = list(workspace.references.glob(f"{PRODUCT}/default/goldens/*"))[:1]
    shutil.copy(golden, labelled / "good" / "sneaked.png")
    done = calibrate(workspace, labelled)
    assert done.calibration.good == GOOD
    assert [one.frame for one in done.left_out] == ["good/sneaked.png"]


def test_parts_that_cannot_be_inspected_are_left_out_and_named(workspace, labelled):
    """With the reason."""
    (labelled / "scratch" / "broken.png").write_text("no image")
    done = calibrate(workspace, labelled)
    assert done.calibration.defective == SCRATCHED
    (left_out,) = done.left_out
    assert left_out.frame == "scratch/broken.png"
    assert left_out.reason.startswith("unreadable")


def test_refused_wish_changes_nothing(workspace):
    """Five defective parts can't show 0.5 % escape: the provisional calibration stays."""
    before = read_calibration(workspace, PRODUCT, "default")
    with pytest.raises(InsufficientSampleError, match="598"):
        calibrate(workspace, labelled_plates(), Policy(max_escape=0.005))
    assert read_calibration(workspace, PRODUCT, "default") == before
    assert read_champion(workspace, PRODUCT, "default") is None


def test_good_parts_that_are_all_unusable_are_refused_with_the_first_reason(workspace, tmp_path):
    """Nothing is calibrated on nothing."""
    (tmp_path / "set" / "good").mkdir(parents=True)
    (tmp_path / "set" / "good" / "a.png").write_text("no image")
    with pytest.raises(CalibrationError, match=r"good/a.png: unreadable"):
        calibrate(workspace, tmp_path / "set")


@pytest.mark.parametrize("present", [None, "scratch", "good"])
def test_folder_without_good_parts_is_no_labelled_set(present, tmp_path):
    """Missing, without good/, or with an empty one: the message says what is expected."""
    if present:
        (tmp_path / "set" / present).mkdir(parents=True)
    with pytest.raises(EvaluationError, match="good/"):
        read_labelled(tmp_path / "set")


@pytest.mark.parametrize("inside", [True, False])
def test_masks_are_found_beside_or_inside_and_are_no_type(inside, labelled, tmp_path):
    """`ground_truth/<type>/<name>_mask.png`; frames come good first and in natural order."""
    source = labelled_plates().parent / "ground_truth"
    shutil.copytree(source, (labelled if inside else tmp_path) / "ground_truth")
    frames = read_labelled(labelled)
    assert [frame.label for frame in frames] == ["good"] * GOOD + ["scratch"] * SCRATCHED
    assert [frame.mask.name for frame in frames if frame.mask] == [f"plate{n}_mask.png" for n in range(100, 105)]
    assert [frame.file.frame for frame in frames][:2] == ["good/plate10.png", "good/plate11.png"]


def test_calibration_is_tracked_with_its_labelled_parts(workspace):
    """What waits for MLflow names every part with hash and label."""
    calibrate(workspace, labelled_plates())
    (table,) = waiting(workspace)[-1].rglob("labelled.csv")
    lines = table.read_text().splitlines()
    assert len(lines) == 1 + GOOD + SCRATCHED
    assert lines[-1].endswith(",scratch")
    assert json.loads(next(iter(waiting(workspace)[-1].rglob("calibration.json"))).read_text())["provisional"] is False
