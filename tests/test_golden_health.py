"""Golden health: a golden that alone shows a harmless variant decides its parts; a duplicate-like one decides none."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_line import PLATES, enrol, write
from drawn_night import PRODUCT, draw_part

from inspection.calibration import calibrate_scores
from inspection.calibration.policy import Policy
from inspection.errors import EvaluationError
from pipeline.golden_health import golden_health
from pipeline.opening import keep_calibration, open_inspector
from pipeline.workspace import Workspace


def marked(seed):
    """A good plate with the stamp that some plates have."""
    picture = draw_part(seed).copy()
    picture[56:72, 40:88] = 70
    return picture


@pytest.fixture
def line(home, tmp_path):
    """Three goldens, the last one stamped; a threshold halfway; and parts of both kinds, some scratched."""
    workspace = Workspace.locate(home=home)
    enrol(workspace, PRODUCT, [draw_part(0), draw_part(1), marked(2)], PLATES)
    inspector = open_inspector(workspace, PRODUCT, engine="onnx")
    calibration = calibrate_scores([0.9] * 20, [0.85] * 5, policy=Policy(max_overkill=0.06), binding=inspector.binding)
    keep_calibration(workspace, PRODUCT, "default", calibration)
    write(tmp_path / "set" / "good", [draw_part(10 + n) for n in range(4)] + [marked(20 + n) for n in range(4)])
    write(tmp_path / "set" / "scratch", [draw_part(30 + n, scratched=True) for n in range(3)])
    return workspace


def test_the_golden_that_alone_shows_the_stamp_decides_the_stamped_parts(line, tmp_path):
    """Without it they would be flagged; without one of the two others nothing would be."""
    seen = []
    found = golden_health(
        line, PRODUCT, "default", labelled=tmp_path / "set", engine="onnx", watcher=lambda *at: seen.append(at)
    )
    stamped = found.goldens[2]
    assert found.parts == 11
    assert stamped.decides >= 4
    assert set(stamped.flagged) <= {"00", "01", "02"}
    assert stamped.overkill.rate >= found.overkill.rate + 0.5 - 1e-9
    assert stamped.image_auroc < found.image_auroc + 1e-9
    assert all(one.overkill.rate <= found.overkill.rate + 0.26 for one in found.goldens[:2])
    assert sum(one.decides for one in found.goldens) <= found.parts
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert np.isfinite(found.image_auroc)


def test_one_golden_is_nothing_to_compare(home, tmp_path):
    """A typed error with the remedy; so without a calibration."""
    workspace = Workspace.locate(home=home)
    enrol(workspace, PRODUCT, [draw_part(0)], PLATES)
    with pytest.raises(EvaluationError, match="enrol more"):
        golden_health(workspace, PRODUCT, "default", labelled=tmp_path, engine="onnx")
    enrol(workspace, PRODUCT, [draw_part(0), draw_part(1)], PLATES)
    with pytest.raises(EvaluationError, match="goldentwin calibrate"):
        golden_health(workspace, PRODUCT, "default", labelled=tmp_path, engine="onnx")
