"""From maps of similarity to defects: boxes, support, the threshold by F-score, types."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from inspection.boxes import Box
from inspection.learned.architecture import PairMaps
from inspection.learned.detection import DefectMap, choose_threshold, find_defects, read_maps


def defect_map(boxes, side=24):
    """Similarity 0.9, and 0.1 in boxes (left, top, right, bottom) of places."""
    similarity = np.full((side, side), 0.9, np.float32)
    for left, top, right, bottom in boxes:
        similarity[top:bottom, left:right] = 0.1
    return DefectMap(similarity=similarity, types=None)


def test_defects_are_the_connected_places_below_the_threshold():
    """Two apart are two, in pixels, the box right and bottom exclusive."""
    found = find_defects(defect_map([(2, 3, 6, 8), (12, 12, 14, 20)]), 0.5)
    assert sorted(defect.box for defect in found) == [(8, 12, 24, 32), (48, 48, 56, 80)]
    assert {defect.area for defect in found} == {20 * 16, 16 * 16}
    assert all(defect.similarity == pytest.approx(0.1) for defect in found)


def test_support_leaves_single_odd_places_out():
    """A lone place is no defect where 3 x 3 must agree; a larger one keeps its whole box."""
    one = replace(defect_map([(2, 2, 3, 3), (10, 10, 16, 16)]), support=3)
    assert [defect.box for defect in find_defects(one, 0.5)] == [(40, 40, 64, 64)]
    assert one.worst == pytest.approx(0.1)


def test_a_flagged_frame_always_has_a_defect():
    """Even where the support's middle itself is no defect: a ring."""
    ring = defect_map([(8, 8, 11, 11)])
    ring.similarity[9, 9] = 0.9
    one = replace(ring, support=3)
    threshold = one.worst + 0.01
    assert find_defects(one, threshold)


def test_threshold_is_chosen_by_f_score():
    """Faint true boxes and fainter false ones: the threshold lies between, and the lone odd place is left out."""
    maps, truth = [], []
    for seed in range(4):
        one = defect_map([(3, 3, 9, 9)])
        one.similarity[3:9, 3:9] = 0.4
        one.similarity[14:20, 14:20] = 0.7
        one.similarity[1, 20 - seed] = 0.05
        maps.append(one)
        truth.append([Box(12, 12, 36, 36)])
    threshold, support = choose_threshold(maps, truth)
    assert 0.4 < threshold <= 0.7
    assert support > 1


def test_threshold_is_chosen_where_defects_have_types():
    """As without types, each type being found."""
    maps, truth = [], []
    for kind in (0, 1):
        types = np.zeros((2, 24, 24), np.float32)
        types[kind] = 3.0
        maps.append(replace(defect_map([(3, 3, 9, 9)]), types=types))
        truth.append([Box(12, 12, 36, 36, "ab"[kind])])
    threshold, _ = choose_threshold(maps, truth)
    assert 0.1 < threshold <= 0.9


def test_types_are_told_by_all_places_together():
    """Most places vote for the second type."""
    logit = torch.full((1, 8, 8), -6.0)
    logit[0, 2:6, 2:6] = 6.0
    types = torch.zeros(1, 2, 8, 8)
    types[0, 1, 2:5] = 3.0
    types[0, 0, 5] = 3.0
    found = find_defects(read_maps(PairMaps(logit, types), named=True), 0.5)
    assert len(found) == 1
    assert found[0].shares[1] > found[0].shares[0]
    assert sum(found[0].shares) == pytest.approx(1)
