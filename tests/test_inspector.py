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

from inspection.calibration import similarity_of
from inspection.encoder import encoder_digest
from inspection.errors import NotCalibratedError, ReferenceSetError
from inspection.inspector import Inspector
from inspection.recipe import InspectionRegion, Recipe, RegistrationMethod
from inspection.reference_set import load_reference_set
from inspection.verdicts import Reason, Verdict
from pipeline.opening import open_inspector
from pipeline.simulator import DefectKind, LineSimulator
from pipeline.workspace import Workspace

SCRATCH = (40, 64, 88, 70)  # where draw_part draws it: from x, y to x, y


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


def test_region_covers_the_defect(inspector):
    """The worst region of a scratched plate lies on the scratch and not far around it."""
    (judged,) = inspector.judge([draw_part(100, scratched=True)])
    region = judged.regions[0]
    left, top, right, bottom = SCRATCH
    assert region.x <= left + 12
    assert region.x + region.width >= right - 12
    assert region.y <= top
    assert region.y + region.height >= bottom
    assert region.width < right - left + 40
    assert region.height < bottom - top + 40
    row, column = np.unravel_index(judged.similarity_map.argmin(), judged.similarity_map.shape)
    assert left - 8 <= column <= right + 8
    assert top - 8 <= row <= bottom + 8


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


def test_regions_lie_in_the_delivered_frame(inspector):
    """A frame twice the golden's size gets its regions in its own pixels."""
    scratched = draw_part(100, scratched=True)
    large = cv2.resize(scratched, (256, 256), interpolation=cv2.INTER_CUBIC)
    small, big = (inspector.judge([image])[0].regions[0] for image in (scratched, large))
    ours, theirs = (np.array([r.x, r.y, r.width, r.height]) for r in (small, big))
    np.testing.assert_allclose(theirs / 2, ours, atol=4)
    assert big.area == pytest.approx(4 * small.area, rel=0.3)


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


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    """Plates of which only the lower half counts."""
    home = tmp_path_factory.mktemp("masked")
    workspace = Workspace(home=home, references=home / "references")
    mask = np.zeros((128, 128, 3), np.uint8)
    mask[64:] = 255
    enrol(workspace, PRODUCT, [draw_part(0), draw_part(1)], PLATES, mask)
    return calibrated(workspace, PRODUCT)


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """Plates of which the lower right quarter counts three times."""
    home = tmp_path_factory.mktemp("strict")
    workspace = Workspace(home=home, references=home / "references")
    region = InspectionRegion(name="corner", x=0.5, y=0.5, width=0.5, height=0.5, sensitivity=3.0)
    enrol(workspace, PRODUCT, [draw_part(0), draw_part(1)], replace(PLATES, regions=(region,)))
    return calibrated(workspace, PRODUCT)


def spotted(x, y, colour=(240, 240, 60)):
    """A plate with a spot of 14 pixels."""
    part = draw_part(100)
    part[y - 7 : y + 7, x - 7 : x + 7] = colour
    return part


def test_what_lies_outside_the_roi_is_never_flagged(masked):
    """The same spot passes outside the ROI and is flagged inside."""
    outside, inside = masked.judge([spotted(64, 24), spotted(64, 104)])
    assert outside.verdict is Verdict.PASS
    assert (outside.similarity_map[:64] == 1).all()
    assert inside.verdict is Verdict.FLAG
    assert all(region.y >= 60 for region in inside.regions)


def test_region_is_judged_more_strictly(inspector, strict):
    """A spot in a region of sensitivity 3 reads three times as far as without it; other places read the same."""
    usual, stricter = (judge([spotted(96, 104)])[0] for judge in (inspector.judge, strict.judge))
    assert stricter.distance == pytest.approx(3 * usual.distance, rel=0.1)
    np.testing.assert_allclose(stricter.similarity_map[:64], usual.similarity_map[:64], atol=1e-6)


def test_provisional_sample_is_read_as_frames_are(inspector, masked, strict):
    """What goldens read outside the ROI moves no threshold, and what they read in a strict region moves it more."""
    maps = inspector._model.comparer.golden_maps
    lower, corner = np.zeros((16, 16)), np.ones((16, 16))
    lower[8:], corner[8:, 8:] = 1, 3
    for one, weights in ((inspector, np.ones((16, 16))), (masked, lower), (strict, corner)):
        expected = [similarity_of(float((grid * weights).max())) for grid in maps]
        np.testing.assert_allclose(one.golden_similarities, expected, atol=0.03)


@pytest.fixture(scope="module")
def turning(tmp_path_factory):
    """Parts of 192 x 144 pixels that are registered by turn and shift, judged by one golden."""
    home = tmp_path_factory.mktemp("turning")
    workspace = Workspace(home=home, references=home / "references")
    enrol(workspace, "gear", [_noisy(drawn_part(192, 144), 0)], replace(PLATES, registration=RegistrationMethod.RIGID))
    return calibrated(workspace, "gear")


@pytest.mark.parametrize(("degrees", "shift"), [(0, (0, 0)), (5, (6, -4)), (-8, (-5, 3)), (3, (8, 8))])
def test_regions_follow_a_turned_part(turning, degrees, shift):
    """A stain on a turned and shifted part is boxed where the frame shows it; the matrix leads to the golden."""
    motion = cv2.getRotationMatrix2D((95.5, 71.5), degrees, 1.0)  # golden to frame
    motion[:, 2] += shift
    stained = drawn_part(192, 144)
    stained[88:104, 120:140] = (10, 160, 60)
    frame = cv2.warpAffine(_noisy(stained, 7), motion, (192, 144), borderMode=cv2.BORDER_REPLICATE)
    (judged,) = turning.judge([frame])
    assert judged.verdict is Verdict.FLAG
    x, y = motion @ (129.5, 95.5, 1)
    region = judged.regions[0]
    assert region.x <= x < region.x + region.width
    assert region.y <= y < region.y + region.height
    assert abs(region.x + region.width / 2 - x) < 14
    assert abs(region.y + region.height / 2 - y) < 14
    back = judged.matrix @ (x, y, 1)
    np.testing.assert_allclose(back[:2] / back[2], (129.5, 95.5), atol=2.5)


def test_part_that_is_elsewhere_is_not_judged(turning):
    """A picture of something else can't be registered: CANNOT_INSPECT with the quality, not PASS."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    (judged,) = turning.judge([cv2.resize(noise, (192, 144), interpolation=cv2.INTER_NEAREST)])
    assert judged.verdict is Verdict.CANNOT_INSPECT
    assert judged.reason.startswith("not registered: ")
    assert judged.registration_quality < 0.5


def test_simulated_boards_are_judged(tmp_path):
    """On boards drawn in detail, by three goldens alone: a large missing part is FLAG, good boards pass."""
    line = LineSimulator(3, 192)
    workspace = Workspace(home=tmp_path, references=tmp_path / "references")
    enrol(workspace, "board", [line.frame(number).image for number in range(3)], Recipe(image_size=192))
    inspector = calibrated(workspace, "board")
    good = inspector.judge([line.frame(number).image for number in range(20, 24)])
    faulty = inspector.judge([line.frame(number, DefectKind.MISSING_PART).image for number in (30, 35)])
    assert [one.verdict for one in good] == [Verdict.PASS] * 4
    assert [one.verdict for one in faulty] == [Verdict.FLAG] * 2


def _noisy(image, seed):
    noise = np.random.default_rng(seed).normal(0, 2, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)
