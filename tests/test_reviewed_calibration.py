"""Thresholds from reviewed nights: each reviewed part stands for its kind, and intervals are exact."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from reviewed_night import judged_night, recipe_with

from inspection.calibration import Policy
from inspection.calibration.document import Binding
from inspection.errors import CalibrationError, EvaluationError, InsufficientSampleError, TrackingError
from inspection.recipe import ReviewSettings
from inspection.reference_set import load_reference_set
from pipeline.keeping import open_audit
from pipeline.labelled import read_labelled
from pipeline.opening import read_calibration
from pipeline.records import ReviewRecords
from pipeline.review import recalibrating
from pipeline.review.exporting import export_labelled, propose_goldens
from pipeline.review.items import Answer
from pipeline.review.recalibrating import calibrate_reviewed, choose_from_reviews
from pipeline.review.sampled_rates import ReviewedPart, rates_at, weighted_parts

BINDING = Binding(encoder="e" * 12, reference_set="f" * 12, recipe="a" * 12)


def part(similarity, *, passed, defective=None):
    """One judged part."""
    return ReviewedPart(similarity=similarity, passed=passed, defective=defective)


def parts_of_a_night(rng, parts=4000, threshold=0.6, share=0.05):
    """Parts with their truth: similarities of good ones about 0.8, of defective ones about 0.4."""
    defective = rng.random(parts) < 0.04
    similarity = np.clip(rng.normal(np.where(defective, 0.45, 0.8), 0.1), 0, 1)
    passed = similarity >= threshold
    seen = ~passed | (rng.random(parts) < share)
    reviewed = [
        part(float(s), passed=bool(p), defective=bool(d) if r else None)
        for s, p, d, r in zip(similarity, passed, defective, seen, strict=True)
    ]
    return reviewed, similarity, defective


def test_each_reviewed_part_stands_for_its_kind():
    """A defective one of 2 reviewed of 40 stands for 20: itself and the 19 nearest; the others are themselves."""
    parts = [part(0.9 if n % 2 else 0.7, passed=True) for n in range(38)]
    parts += [part(0.8, passed=True, defective=False), part(0.85, passed=True, defective=True)]
    parts += [part(0.1 * n, passed=False, defective=n > 1) for n in range(5)]
    weighted = weighted_parts(parts)
    assert len(weighted.good) + len(weighted.defective) == 45
    assert (weighted.defective == 0.85).sum() == 20
    assert sorted(weighted.good[2:]) == [0.7] * 19 + [0.8]


def test_where_similarities_are_unknown_good_parts_too_stand_for_others():
    """After new goldens nothing else is known: 1 good and 1 defective of 40 stand for 20 each."""
    parts = [part(None, passed=True) for _ in range(38)]
    parts += [part(0.8, passed=True, defective=False), part(0.85, passed=True, defective=True)]
    weighted = weighted_parts(parts)
    assert (weighted.good == 0.8).sum() == (weighted.defective == 0.85).sum() == 20


def test_lowering_the_threshold_is_counted_exactly():
    """Below the old threshold everything was reviewed: overkill is known but for what escaped above it."""
    parts = [part(0.3, passed=False, defective=True)] * 10 + [part(0.5, passed=False, defective=False)] * 30
    parts += [part(0.9, passed=True)] * 160 + [part(0.9, passed=True, defective=False)] * 40
    overkill, escape = rates_at(0.4, parts)
    assert (overkill.rate, escape.rate) == (0, 0)
    assert overkill.high == 0
    before, _ = rates_at(0.6, parts)
    assert before.rate == pytest.approx(30 / 230)
    assert escape.high > 0


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.7])
def test_intervals_hold_the_truth(threshold):
    """In 93 % or more of 150 nights, for thresholds below, at and above the one that was in force."""
    held = np.zeros(2)
    for night in range(150):
        parts, similarity, defective = parts_of_a_night(np.random.default_rng([night, 3]))
        truth = (similarity[~defective] < threshold).mean(), (similarity[defective] >= threshold).mean()
        for which, (estimate, true) in enumerate(zip(rates_at(threshold, parts), truth, strict=True)):
            held[which] += estimate.low - 1e-12 <= true <= estimate.high + 1e-12
    assert held.min() >= 0.93 * 150


def test_the_threshold_keeps_its_promise_on_the_whole_night():
    """At most 2 % overkill, though false alarms are far more often reviewed than good parts that passed."""
    parts, similarity, defective = parts_of_a_night(np.random.default_rng(5), threshold=0.75)
    calibration = choose_from_reviews(parts, Policy(max_overkill=0.02), BINDING)
    assert 0.005 < (similarity[~defective] < calibration.threshold).mean() <= 0.02
    plain = [one for one in parts if one.defective is False]
    assert np.mean([one.similarity < 0.75 for one in plain]) > 0.5
    assert f"of {len(parts)} judged parts" in calibration.statement


def test_an_escape_that_the_review_can_t_prove_is_refused():
    """However few escaped among those reviewed: 5 % of the passed parts say little."""
    parts, _, _ = parts_of_a_night(np.random.default_rng(6))
    with pytest.raises(InsufficientSampleError, match=r"may be up to .*review\.share"):
        choose_from_reviews(parts, Policy(max_escape=0.03), BINDING)
    with pytest.raises(CalibrationError, match="judge and review a night"):
        choose_from_reviews([part(0.5, passed=True)], Policy(max_overkill=0.05), BINDING)


@pytest.fixture
def line(plates, home, monkeypatch):
    """Plates of which all are to be reviewed; MLflow takes no part."""
    line = plates.copy(home)
    recipe_with(line, ReviewSettings(share=1.0))
    logs = []
    monkeypatch.setattr(recalibrating, "post", lambda _, log: logs.append(log) or True)
    monkeypatch.setattr(recalibrating, "posted", logs, raising=False)
    return line


def say(line, night, *, of=lambda _: True, wrong=()):
    """A reviewer who knows the truth answers for the parts that `of` is true of, and is wrong about some frames."""
    with ReviewRecords(line.records_url) as records:
        answers = []
        for item in records.items():
            frame = item.row["frame"]
            if of(item):
                value = "defect" if (frame in night.defective) is (frame not in wrong) else "good"
                at = datetime.now(UTC)
                answers.append(
                    Answer(
                        id=item.key, key=item.key, question="verdict", value=value, comment="", reviewer="anna",
                        answered_at=at,
                    )
                )  # fmt: skip
        records.add_answers(answers)


def test_a_reviewed_night_becomes_the_calibration_in_force(line, tmp_path):
    """No longer provisional, and it judges from then on."""
    night = judged_night(line, tmp_path / "night", parts=40)
    with pytest.raises(TrackingError, match="review push"):
        calibrate_reviewed(line, "plate", "default", policy=Policy(max_overkill=0.05))
    say(line, night)
    before = read_calibration(line, "plate", "default").threshold
    done = calibrate_reviewed(line, "plate", "default", policy=Policy(max_overkill=0.05), engine="onnx")
    assert (done.calibration.good, done.calibration.defective) == (32, 8)
    assert read_calibration(line, "plate", "default") == done.calibration
    assert not done.calibration.provisional
    assert done.picture.is_file()
    entry = recalibrating.posted[0].entry()
    assert entry.note.metrics["threshold_before"] == pytest.approx(before)
    assert "threshold before" in entry.note.description


def test_an_unfinished_night_is_no_sample(line, tmp_path):
    """Reviewers begin with the worst: while flagged parts wait, the night is refused, or left out beside another."""
    night = judged_night(line, tmp_path / "night", parts=40)
    say(line, night, of=lambda item: item.row["frame"] != "00.png")
    with pytest.raises(CalibrationError, match="1 of 8 flagged parts"):
        calibrate_reviewed(line, "plate", "default", policy=Policy(max_overkill=0.05), engine="onnx")


def test_reviewed_parts_become_a_labelled_set_and_false_alarms_proposals(line, tmp_path):
    """The frames as they came, by label; proposals are flagged parts called good, never true defects."""
    night = judged_night(line, tmp_path / "night")
    say(line, night, wrong={"00.png"})
    done = export_labelled(line, "plate", "default", tmp_path / "set")
    assert done.counts == {"good": 9, "defect": 1}
    assert len(read_labelled(tmp_path / "set")) == 10
    with pytest.raises(EvaluationError, match="not empty"):
        export_labelled(line, "plate", "default", tmp_path / "set")
    proposed = propose_goldens(line, "plate", "default")
    assert [one.part_id for one in proposed] == ["00"]
    assert proposed[0].frame_file.read_bytes() == (night.folder / "00.png").read_bytes()


def test_proposed_goldens_are_enrolled_by_command_alone(line, tmp_path, capsys):
    """Listing changes nothing; `--confirm` adds them to the goldens."""
    from flows.commands import run

    night = judged_night(line, tmp_path / "night")
    say(line, night, wrong={"00.png"})
    before = load_reference_set(line.references, "plate", "default")
    assert run(["review", "goldens", "plate"]) == 0
    assert load_reference_set(line.references, "plate", "default").digest == before.digest
    assert run(["review", "goldens", "plate", "--confirm", "--by", "berta"]) == 0
    after = load_reference_set(line.references, "plate", "default")
    assert len(after.goldens) == len(before.goldens) + 1
    assert after.goldens[-1].added_by == "berta"
    assert after.goldens[-1].name.startswith("00-"), "named after the part"
    assert "calibrate" in capsys.readouterr().out
    assert propose_goldens(line, "plate", "default") == [], "what is a golden by now is not proposed again"
    with open_audit(line) as audit:
        row = audit.rows()[-1]
    assert (row.who, row.action, row.facts["reference_set"]) == ("berta", "enrol", after.digest)
    assert len(row.facts["reviewed"]) == 1
