"""Thresholds from reviews after the goldens changed: earlier nights go on telling, and nothing is made up of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from reviewed_night import judged_night
from test_reviewed_calibration import line, parts_of_a_night, say  # noqa: F401 - a fixture

from inspection.calibration import Policy
from inspection.errors import InsufficientSampleError
from pipeline.batch import judge_chunk
from pipeline.enrolling import enrol_product
from pipeline.opening import open_inspector
from pipeline.planning import plan_batch
from pipeline.records import ReviewRecords
from pipeline.review.exporting import propose_goldens
from pipeline.review.recalibrating import calibrate_reviewed
from pipeline.review.reviewed_nights import reviewed_parts
from pipeline.review.sampled_rates import rates_at
from pipeline.review.selection import Kind


def forget(parts):
    """The same night after the goldens changed: only reviewed parts were compared anew."""
    return [one if one.defective is not None else replace(one, similarity=None) for one in parts]


def test_intervals_hold_the_truth_where_only_reviewed_parts_were_compared_anew():
    """In 93 % or more of 150 nights."""
    held = np.zeros(2)
    for night in range(150):
        parts, similarity, defective = parts_of_a_night(np.random.default_rng([night, 4]))
        truth = (similarity[~defective] < 0.65).mean(), (similarity[defective] >= 0.65).mean()
        for which, (estimate, true) in enumerate(zip(rates_at(0.65, forget(parts)), truth, strict=True)):
            held[which] += estimate.low - 1e-12 <= true <= estimate.high + 1e-12
    assert held.min() >= 0.93 * 150


def test_a_night_reviewed_whole_has_no_uncertainty():
    """Whatever threshold: every part was seen."""
    parts, similarity, defective = parts_of_a_night(np.random.default_rng(9), parts=300, share=1.0)
    for estimate, truth in zip(
        rates_at(0.65, parts), [(similarity[~defective] < 0.65).mean(), (similarity[defective] >= 0.65).mean()],
        strict=True,
    ):  # fmt: skip
        assert estimate.low == estimate.rate == estimate.high == pytest.approx(truth)


@pytest.fixture
def confirmed(line, tmp_path):  # noqa: F811 - the fixture
    """A reviewed night of 40 plates; one of its false alarms has become a golden."""
    night = judged_night(line, tmp_path / "night", parts=40)
    say(line, night, wrong={"00.png"})
    files = [one.frame_file for one in propose_goldens(line, "plate", "default")]
    enrol_product(line, "plate", "default", files=files, added_by="anna", add=True)
    return line, night


def test_new_goldens_are_calibrated_by_the_nights_before(confirmed):
    """Reviewed frames are compared anew; the golden itself is no sample of a part."""
    line, _ = confirmed  # noqa: F811 - the fixture
    before = open_inspector(line, "plate", "default").binding
    done = calibrate_reviewed(line, "plate", "default", policy=Policy(max_overkill=0.05), engine="onnx")
    assert done.calibration.binding == before
    assert (done.calibration.good, done.calibration.defective) == (32, 7)
    assert "goldens now" in done.calibration.warnings[0]


def test_few_compared_anew_prove_little_until_the_night_is_judged_again(confirmed):
    """Frames that were lost leave too few; judging the night again gives all their similarities back."""
    line, night = confirmed  # noqa: F811 - the fixture
    with ReviewRecords(line.records_url) as records:
        lost = [line.home / item.frame_file for item in records.items() if item.kind is Kind.SAMPLED]
    for path in lost:
        path.unlink()
    with pytest.raises(InsufficientSampleError, match=r"only 0 good parts .* needs 19; judge .* again"):
        calibrate_reviewed(line, "plate", "default", policy=Policy(max_overkill=0.05), engine="onnx")
    plan = plan_batch(line, "plate", "default", night.folder, engine="onnx")
    for chunk in plan.chunks:
        judge_chunk(plan, chunk)
    inspector = open_inspector(line, "plate", "default", engine="onnx")
    rows, labels, _ = reviewed_parts(line, inspector)
    assert len(rows) == 39
    assert {row["batch"] for row in rows} == {night.batch}
    assert {row["frame_sha256"] for row in rows} <= labels.keys()
    assert all(row["similarity"] is not None for row in rows)
    done = calibrate_reviewed(line, "plate", "default", policy=Policy(max_overkill=0.05), engine="onnx")
    assert done.calibration.good == 32
