"""The inspector: one function that judges, the same in any company, and never PASS what was not inspected."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest
from bad_inputs import drawn_part
from drawn_line import PLATES, calibrated, enrol
from drawn_night import PRODUCT, draw_part

from inspection.encoder import encoder_digest
from inspection.errors import NotCalibratedError, ReferenceSetError
from inspection.inspector import Inspector
from inspection.recipe import Recipe, RegistrationMethod
from inspection.reference_set import load_reference_set
from inspection.verdicts import Reason, Verdict
from pipeline.opening import open_inspector
from pipeline.simulator import DefectKind, LineSimulator
from pipeline.workspace import Workspace


@pytest.fixture(scope="module")
def inspector(plates):
    """Judges plates by two goldens."""
    return plates.inspector


@pytest.fixture(scope="module")
def frames():
    """Eight plates, every third scratched."""
    return [draw_part(seed, scratched=seed % 3 == 0) for seed in range(100, 108)]


def figures(judgement):
    """What must not depend on anything but frame, goldens and calibration."""
    return judgement.verdict, judgement.similarity, judgement.distance, judgement.regions, judgement.reason


def test_defects_are_flagged_and_good_parts_pass(inspector, frames):
    """By the goldens alone: every scratch is FLAG, every good plate PASS, and it says provisional."""
    judged = inspector.judge(frames)
    expected = [Verdict.FLAG if seed % 3 == 0 else Verdict.PASS for seed in range(100, 108)]
    assert [one.verdict for one in judged] == expected
    assert all(one.provisional and one.threshold == inspector.calibration.threshold for one in judged)
    assert all((one.similarity < one.threshold) == (one.verdict is Verdict.FLAG) for one in judged)
    assert all(bool(one.regions) == (one.verdict is Verdict.FLAG) for one in judged)


def test_verdict_does_not_depend_on_the_batch(inspector, frames):
    """Judged together, one by one, or in another order: the same to the last bit."""
    together = [figures(one) for one in inspector.judge(frames)]
    assert [figures(inspector.judge([frame])[0]) for frame in frames] == together
    assert [figures(one) for one in inspector.judge(frames[::-1])] == together[::-1]


def test_refused_frames_leave_the_others_alone(inspector, frames):
    """A frame that fails the gate in the middle of a batch shifts no verdict onto another."""
    black = np.zeros((128, 128, 3), np.uint8)
    mixed = inspector.judge([black, frames[0], black, frames[1], black])
    assert [one.verdict is Verdict.CANNOT_INSPECT for one in mixed] == [True, False, True, False, True]
    assert [figures(one) for one in mixed[1::2]] == [figures(one) for one in inspector.judge(frames[:2])]


def test_no_frames_no_verdicts(inspector):
    """An empty batch is no error."""
    assert inspector.judge([]) == []


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda part: part // 8, Reason.TOO_DARK),
        (lambda part: np.full_like(part, 150), Reason.BLANK),
        (lambda part: cv2.GaussianBlur(part, (0, 0), 8), Reason.BLURRED),
        (lambda part: part[:60], Reason.WRONG_SIZE),
        (lambda part: part[:1, :1], Reason.WRONG_SIZE),
    ],
    ids=["dark", "blank", "blurred", "cropped", "one pixel"],
)
def test_what_cannot_be_seen_is_not_judged(inspector, spoil, reason):
    """The gate's refusals are CANNOT_INSPECT with reason and detail, and without a similarity."""
    (judged,) = inspector.judge([spoil(draw_part(100))])
    assert judged.verdict is Verdict.CANNOT_INSPECT
    assert judged.reason.startswith(f"{reason.value}: ")
    assert judged.similarity is None
    assert judged.distance is None
    assert judged.regions == ()


def test_without_calibration_there_is_no_verdict(plates):
    """Compared, but CANNOT_INSPECT, with the command that mends it; defects don't pass, nor do good parts."""
    reference_set = plates.inspector.reference_set
    inspector = Inspector(reference_set, cache=plates.workspace.cache, engine="onnx")
    good, scratched = inspector.judge([draw_part(100), draw_part(100, scratched=True)])
    for judged in (good, scratched):
        assert judged.verdict is Verdict.CANNOT_INSPECT
        assert judged.reason.startswith(f"{Reason.NOT_CALIBRATED.value}: ")
        assert "`goldentwin calibrate plate --view default --labelled DIR`" in judged.reason
        assert judged.threshold is None
        assert judged.provenance.calibration is None
        assert judged.regions == ()
    assert good.similarity > scratched.similarity


def test_calibration_of_other_goldens_is_refused(plates, tmp_path):
    """A calibration bound to other goldens can't be used by mistake."""
    workspace = Workspace(home=tmp_path, references=tmp_path / "references")
    enrol(workspace, PRODUCT, [draw_part(5)], PLATES)
    others = load_reference_set(workspace.references, PRODUCT)
    with pytest.raises(NotCalibratedError, match="reference set"):
        Inspector(others, calibration=plates.inspector.calibration, cache=plates.workspace.cache, engine="onnx")


def test_verdicts_name_their_grounds(plates):
    """Encoder, reference set, recipe and calibration by hash, on inspected and on refused frames."""
    inspector, reference_set = plates.inspector, plates.inspector.reference_set
    for judged in inspector.judge([draw_part(100), np.zeros((128, 128, 3), np.uint8)]):
        grounds = judged.provenance
        assert grounds.encoder == encoder_digest(reference_set.recipe.encoder)
        assert grounds.reference_set == reference_set.digest
        assert grounds.recipe == reference_set.recipe.digest
        assert grounds.calibration == inspector.calibration.digest
        assert all(re.fullmatch("[0-9a-f]{12}", digest) for digest in vars(grounds).values())


