"""Evaluating a product on a labelled set: figures that one can check by hand."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from drawn_night import PRODUCT, draw_part
from plate_samples import DEAD_MLFLOW, GOOD, SCRATCHED, calibrated_plate, labelled_plates, write_plates

from inspection.errors import EvaluationError
from inspection.verdicts import Judgement, Provenance, Verdict
from pipeline.evaluating import evaluate_product
from pipeline.frames import FrameVerdict
from pipeline.labelled import read_labelled
from pipeline.outbox import waiting
from pipeline.pixel_truth import PixelTruth
from pipeline.reading import Frame
from pipeline.scoring import Scored


@pytest.fixture
def workspace(home, monkeypatch):
    """A home with a calibrated plate; MLflow is down."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DEAD_MLFLOW)
    return calibrated_plate(home)


def evaluate(workspace, labelled):
    """Evaluate the plate."""
    return evaluate_product(workspace, PRODUCT, "default", labelled=labelled)


def test_scratched_plates_are_told_from_good_ones(workspace):
    """All figures are there, the picture is drawn, and MLflow will hear of it."""
    before = len(waiting(workspace))
    done = evaluate(workspace, labelled_plates())
    figures = done.figures
    assert figures["image_auroc"] == 1.0
    assert figures["pixel_auroc"] > 0.9
    assert figures["aupro"] > 0.7
    assert figures["escape"] | {"high": 0} == {"rate": 0.0, "low": 0.0, "high": 0, "n": SCRATCHED}
    assert figures["overkill"]["n"] == GOOD
    assert figures["overkill_at_zero_escape"] == 0.0
    assert figures["not_inspected"] == 0
    assert figures["frames_per_second"] > 0
    assert figures["boxes"] is None
    assert done.picture.is_file()
    assert len(waiting(workspace)) == before + 1


def test_frame_that_cannot_be_inspected_is_in_no_rate(workspace, tmp_path):
    """It is counted in `not_inspected`, neither as escape nor as overkill."""
    labelled = shutil.copytree(labelled_plates(), tmp_path / "labelled")
    (labelled / "scratch" / "broken.png").write_text("no image")
    (labelled / "good" / "broken.png").write_text("no image")
    figures = evaluate(workspace, labelled).figures
    assert figures["not_inspected"] == 2
    assert (figures["escape"]["n"], figures["overkill"]["n"]) == (SCRATCHED, GOOD)
    assert figures["per_type"]["scratch"]["n"] == SCRATCHED


def test_without_masks_pixel_figures_do_not_apply(workspace, tmp_path):
    """Null, not zero."""
    labelled = shutil.copytree(labelled_plates(), tmp_path / "labelled")
    figures = evaluate(workspace, labelled).figures
    assert figures["pixel_auroc"] is None
    assert figures["aupro"] is None
    assert figures["image_auroc"] == 1.0


def test_parts_that_chose_the_threshold_are_told(workspace, tmp_path):
    """Rates of the very parts are too good; those of others need no warning."""
    (warning,) = evaluate(workspace, labelled_plates()).warnings
    assert warning.startswith(f"{GOOD + SCRATCHED} of {GOOD + SCRATCHED} parts chose the threshold")
    write_plates(tmp_path / "others" / "good", 3, first=200)
    assert evaluate(workspace, tmp_path / "others").warnings == ()


def test_auroc_needs_no_calibration(workspace):
    """Without one there are no rates, and everything else is the same."""
    shutil.rmtree(workspace.calibrations)
    done = evaluate(workspace, labelled_plates())
    assert done.calibration is None
    assert done.figures["image_auroc"] == 1.0
    assert done.figures["not_inspected"] == 0
    assert [done.figures[name] for name in ("escape", "overkill", "per_type")] == [None, None, None]


def test_good_parts_alone_give_overkill_alone(workspace, tmp_path):
    """What needs defects does not apply."""
    shutil.copytree(labelled_plates() / "good", tmp_path / "labelled" / "good")
    figures = evaluate(workspace, tmp_path / "labelled").figures
    assert figures["overkill"]["n"] == GOOD
    names = ("image_auroc", "escape", "overkill_at_zero_escape", "per_type")
    assert [figures[name] for name in names] == [None] * 4


def test_nothing_but_goldens_is_refused(workspace, tmp_path):
    """They would read as perfect."""
    goldens = workspace.references / PRODUCT / "default" / "goldens"
    shutil.copytree(goldens, tmp_path / "labelled" / "good")
    with pytest.raises(EvaluationError, match="nothing but goldens"):
        evaluate(workspace, tmp_path / "labelled")


def scored(labelled, similarity_map):
    """A labelled frame with a map made up for it."""
    provenance = Provenance(encoder="e", reference_set="r", recipe="c", calibration=None)
    judgement = Judgement(
        verdict=Verdict.FLAG,
        reason=None,
        similarity=0.1,
        distance=9.0,
        threshold=0.5,
        provisional=False,
        regions=(),
        provenance=provenance,
        milliseconds=1.0,
        similarity_map=similarity_map,
    )
    frame = Frame(frame="f", part_id="f", sha256="", captured_at="", image=draw_part(1), problem=None)
    return Scored(labelled=labelled, verdict=FrameVerdict(frame=frame, judgement=judgement, product="p", view="v"))


@pytest.mark.parametrize(("most_pixels", "side"), [(100_000_000, 128), (25 * 32 * 32, 32)])
def test_maps_lie_on_the_masks_and_fit_the_memory(most_pixels, side):
    """A map that is low where the scratch is, is high as a distance there, also where all is made smaller."""
    frames = read_labelled(labelled_plates())
    truth = PixelTruth(frames, golden=draw_part(0), most_pixels=most_pixels)
    similarity = np.ones((64, 64), np.float32)
    similarity[32:36, 20:44] = 0.2  # the scratch runs from (40, 64) to (88, 70) of 128
    truth.add(scored(frames[-1], similarity))
    truth.add(scored(frames[0], similarity))
    assert truth.masks[1] is None
    assert truth.maps[0].shape == truth.masks[0].shape == (side, side)
    assert truth.maps[0][truth.masks[0]].mean() > truth.maps[0][~truth.masks[0]].mean() + 0.3
