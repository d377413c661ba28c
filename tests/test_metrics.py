"""Metrics against cases done by hand and against slow versions written out."""

import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import roc_auc_score

from inspection.errors import EvaluationError
from inspection.metrics import (
    TypeEscapes,
    aupro,
    escapes_per_type,
    image_auroc,
    overkill_at_zero_escape,
    pixel_auroc,
)


def slow_aupro(masks, maps, limit):
    """Every distinct value as a threshold, every region relabelled, trapezoid rule."""
    values = np.unique(np.concatenate([m.ravel() for m in maps]))[::-1]
    curve = [(0.0, 0.0)]
    for value in values:
        overlaps, false, negatives = [], 0, 0
        for mask, distances in zip(masks, maps, strict=True):
            count, regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
            overlaps += [np.mean(distances[regions == region] >= value) for region in range(1, count)]
            false += np.sum(distances[~mask] >= value)
            negatives += np.sum(~mask)
        curve.append((false / negatives, np.mean(overlaps)))
    x, y = np.array(curve).T
    keep = x <= limit
    return np.trapezoid(np.append(y[keep], np.interp(limit, x, y)), np.append(x[keep], limit)) / limit


SHAPE = (5, 6)
PICTURES = st.lists(
    st.tuples(
        hnp.arrays(bool, SHAPE, elements=st.booleans()),
        hnp.arrays(np.float32, SHAPE, elements=st.integers(0, 9).map(float)),
    ),
    min_size=1,
    max_size=3,
)


@given(pictures=PICTURES, limit=st.sampled_from([0.05, 0.3, 0.5, 1.0]))
@settings(max_examples=60)
def test_aupro_equals_the_slow_version(pictures, limit):
    """Ties, touching regions and all: the exact curve is the one written out."""
    masks, maps = [mask for mask, _ in pictures], [values for _, values in pictures]
    result = aupro(masks, maps, limit=limit)
    if not any(mask.any() for mask in masks) or all(mask.all() for mask in masks):
        assert result is None
    else:
        assert result == pytest.approx(slow_aupro(masks, maps, limit), abs=1e-9)


def test_aupro_counts_a_small_region_as_much_as_a_large_one():
    """By hand: a found region of 1 pixel and a missed one of 8 pixels overlap by one half on average."""
    mask = np.zeros((10, 10), bool)
    mask[0, 0] = True
    mask[5:7, 2:6] = True
    distances = np.where(mask, 0.0, 1.0)
    distances[0, 0] = 2.0
    assert aupro([mask], [distances]) == pytest.approx(0.5)
    assert aupro([mask], [np.where(mask, 2.0, 1.0)]) == pytest.approx(1.0)
    assert aupro([mask], [np.where(mask, 0.0, 1.0)]) == pytest.approx(0.0)


def test_aupro_of_a_flat_map_is_the_diagonal():
    """By hand: one threshold finds all or nothing, so up to 0.3 the mean of the diagonal is 0.15."""
    mask = np.zeros((10, 10), bool)
    mask[2:4, 2:4] = True
    assert aupro([mask], [np.ones((10, 10))]) == pytest.approx(0.15)


def test_diagonal_neighbours_are_one_region():
    """By hand: two pixels touching at a corner are one region, half found before any false positive."""
    mask = np.zeros((4, 4), bool)
    mask[0, 0] = mask[1, 1] = mask[3, 3] = True
    distances = np.zeros((4, 4))
    distances[0, 0] = 1.0
    distances[1, 1] = distances[3, 3] = -1.0
    assert aupro([mask], [distances]) == pytest.approx(0.25)  # (1/2 + 0) / 2; as three regions it would be 1/3


def test_good_images_count_for_false_positives():
    """An alarm on a good image costs, whether its mask is empty or None."""
    mask = np.zeros((4, 4), bool)
    mask[0, 0] = True
    found, alarm = np.where(mask, 1.0, 0.0), np.full((4, 4), 2.0)
    assert aupro([mask], [found]) == pytest.approx(1.0)
    with_none = aupro([mask, None], [found, alarm])
    assert with_none == aupro([mask, np.zeros((4, 4), np.uint8)], [found, alarm])
    assert with_none < 0.1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=1, max_size=50))