def test_engines_give_the_same_verdicts(plates, frames):
    """Eager torch and ONNX Runtime: similarity within 1e-3, and no verdict turned."""
    inspector = plates.inspector
    eager = Inspector(
        inspector.reference_set, calibration=inspector.calibration, cache=plates.workspace.cache, engine="torch"
    )
    assert eager.engine != inspector.engine
    pairs = list(zip(inspector.judge(frames), eager.judge(frames), strict=True))
    assert max(abs(one.similarity - other.similarity) for one, other in pairs) < 1e-3
    assert [one.verdict for one, _ in pairs] == [other.verdict for _, other in pairs]
    assert eager.provenance == inspector.provenance


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.parametrize("part", ["bottle", "aliens"])
def test_engines_agree_on_real_parts(real_data, tmp_path, part):
    """The same on twenty real frames, good and defective: no flip, whichever engine judges."""
    workspace = Workspace(home=tmp_path, references=tmp_path / "references")
    goldens = sorted((real_data / part / "train" / "good").iterdir())[:4]
    enrol(workspace, part, [cv2.imread(str(path))[..., ::-1] for path in goldens])
    onnx = calibrated(workspace, part)
    eager = Inspector(onnx.reference_set, calibration=onnx.calibration, cache=workspace.cache, engine="torch")
    files = sorted((real_data / part / "test").glob("*/*"))
    frames = [np.ascontiguousarray(cv2.imread(str(path))[..., ::-1]) for path in files[:: len(files) // 20][:20]]
    pairs = list(zip(onnx.judge(frames), eager.judge(frames), strict=True))
    assert len(pairs) == 20
    assert [one.verdict for one, _ in pairs] == [other.verdict for _, other in pairs]
    compared = [(one.similarity, other.similarity) for one, other in pairs if one.similarity is not None]
    assert np.ptp(compared, axis=1).max() < 1e-3


def test_threads_prepare_as_one_does(tmp_path):
    """Frames prepared by several threads at once come out as they do one after the other."""
    workspace = Workspace(home=tmp_path, references=tmp_path / "references")
    recipe = replace(PLATES, registration=RegistrationMethod.HOMOGRAPHY)
    enrol(workspace, "gear", [drawn_part(192, 144), _noisy(drawn_part(192, 144), 1)], recipe)
    inspector = open_inspector(workspace, "gear", engine="onnx")
    frames = [np.roll(_noisy(drawn_part(192, 144), seed), seed % 7, axis=1) for seed in range(24)]
    alone = [inspector.prepare(frame) for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(inspector.prepare, frames))
    for one, other in zip(alone, together, strict=True):
        assert one.problem == other.problem
        np.testing.assert_array_equal(one.matrix, other.matrix)
        np.testing.assert_array_equal(one.image, other.image)


def test_no_number_is_no_verdict(plates, monkeypatch):
    """A comparison that gives no finite number is CANNOT_INSPECT, and never PASS."""
    inspector = plates.inspector
    for value in (np.nan, np.inf):
        grid = np.full((1, 16, 16), 0.5, np.float32)
        grid[0, 3, 3] = value
        monkeypatch.setattr(inspector._comparer, "compare", lambda _, grid=grid: grid)
        (judged,) = inspector.judge([draw_part(100)])
        assert judged.verdict is Verdict.CANNOT_INSPECT
        assert judged.reason.startswith("not compared: ")
        assert judged.similarity is None


def test_golden_altered_behind_our_back_is_not_used(plates, tmp_path):
    """A golden's file that is another one now is an error that names it."""
    workspace = plates.copy(tmp_path / "home")
    reference_set = load_reference_set(workspace.references, PRODUCT)
    golden = reference_set.folder / reference_set.goldens[0].file
    cv2.imwrite(str(golden), draw_part(0, scratched=True)[..., ::-1])
    with pytest.raises(ReferenceSetError, match="altered"):
        Inspector(reference_set, cache=workspace.cache, engine="onnx")


def test_cache_changes_no_verdict(plates, frames, tmp_path):
    """With the cache's files, without them, or without any cache: the same to the last bit."""
    inspector = plates.inspector
    expected = [figures(one) for one in inspector.judge(frames)]
    for cache in (None, tmp_path / "new", plates.workspace.cache):
        again = Inspector(inspector.reference_set, calibration=inspector.calibration, cache=cache, engine="onnx")
        assert [figures(one) for one in again.judge(frames)] == expected


def test_simulated_boards_are_judged(tmp_path):
    """On boards drawn in detail, by three goldens alone: a large missing part is FLAG, good boards pass."""
    line = LineSimulator(3, 256)
    workspace = Workspace(home=tmp_path, references=tmp_path / "references")
    enrol(workspace, "board", [line.frame(number).image for number in range(3)], Recipe())
    inspector = calibrated(workspace, "board")
    good = inspector.judge([line.frame(number).image for number in range(20, 24)])
    faulty = inspector.judge([line.frame(number, DefectKind.MISSING_PART).image for number in (30, 35)])
    assert [one.verdict for one in good] == [Verdict.PASS] * 4
    assert [one.verdict for one in faulty] == [Verdict.FLAG] * 2


def _noisy(image, seed):
    noise = np.random.default_rng(seed).normal(0, 2, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)
