"""The decision: flagged when the similarity is below the threshold, with the places shown on the frame."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.calibration import distance_of, similarity_of
from inspection.decision import (
    find_regions,
    image_distance,
    judge_similarity,
    sensitivity_map,
    similarity_map,
    spread_to_pixels,
)
from inspection.errors import RecipeError, ReferenceSetError
from inspection.recipe import InspectionRegion
from inspection.verdicts import Verdict

SIDE = 64


def a_map(*boxes, ground=0.5, peak=9.0):
    """Distances that are high in boxes (x, y, width, height) only."""
    distances = np.full((SIDE, SIDE), ground, np.float32)
    for x, y, width, height in boxes:
        distances[y : y + height, x : x + width] = peak
    return distances


@given(st.floats(0, 1), st.floats(0, 1))
def test_flagged_exactly_below_the_threshold(similarity, threshold):
    """FLAG if and only if `similarity < threshold`; equal is PASS."""
    assert (judge_similarity(similarity, threshold) is Verdict.FLAG) == (similarity < threshold)
    assert judge_similarity(threshold, threshold) is Verdict.PASS


def test_what_is_no_number_never_passes():
    """NaN on either side is no PASS."""
    assert judge_similarity(float("nan"), 0.5) is not Verdict.PASS
    assert judge_similarity(0.5, float("nan")) is not Verdict.PASS


def test_frame_is_as_far_as_its_worst_place():
    """One far place decides, wherever it is; one without a number is not overlooked."""
    assert image_distance(a_map((63, 0, 1, 1))) == 9.0
    assert np.isnan(image_distance(a_map((5, 5, 1, 1), peak=np.nan)))


@given(st.integers(0, 2**32 - 1), st.integers(-3, 3))
def test_every_flagged_frame_has_a_region(seed, steps):
    """Also where threshold and similarity differ by the last bit, in either notation."""
    distances = np.random.default_rng(seed).uniform(0, 5, (SIDE, SIDE)).astype(np.float32)
    similarity = similarity_of(image_distance(distances))
    threshold = similarity
    for _ in range(abs(steps)):
        threshold = np.nextafter(threshold, 1.0 if steps > 0 else 0.0)
    if judge_similarity(similarity, threshold) is Verdict.FLAG:
        regions = find_regions(distances, distance_of(threshold), np.eye(3), (SIDE, SIDE))
        assert regions
        assert regions[0].similarity == similarity


def test_region_is_the_box_of_the_place():
    """Box, area and peak of a place, where golden and frame lie on each other."""
    distances = a_map((10, 20, 7, 5))
    distances[22, 13] = 30
    (region,) = find_regions(distances, 3.0, np.eye(3), (SIDE, SIDE))
    assert (region.x, region.y, region.width, region.height, region.area) == (10, 20, 7, 5, 35)
    assert region.similarity == pytest.approx(similarity_of(30.0))


def test_worst_region_comes_first():
    """Separate places are separate regions, ordered by how unlike they are."""
    distances = a_map((2, 2, 4, 4)) + a_map((30, 30, 4, 4), ground=0, peak=20) + a_map((50, 9, 4, 4), ground=0)
    regions = find_regions(distances, 3.0, np.eye(3), (SIDE, SIDE))
    assert [region.x for region in regions] == [30, 2, 50] or [region.x for region in regions] == [30, 50, 2]
    assert [r.similarity for r in regions] == sorted(r.similarity for r in regions)


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (63, 63, 1, 1), (0, 30, 64, 4), (0, 0, 64, 64)])
def test_regions_at_the_border_stay_inside(box):
    """Places at the very edge have boxes that lie inside the frame."""
    (region,) = find_regions(a_map(box), 3.0, np.eye(3), (SIDE, SIDE))
    assert (region.x, region.y, region.width, region.height) == box


@pytest.mark.parametrize("size", [(64, 64), (640, 640), (1000, 700), (32, 48)])
def test_regions_scale_with_the_frame(size):
    """In a frame of another size the box covers just the pixels that became the place, to its edges."""
    width, height = size
    scale = np.array([width / SIDE, height / SIDE])
    to_frame = np.diag([*scale, 1.0])
    to_frame[:2, 2] = (scale - 1) / 2  # pixel centres
    (region,) = find_regions(a_map((16, 32, 8, 4)), 3.0, to_frame, size)
    expected = np.array([16, 32, 8, 4]) * np.tile(scale, 2)
    np.testing.assert_allclose([region.x, region.y, region.width, region.height], expected, atol=1)
    assert region.area == pytest.approx(32 * np.prod(scale), abs=1)


@pytest.mark.parametrize("degrees", [0, 7, 90, 180])
@pytest.mark.parametrize("shift", [(0, 0), (9, -6)])
def test_regions_follow_the_registration(degrees, shift):
    """A place seen in the golden's coordinates is boxed where the turned and shifted frame shows it."""
    truth = np.zeros((SIDE, SIDE), np.uint8)
    truth[28:34, 36:46] = 255
    to_frame = np.vstack([cv2.getRotationMatrix2D((31.5, 31.5), degrees, 1.0), (0, 0, 1)])
    to_frame[:2, 2] += shift
    shown = cv2.warpAffine(truth, to_frame[:2], (SIDE, SIDE)) > 127
    (region,) = find_regions(np.where(truth, 9, 0.5).astype(np.float32), 3.0, to_frame, (SIDE, SIDE))
    rows, columns = np.nonzero(shown)
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert np.abs(np.subtract((region.x, region.y, region.x + region.width, region.y + region.height), box)).max() <= 1
    assert region.area == pytest.approx(shown.sum(), rel=0.1)


