"""Scoring of boxes, worked out by hand, as DeepPCB's script defines it."""

from __future__ import annotations

import pytest

from inspection.boxes import Box, FoundBox, box_figures, overlap, score_boxes, score_types


def found(left, top, right, bottom, certainty=0.5, type_=None):
    """A found box."""
    return FoundBox(left, top, right, bottom, certainty=certainty, types=((type_, 1.0),) if type_ else ())


def test_overlap_is_intersection_over_union():
    """Two boxes of 4 x 4 that share 2 x 4 overlap by 8 of 24; touching ones not at all."""
    assert overlap(Box(0, 0, 4, 4), Box(2, 0, 6, 4)) == pytest.approx(8 / 24)
    assert overlap(Box(0, 0, 4, 4), Box(4, 0, 8, 4)) == 0


def test_half_an_overlap_is_enough_and_a_third_is_not():
    """IoU must be above 0.33: 8 of 24 is right, just; 7 of 25 is not."""
    true = [[Box(0, 0, 4, 4)]]
    assert score_boxes([[found(2, 0, 6, 4)]], true).f_score == 1
    assert score_boxes([[found(2.25, 0, 6.25, 4)]], true).f_score == 0


def test_a_true_box_is_found_once():
    """The surer one counts, the second is wrong."""
    score = score_boxes([[found(0, 0, 4, 4, 0.9), found(0, 0, 4, 4, 0.8)]], [[Box(0, 0, 4, 4)]])
    assert (score.precision, score.recall, score.right) == (0.5, 1.0, 1)
    assert score.f_score == pytest.approx(2 / 3)


def test_average_precision_goes_by_certainty_over_all_frames():
    """Right, wrong, right among three true ones: (1 / 1 + 2 / 3) / 3."""
    boxes = [[found(0, 0, 4, 4, 0.9), found(50, 50, 60, 60, 0.8)], [found(0, 0, 4, 4, 0.7)]]
    truth = [[Box(0, 0, 4, 4)], [Box(0, 0, 4, 4), Box(20, 20, 30, 30)]]
    assert score_boxes(boxes, truth).average_precision == pytest.approx((1 + 2 / 3) / 3)


def test_a_type_counts_only_under_its_own_name():
    """Without types the box is right, under the wrong name it is wrong for one type and missed for the other."""
    boxes, truth = [[found(0, 0, 4, 4, type_="short")]], [[Box(0, 0, 4, 4, "open")]]
    assert score_boxes(boxes, truth).f_score == 1
    assert {name: score.f_score for name, score in score_types(boxes, truth).items()} == {"open": 0}
    figures = box_figures(boxes, truth)
    assert figures["f_score"] == 1
    assert figures["mean_average_precision"] == 0
    assert figures["per_type"]["open"]["n"] == 1


def test_an_unsure_name_counts_for_average_precision_under_every_name():
    """A box that is `open` at 0.6 and `bite` at 0.4 is found for both types, and right by name for `open` alone."""
    unsure = FoundBox(0, 0, 4, 4, certainty=0.9, types=(("open", 0.6), ("bite", 0.4)))
    surely_bite = FoundBox(20, 0, 24, 4, certainty=0.9, types=(("bite", 1.0), ("open", 0.0)))
    scores = score_types([[unsure, surely_bite]], [[Box(0, 0, 4, 4, "bite"), Box(20, 0, 24, 4, "bite")]])
    assert scores["bite"].average_precision == 1
    assert scores["bite"].recall == 0.5
    truth = [[Box(0, 0, 4, 4, "open"), Box(20, 0, 24, 4, "bite")]]
    assert score_types([[unsure, surely_bite]], truth)["bite"].average_precision == 1


def test_nothing_found_and_nothing_true():
    """No division by nothing."""
    assert score_boxes([[]], [[Box(0, 0, 1, 1)]]).f_score == 0
    assert score_boxes([[found(0, 0, 1, 1)]], [[]]).recall == 0
    assert box_figures([[]], [[]])["mean_average_precision"] is None
