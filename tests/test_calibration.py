"""Calibration by policy: which threshold, what is proven, what is refused."""

import numpy as np
import pytest
from calibration_samples import calibrate, spread
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.calibration import (
    distance_of,
    operating_points,
    rates_at,
    similarity_of,
)
from inspection.errors import CalibrationError, InsufficientSampleError

SIMILARITIES = st.lists(st.floats(0.01, 1.0), min_size=1, max_size=60)


# --- max_overkill ---------------------------------------------------------------------------------------------------


def test_good_parts_alone_sit_at_the_conformal_bound():
    """56 good parts and 5 %: the 2nd least similar still passes, so 1 is flagged, and no escape is given away."""
    good = spread(0.5, 0.9, 56)
    calibration = calibrate(good, max_overkill=0.05)
    assert good[1] - 1e-3 <= calibration.threshold < good[1]
    assert (calibration.overkill.events, calibration.escape) == (1, None)


@given(n=st.integers(19, 120), limit=st.sampled_from([0.05, 0.1, 0.25]), seed=st.integers(0, 10**6))
@settings(max_examples=20)
def test_future_overkill_stays_below_the_limit_on_average(n, limit, seed):
    """Over many samples, the mean share of further good parts that are flagged stays below the wish."""
    rng = np.random.default_rng(seed)
    shares = []
    for _ in range(200):
        good = rng.beta(8, 2, n).round(2) if seed % 2 else rng.beta(8, 2, n)  # with ties, and without
        threshold = calibrate(good, max_overkill=limit).threshold
        future = rng.beta(8, 2, 500).round(2) if seed % 2 else rng.beta(8, 2, 500)
        shares.append(np.mean(future < threshold))
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) <= limit + 4 * error


@given(good=SIMILARITIES, defective=SIMILARITIES, limit=st.floats(0.02, 0.9))
def test_overkill_in_the_sample_never_exceeds_the_limit(good, defective, limit):
    """Whatever the scores, the threshold flags no more good parts of the sample than wished."""
    try:
        calibration = calibrate(good, defective, max_overkill=limit)
    except InsufficientSampleError:
        assert (len(good) + 1) * limit < 1
        return
    assert calibration.overkill.rate <= limit


@given(good=st.lists(st.floats(0.01, 1.0), min_size=20, max_size=60), limits=st.tuples(*[st.floats(0.05, 0.9)] * 2))
def test_more_overkill_allowed_means_a_threshold_no_lower(good, limits):
    """Loosening the limit never lowers the threshold."""
    strict, loose = sorted(limits)
    assert calibrate(good, max_overkill=strict).threshold <= calibrate(good, max_overkill=loose).threshold


def test_too_few_good_parts_are_refused_with_the_number_needed():
    """18 good parts can't prove 5 %; 19 can."""
    with pytest.raises(InsufficientSampleError, match=r"18 good parts can't prove .* 5 %: 19 good parts are needed"):
        calibrate(spread(0.5, 0.9, 18), max_overkill=0.05)
    assert calibrate(spread(0.5, 0.9, 19), max_overkill=0.05).overkill.events == 0


def test_known_defects_pull_the_threshold_into_the_gap():
    """With the classes apart, the threshold lies well inside the gap and nothing is flagged or missed."""
    good, defective = spread(0.8, 0.95, 40), spread(0.02, 0.2, 10)
    calibration = calibrate(good, defective, max_overkill=0.05)
    assert similarity_of(distance_of(0.2) * 0.9) < calibration.threshold < similarity_of(distance_of(0.8) * 1.1)
    assert (calibration.overkill.events, calibration.escape.events) == (0, 0)


def test_an_obvious_defect_does_not_pull_the_threshold_to_the_middle():
    """Between distances 1 and 50 the threshold stays near 9, where fainter defects are still caught."""
    calibration = calibrate([similarity_of(1.0)] * 40, [similarity_of(50.0)], max_overkill=0.05)
    assert distance_of(calibration.threshold) == pytest.approx(np.sqrt(2 * 51) - 1)