def test_image_auroc_equals_scikit_learn(parts):
    """With ties and without, the figure is the established one; with one class there is none."""
    labels, distances = [label for label, _ in parts], [float(value) for _, value in parts]
    if len(set(labels)) < 2:
        assert image_auroc(labels, distances) is None
    else:
        assert image_auroc(labels, distances) == pytest.approx(roc_auc_score(labels, distances))


def test_image_auroc_by_hand():
    """Of 4 pairs, 3 are in order: 0.75. Infinity is a distance like another."""
    assert image_auroc([0, 0, 1, 1], [1.0, 3.0, 2.0, np.inf]) == pytest.approx(0.75)


@given(PICTURES)
@settings(max_examples=30)
def test_pixel_auroc_equals_scikit_learn(pictures):
    """Over all pixels of all pictures, the figure is the established one."""
    masks, maps = [mask for mask, _ in pictures], [values for _, values in pictures]
    labels, values = np.concatenate(masks).ravel(), np.concatenate(maps).ravel()
    if labels.all() or not labels.any():
        assert pixel_auroc(masks, maps) is None
    else:
        assert pixel_auroc(masks, maps) == pytest.approx(roc_auc_score(labels, values))


def test_pictures_of_different_sizes_go_together():
    """Maps need not share one size."""
    small, large = np.eye(3, dtype=bool), np.eye(7, dtype=bool)
    assert pixel_auroc([small, large], [small * 1.0, large * 1.0]) == pytest.approx(1.0)


def test_a_night_of_large_maps_takes_seconds():
    """20 maps of 600 x 600 are done in well under the time that 200 relabelled thresholds would take."""
    rng = np.random.default_rng(0)
    maps = list(rng.random((20, 600, 600), dtype=np.float32))
    masks = [values > 0.99 for values in maps]
    start = time.perf_counter()
    assert aupro(masks, maps) == pytest.approx(1.0)
    assert time.perf_counter() - start < 10.0


def test_overkill_at_zero_escape_by_hand():
    """To catch the defect at 0.6, the good parts at 0.5 and 0.6 must go: 2 of 4."""
    assert overkill_at_zero_escape([0.5, 0.6, 0.7, 0.9], [0.1, 0.6]) == pytest.approx(0.5)
    assert overkill_at_zero_escape([0.5], []) is None
    assert overkill_at_zero_escape([], [0.5]) is None


def test_escapes_are_counted_per_type():
    """A part at the threshold passes; each type has its own count."""
    found = escapes_per_type(["scratch", "dent", "scratch"], [0.5, 0.2, 0.4], 0.5)
    assert found == {"dent": TypeEscapes(n=1, escaped=0), "scratch": TypeEscapes(n=2, escaped=1)}
    assert escapes_per_type([], [], 0.5) == {}


def test_what_does_not_fit_is_refused():
    """NaN, lengths, sizes and a limit out of range are typed errors."""
    mask, values = np.eye(3, dtype=bool), np.eye(3)
    with pytest.raises(EvaluationError, match="NaN"):
        image_auroc([0, 1], [0.5, np.nan])
    with pytest.raises(EvaluationError, match="2 labels"):
        image_auroc([0, 1], [0.5])
    with pytest.raises(EvaluationError, match="1 masks"):
        pixel_auroc([mask], [values, values])
    with pytest.raises(EvaluationError, match="resize"):
        pixel_auroc([mask], [np.ones((4, 4))])
    with pytest.raises(EvaluationError, match="limit"):
        aupro([mask], [values], limit=0.0)
    with pytest.raises(EvaluationError, match="1 types"):
        escapes_per_type(["dent"], [0.1, 0.2], 0.5)
    with pytest.raises(EvaluationError, match="NaN"):
        overkill_at_zero_escape([np.nan], [0.5])
