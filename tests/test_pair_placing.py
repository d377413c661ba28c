"""A pair's frame on its golden, and the untrained comparison of the two."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from inspection.learned.pair_inspector import UntrainedPairInspector
from inspection.pair_placing import moved_box, place
from inspection.verdicts import Verdict

SIDE = 256
SPOT = (150, 90, 174, 114)


def part(seed, *, spot=False):
    """A textured card of 256 x 256 with bars and holes; `spot` is a bright defect at `SPOT`."""
    drawing = np.random.default_rng(7)
    image = np.full((SIDE, SIDE, 3), 90, np.uint8)
    for _ in range(25):
        x, y, width, height = (int(n) for n in drawing.integers((10, 10, 8, 8), (200, 200, 50, 30)))
        cv2.rectangle(image, (x, y), (x + width, y + height), [int(n) for n in drawing.integers(30, 200, 3)], -1)
    if spot:
        left, top, right, bottom = SPOT
        image[top:bottom, left:right] = (250, 40, 240)
    noise = np.random.default_rng(seed).normal(0, 2, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def moved(image, *, turn=6.0, by=(12, -9)):
    """The picture turned by degrees and shifted, and the matrix that did so."""
    matrix = np.vstack([cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), turn, 1.0), [0, 0, 1]])
    matrix[:2, 2] += by
    return cv2.warpPerspective(image, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE), matrix


def test_a_frame_that_lies_right_stays_as_it_is():
    """No resampling, and all of it is shown."""
    frame = part(1)
    placed = place(frame, part(2))
    assert placed.image is frame
    assert np.array_equal(placed.matrix, np.eye(3))
    assert placed.shown is None
    assert placed.problem is None


def test_a_moved_frame_comes_to_lie_on_its_golden():
    """To a pixel; what the frame did not see is told."""
    frame, matrix = moved(part(1))
    placed = place(frame, part(2))
    corners = np.array([[[0, 0], [SIDE, 0], [0, SIDE], [SIDE, SIDE]]], np.float64)
    back = cv2.perspectiveTransform(corners, placed.matrix @ matrix)
    assert np.abs(back - corners).max() < 1
    assert placed.problem is None
    assert 0 < (~placed.shown).sum() < 0.2 * SIDE * SIDE


@pytest.mark.parametrize("box", [(0.0, 0.0, 4.0, 4.0), (10.0, 20.0, 31.0, 22.0)])
def test_boxes_follow_the_matrix(box):
    """Edges, not centres: a quarter turn of the picture around its middle swaps the sides."""
    quarter = np.array([[0.0, -1.0, SIDE - 1], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    left, top, right, bottom = box
    assert moved_box(box, quarter) == pytest.approx((SIDE - bottom, left, SIDE - top, right))
    assert moved_box(box, np.eye(3)) == box


def test_untrained_judgement_finds_the_spot_where_the_frame_shows_it():
    """A region covers it in the delivered frame, moved or not; a good part is far more similar; all provisional."""
    judge = UntrainedPairInspector(engine="onnx")
    golden = part(2)
    left, top, right, bottom = SPOT
    for warped in (False, True):
        frame, matrix = moved(part(3, spot=True)) if warped else (part(3, spot=True), np.eye(3))
        judged = judge.judge(frame, golden, "0" * 64)
        assert judged.verdict is Verdict.FLAG
        assert judged.provisional
        x, y, _ = matrix @ [(left + right) / 2, (top + bottom) / 2, 1]
        assert any(0 < x - r.x < r.width and 0 < y - r.y < r.height for r in judged.regions)
        good = moved(part(4))[0] if warped else part(4)
        assert judge.judge(good, golden, "0" * 64).similarity > 2 * judged.similarity


def test_untrained_judgement_is_the_same_whichever_goldens_came_between():
    """More goldens than are kept open, and the first one again."""
    judge = UntrainedPairInspector(engine="onnx")
    small = [np.ascontiguousarray(part(seed)[::2, ::2]) for seed in range(11)]
    frame = np.ascontiguousarray(part(30, spot=True)[::2, ::2])
    first = judge.judge(frame, small[0], "a" * 64)
    for number, golden in enumerate(small[1:]):
        judge.judge(frame, golden, f"{number:064d}")
    again = judge.judge(frame, small[0], "a" * 64)
    assert again.similarity == first.similarity
    assert again.regions == first.regions