@given(good=st.lists(st.floats(0.01, 1.0), min_size=20, max_size=60), defective=SIMILARITIES)
def test_no_threshold_within_the_limit_misses_fewer(good, defective):
    """Known defects choose the threshold with the least escape of those that the bound allows."""
    calibration = calibrate(good, defective, max_overkill=0.1)
    bound = calibrate(good, max_overkill=0.1).threshold
    missed_at_bound = rates_at(bound, good, defective)[1].events
    assert calibration.escape.events <= missed_at_bound


def test_defects_among_the_good_parts_are_said_to_pass():
    """Where every defective part passes under the limit, a warning says so."""
    calibration = calibrate(spread(0.3, 0.5, 40), spread(0.6, 0.9, 40), max_overkill=0.05)
    assert any("no defective part is caught" in warning for warning in calibration.warnings)


# --- max_escape -----------------------------------------------------------------------------------------------------


def test_three_defects_cannot_show_half_a_percent():
    """The refusal names 598 defective parts and what 3 can prove."""
    with pytest.raises(InsufficientSampleError, match=r"598 defective parts are needed.* 3 can prove is 63.2 %"):
        calibrate(spread(0.8, 0.9, 50), [0.1, 0.2, 0.3], max_escape=0.005)


def test_no_defects_cannot_show_any_escape():
    """Without defective parts an escape limit is refused, not fulfilled by default."""
    with pytest.raises(InsufficientSampleError, match="59 defective parts are needed"):
        calibrate(spread(0.8, 0.9, 50), max_escape=0.05)


def test_escape_limit_is_proven_with_the_least_overkill():
    """93 defective parts prove 5 % with 1 escaping; that one is given up to spare the good parts below it."""
    defective = np.append(spread(0.05, 0.3, 92), 0.85)
    calibration = calibrate(spread(0.5, 0.95, 60), defective, max_escape=0.05)
    assert (calibration.overkill.events, calibration.escape.events) == (0, 1)
    assert 0.3 < calibration.threshold < 0.5
    assert "with 95 % confidence: at most 5 % of defective parts like these pass" in calibration.statement


@given(defective=st.lists(st.floats(0.01, 0.99), min_size=30, max_size=80), good=SIMILARITIES)
def test_an_escape_limit_that_is_given_is_proven(defective, good):
    """Either the one-sided bound holds, or the overlap is refused."""
    try:
        calibration = calibrate(good, defective, max_escape=0.1)
    except CalibrationError as error:
        assert "overlap too much" in str(error)  # noqa: PT017 - a refusal is one of two right outcomes
        return
    assert 1 - 0.05 ** (1 / calibration.defective) <= 0.1
    assert calibration.escape.low <= 0.1
    assert calibration.overkill.events < calibration.good


def test_future_escape_stays_below_the_limit_with_the_stated_confidence():
    """Over many samples, the true escape of the chosen threshold exceeds the limit in about 5 % of them at most."""
    rng = np.random.default_rng(7)
    thresholds = [calibrate([1.0], np.clip(rng.random(100), 0.0, 0.999), max_escape=0.05).threshold for _ in range(400)]
    escapes = 1.0 - np.array(thresholds)  # of defective similarities that are uniform in [0, 1]
    assert np.mean(escapes > 0.05) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 400)


def test_overlap_is_refused_with_the_best_in_reach():
    """Enough defective parts, but as similar as the good ones: another refusal, naming what is reachable."""
    with pytest.raises(CalibrationError, match=r"overlap too much.* 60 of 60 defective parts escape") as refusal:
        calibrate(spread(0.2, 0.4, 60), spread(0.6, 0.9, 60), max_escape=0.05)
    assert not isinstance(refusal.value, InsufficientSampleError)


# --- both, cost, none -----------------------------------------------------------------------------------------------