@given(st.integers(0, 2**32 - 1))
def test_boxes_never_leave_the_frame(seed):
    """Whatever map and whatever perspective: boxes lie inside the frame, and areas inside the boxes."""
    rng = np.random.default_rng(seed)
    distances = cv2.resize(rng.uniform(0, 6, (8, 8)).astype(np.float32), (SIDE, SIDE))
    to_frame = np.eye(3) + rng.uniform(-0.3, 0.3, (3, 3)) * [[1, 1, 40], [1, 1, 40], [0.003, 0.003, 0]]
    width, height = (int(n) for n in rng.integers(20, 300, 2))
    for region in find_regions(distances, 4.0, to_frame, (width, height)):
        assert 0 <= region.x < region.x + region.width <= width
        assert 0 <= region.y < region.y + region.height <= height
        assert 1 <= region.area <= region.width * region.height


def test_grid_cells_cover_their_own_pixels():
    """The cell of a grid spreads about the middle of the pixels that it stands for."""
    grid = np.zeros((8, 8), np.float32)
    grid[2, 5] = 1
    pixels = spread_to_pixels(grid, SIDE, None)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    assert (pixels * rows).sum() / pixels.sum() == pytest.approx(2 * 8 + 3.5)
    assert (pixels * columns).sum() / pixels.sum() == pytest.approx(5 * 8 + 3.5)


def test_what_is_not_inspected_counts_nothing():
    """Places of sensitivity 0 read distance 0, however far they are; 2 doubles the distance."""
    grid = np.full((8, 8), 4.0, np.float32)
    weights = np.ones((SIDE, SIDE), np.float32)
    weights[:, :32], weights[:8, 32:] = 0, 2
    pixels = spread_to_pixels(grid, SIDE, weights)
    assert (pixels[:, :32] == 0).all()
    assert (pixels[:8, 32:] == 8).all()
    assert (pixels[8:, 32:] == 4).all()


def test_map_says_what_the_frame_says():
    """The map is the similarity of every place by the same formula."""
    distances = np.array([[0.0, 1.5], [3.0, 300.0]], np.float32)
    expected = [[similarity_of(float(d)) for d in row] for row in distances]
    np.testing.assert_allclose(similarity_map(distances), expected, rtol=1e-6)
    assert similarity_map(distances).dtype == np.float32


def test_everything_counts_where_nothing_is_named():
    """No mask and no region: no weights at all."""
    assert sensitivity_map(SIDE, None, ()) is None


def test_roi_and_regions_are_weights():
    """Outside the ROI nothing, in a region its sensitivity, elsewhere 1; the ROI wins over a region."""
    roi = np.zeros((200, 400), np.bool_)
    roi[:, 100:] = True
    strict = InspectionRegion(name="connector", x=0.125, y=0.5, width=0.25, height=0.25, sensitivity=3.0)
    weights = sensitivity_map(SIDE, roi, [strict])
    assert (weights[:, :16] == 0).all()
    assert (weights[32:48, 16:24] == 3).all()
    assert (weights[:32, 16:] == 1).all()


def test_fine_masks_are_told_by_area():
    """A place counts where half of it or more lies in the ROI: fine stripes don't depend on where they are sampled."""
    roi = np.ones((640, 640), np.bool_)
    roi[::10] = False
    assert sensitivity_map(SIDE, roi, ()).min() == 1
    assert (sensitivity_map(SIDE, roi | True, ()) == 1).all()


def test_nothing_left_to_inspect_is_an_error():
    """A mask too fine for the working size, or a region that switches everything off, is told at once."""
    dot = np.zeros((640, 640), np.bool_)
    dot[100, 100] = True
    with pytest.raises(ReferenceSetError, match="raise image_size"):
        sensitivity_map(SIDE, dot, ())
    with pytest.raises(ReferenceSetError, match="nothing to inspect"):
        sensitivity_map(SIDE, None, [InspectionRegion(name="all", x=0, y=0, width=1, height=1, sensitivity=0)])


@pytest.mark.parametrize(
    "wrong",
    [
        {"sensitivity": -1.0},
        {"sensitivity": float("nan")},
        {"sensitivity": float("inf")},
        {"x": -0.1},
        {"width": 0.0},
        {"y": 0.8, "height": 0.3},
        {"x": float("nan")},
    ],
)
def test_regions_that_would_pass_anything_are_refused(wrong):
    """A negative or numberless sensitivity would turn any distance into a good one; boxes lie inside the golden."""
    box = {"name": "r", "x": 0.1, "y": 0.1, "width": 0.5, "height": 0.5}
    with pytest.raises(RecipeError, match="region 'r'"):
        InspectionRegion(**(box | wrong))


def test_region_may_reach_the_edge():
    """Fractions that add up to 1 but for rounding are inside."""
    for left in np.linspace(0, 0.9, 91):
        InspectionRegion(name="r", x=left, y=0, width=1 - left, height=1)
