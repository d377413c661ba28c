"""Where the inspector looks and what it points at: ROI, regions, and places on frames that lie otherwise."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from bad_inputs import drawn_part
from drawn_line import PLATES, calibrated, enrol
from drawn_night import PRODUCT, draw_part

from inspection.calibration import similarity_of
from inspection.recipe import InspectionRegion, RegistrationMethod
from inspection.verdicts import Verdict
from pipeline.workspace import Workspace

SCRATCH = (40, 64, 88, 70)  # where draw_part draws it: from x, y to x, y


@pytest.fixture(scope="module")
def inspector(plates):
    """Judges plates by two goldens."""
    return plates.inspector


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


def test_regions_lie_in_the_delivered_frame(inspector):
    """A frame twice the golden's size gets its regions in its own pixels."""
    scratched = draw_part(100, scratched=True)
    large = cv2.resize(scratched, (256, 256), interpolation=cv2.INTER_CUBIC)
    small, big = (inspector.judge([image])[0].regions[0] for image in (scratched, large))
    ours, theirs = (np.array([r.x, r.y, r.width, r.height]) for r in (small, big))
    np.testing.assert_allclose(theirs / 2, ours, atol=4)
    assert big.area == pytest.approx(4 * small.area, rel=0.3)


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


def _noisy(image, seed):
    noise = np.random.default_rng(seed).normal(0, 2, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)
