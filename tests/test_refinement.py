"""The refinement's arithmetic against the long forms that it stands for."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from inspection.registration.poses import rescaled, turned
from inspection.registration.refinement import _median, _moves, _sampled


@pytest.mark.parametrize("count", [1, 2, 511, 512])
def test_median_is_numpys(count):
    """Of odd and even counts."""
    values = np.random.default_rng(count).normal(size=count).astype(np.float32)
    assert _median(values) == pytest.approx(float(np.median(values)), abs=1e-7)


@pytest.mark.parametrize("degrees", [-12.0, 0.0, 3.5])
def test_a_step_moves_the_last_corner(degrees):
    """By the larger of both directions."""
    side = 64
    step = turned(degrees, 0.7, -1.3, side=side, aspect=1.4)
    assert _moves(step, side) == pytest.approx(np.abs((step - np.eye(3))[:2] @ (side, side, 1)).max())


@pytest.mark.parametrize("degrees", [0.0, 25.0])
def test_places_are_read_where_the_pose_has_them(degrees):
    """As a warp of the whole frame has them; outside the frame there is no number."""
    side = 64
    frame = cv2.GaussianBlur(np.random.default_rng(0).normal(size=(side, side)).astype(np.float32), (0, 0), 3)
    pose = turned(degrees, 4.0, -9.0, side=side, aspect=1.2)
    y, x = np.mgrid[:side, :side].reshape(2, -1).astype(np.float32)
    read = _sampled(frame, pose, np.stack([x, y])).reshape(side, side)
    warped = cv2.warpAffine(frame, pose[:2], (side, side), borderMode=cv2.BORDER_CONSTANT, borderValue=np.nan)
    seen = np.isfinite(warped) & np.isfinite(read)
    assert 0.3 < seen.mean() < 1
    assert np.mean(np.isfinite(warped) != np.isfinite(read)) < 0.02
    np.testing.assert_allclose(read[seen], warped[seen], atol=0.02)


def test_sizes_change_and_change_back():
    """A pose brought to another size and back is the same one, and no caller can spoil the next one's."""
    pose = turned(7, 3, 5, side=256, aspect=1.0)
    small = rescaled(pose, (256, 256), (64, 64))
    np.testing.assert_allclose(rescaled(small, (64, 64), (256, 256)), pose, atol=1e-9)
    small += 1
    np.testing.assert_allclose(rescaled(rescaled(pose, (256, 256), (64, 64)), (64, 64), (256, 256)), pose, atol=1e-9)
