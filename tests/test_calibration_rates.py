"""Rates, bounds, sample sizes and percentages: what a count of parts can say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from inspection.calibration import Rate, parse_percentage
from inspection.calibration.rates import (
    conformal_rank,
    defective_parts_needed,
    good_parts_needed,
    percent,
    upper_bound,
)
from inspection.errors import CalibrationError, InsufficientSampleError

COUNTS = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS)
def test_interval_is_clopper_pearson(counts):
    """The interval equals the exact one of scipy's binomial test."""
    events, n = counts
    expected = binomtest(events, n).proportion_ci(0.95, method="exact")
    rate = Rate.of(events, n)
    assert (rate.low, rate.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert (rate.rate, rate.events) == (events / n, events)


@given(COUNTS)
def test_upper_bound_is_the_one_sided_interval(counts):
    """The one-sided bound equals the upper end of scipy's one-sided exact interval."""
    events, n = counts
    expected = binomtest(events, n, alternative="less").proportion_ci(0.95, method="exact")
    assert upper_bound(events, n) == pytest.approx(expected.high, abs=1e-9)


def test_known_interval_in_words():
    """2 of 56 reads with its textbook interval."""
    assert str(Rate.of(2, 56)) == "3.6 % (2 of 56; 95 % interval 0.4 % to 12.3 %)"


def test_rate_of_no_parts_is_refused():
    """A rate of nothing is an error and not 0 %."""
    with pytest.raises(InsufficientSampleError, match="at least 1"):
        Rate.of(0, 0)


@pytest.mark.parametrize("events", [-1, 4])
def test_impossible_count_is_refused(events):
    """More events than parts, or fewer than none, are errors."""
    with pytest.raises(CalibrationError, match="of 3 parts"):
        Rate.of(events, 3)


@pytest.mark.parametrize(("limit", "needed"), [(0.005, 598), (0.01, 299), (0.05, 59), (0.5, 5)])
def test_defective_parts_needed(limit, needed):
    """The numbers are those of the rule of three's exact form, and one part fewer would not do."""
    assert defective_parts_needed(limit) == needed
    assert upper_bound(0, needed) <= limit < upper_bound(0, needed - 1)


@pytest.mark.parametrize(("limit", "needed"), [(0.05, 19), (0.01, 99), (0.3, 3), (0.29, 3), (0.5, 1), (0.9, 1)])
def test_good_parts_needed(limit, needed):
    """One good part fewer than the number named has no conformal bound."""
    assert good_parts_needed(limit) == needed
    assert conformal_rank(needed, limit) >= 1
    assert needed == 1 or conformal_rank(needed - 1, limit) == 0


def test_conformal_rank_does_not_lose_a_part_to_rounding():
    """100 * 0.29 is 28.999999999999996 in floating point and still means 29."""
    assert conformal_rank(99, 0.29) == 29


@pytest.mark.parametrize(
    ("text", "share"),
    [("1%", 0.01), ("0.5 %", 0.005), ("0.01", 0.01), (" 5% ", 0.05), ("100%", 1.0), (".5%", 0.005), ("0", 0.0)],
)
def test_percentages_and_shares_are_read(text, share):
    """Percentages with and without a space, and bare shares, are understood."""
    assert parse_percentage(text) == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("", "write it like"),
        ("few", "write it like"),
        ("0,5%", "write it like"),
        ("-1%", "write it like"),
        ("nan", "write it like"),
        ("1e-2", "write it like"),
        ("5", "write 5% or"),
        ("1", "write 1% or"),
        ("101%", "more than 100 %"),
    ],
)
def test_unclear_percentages_are_refused(text, remedy):
    """What is no percentage, or could mean two things, is refused with what to write instead."""
    with pytest.raises(CalibrationError, match=remedy):
        parse_percentage(text)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (1.0, "100 %"), (0.1, "10 %"), (0.0356, "3.6 %"), (0.005, "0.5 %"), (0.00042, "0.042 %")],
)
def test_percentages_are_written_short(share, text):
    """One decimal is enough, but small shares do not shrink to 0 %."""
    assert percent(share) == text


def test_an_estimated_rate_tells_no_count_that_nobody_counted():
    """Parts that stand for others give 1.4 % of 15 reviewed ones: that is 0 of 15 nowhere."""
    estimated = Rate(rate=0.014, low=0.014, high=0.019, n=15)
    assert str(estimated) == "1.4 % (estimated from 15 parts; 95 % interval 1.4 % to 1.9 %)"
    assert "2 of 56" in str(Rate.of(2, 56))