def test_both_wishes_are_met_when_the_classes_allow():
    """A clear gap meets both limits, and both proofs are stated."""
    calibration = calibrate(spread(0.7, 0.9, 40), spread(0.1, 0.3, 80), max_overkill=0.05, max_escape=0.05)
    assert 0.3 < calibration.threshold < 0.7
    assert "Overkill: proven from 40 good parts" in calibration.statement
    assert "Escape: proven from 80 defective parts" in calibration.statement


def test_wishes_that_exclude_each_other_are_refused_with_the_tradeoff():
    """The refusal says what each wish costs in terms of the other."""
    with pytest.raises(CalibrationError, match=r"can't both be met.* escape, which proves .* good parts are flagged"):
        calibrate(spread(0.4, 0.9, 60), spread(0.1, 0.8, 80), max_overkill=0.05, max_escape=0.05)


def test_both_wishes_name_the_sample_that_is_too_small():
    """Each of the two proofs needs its own number of parts."""
    with pytest.raises(InsufficientSampleError, match="19 good parts"):
        calibrate(spread(0.7, 0.9, 10), spread(0.1, 0.3, 80), max_overkill=0.05, max_escape=0.05)
    with pytest.raises(InsufficientSampleError, match="59 defective parts"):
        calibrate(spread(0.7, 0.9, 40), spread(0.1, 0.3, 8), max_overkill=0.05, max_escape=0.05)


@given(good=SIMILARITIES, defective=SIMILARITIES, cost=st.floats(0.1, 100.0))
def test_no_threshold_costs_less(good, defective, cost):
    """The chosen threshold costs no more over the sample than any other threshold in [0, 1]."""
    calibration = calibrate(good, defective, cost_escape=cost, cost_overkill=1.0)
    points = operating_points(good, defective)
    reachable = points.thresholds <= 1.0
    least = np.min((cost * points.missed + points.flagged)[reachable])
    assert cost * calibration.escape.events + calibration.overkill.events == pytest.approx(least)


@given(good=SIMILARITIES, defective=SIMILARITIES)
def test_dearer_escapes_never_mean_more_of_them(good, defective):
    """Raising the cost of an escape never lets more parts escape."""
    cheap, dear = (calibrate(good, defective, cost_escape=cost, cost_overkill=1.0) for cost in (1.0, 10.0))
    assert dear.escape.events <= cheap.escape.events


def test_costs_need_defective_parts():
    """Without a defective part there is no escape to weigh."""
    with pytest.raises(InsufficientSampleError, match="at least 1 is needed"):
        calibrate([0.9] * 30, cost_escape=100.0, cost_overkill=1.0)


def test_by_default_defects_give_the_best_f1():
    """By hand: flagging below 0.5 catches 3 of 4 with no overkill, F1 6/7; catching the last would flag 3 good ones."""
    calibration = calibrate([0.5, 0.6, 0.7, 0.9], [0.1, 0.2, 0.3, 0.8])
    assert 0.3 < calibration.threshold < 0.5
    assert (calibration.overkill.events, calibration.escape.events) == (0, 1)


@given(good=SIMILARITIES, defective=SIMILARITIES)
def test_default_flags_something_and_passes_something(good, defective):
    """The default never flags all good parts nor passes all defective ones; it refuses instead."""
    try:
        calibration = calibrate(good, defective)
    except CalibrationError as error:
        assert "does not tell good from defective" in str(error)  # noqa: PT017 - a refusal is one of two right outcomes
        assert min(defective) >= max(good)
        return
    assert calibration.overkill.events < len(good)
    assert calibration.escape.events < len(defective)


def test_by_default_good_parts_alone_give_one_percent():
    """99 good parts prove 1 %, so nothing is warned of."""
    calibration = calibrate(spread(0.5, 0.9, 99))
    assert "overkill at most 1 %" in calibration.statement
    assert calibration.warnings == ()


def test_by_default_few_good_parts_give_what_they_can_prove():
    """9 good parts prove 10 %; the warning says so and names 99 parts for 1 %."""
    calibration = calibrate(spread(0.5, 0.9, 9))
    assert "overkill at most 10 %" in calibration.statement
    assert "99 good parts" in calibration.warnings[0]
