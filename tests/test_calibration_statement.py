"""Calibration: what input is refused, what the statement says, and the provisional calibration from goldens alone."""

import numpy as np
import pytest
from calibration_samples import BINDING, calibrate, spread
from hypothesis import given
from hypothesis import strategies as st

from inspection.calibration import (
    Policy,
    distance_of,
    provisional_calibration,
    similarity_of,
)
from inspection.errors import CalibrationError, InsufficientSampleError

# --- input ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -0.1, 1.5])
def test_scores_that_are_no_similarities_are_refused(wrong):
    """NaN and values outside [0, 1] are named with their place."""
    with pytest.raises(CalibrationError, match="of good parts, number 2, does not lie in 0 to 1"):
        calibrate([0.5, wrong, 0.7])
    with pytest.raises(CalibrationError, match="of defective parts, number 1"):
        calibrate([0.5], [wrong])


def test_arrays_of_another_shape_or_kind_are_refused():
    """A matrix and words are no list of similarities."""
    with pytest.raises(CalibrationError, match=r"shape \(1, 2\)"):
        calibrate([[0.5, 0.6]])
    with pytest.raises(CalibrationError, match="not numbers"):
        calibrate(["good"])


def test_no_good_parts_are_refused():
    """Every policy needs good parts."""
    with pytest.raises(InsufficientSampleError, match="no good parts"):
        calibrate([], [0.1, 0.2])


def test_equal_scores_of_good_parts_all_pass():
    """Ties at the bound are not flagged, and copies of one picture are warned of."""
    calibration = calibrate([0.8] * 40, max_overkill=0.1)
    assert 0.79 < calibration.threshold < 0.8
    assert calibration.overkill.events == 0
    assert any("copies of one picture" in warning for warning in calibration.warnings)


def test_equal_scores_of_both_classes_are_refused():
    """Where nothing tells good from defective no threshold is made up."""
    with pytest.raises(CalibrationError, match="does not tell good from defective"):
        calibrate([0.8] * 5, [0.8] * 5)


def test_good_parts_unlike_the_goldens_are_refused():
    """A threshold of 0 would pass anything."""
    with pytest.raises(CalibrationError, match="any part would pass"):
        calibrate([0.0] * 40, max_overkill=0.05)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"max_overkill": 0.0}, "no sample can prove 0 %"),
        ({"max_escape": 1.0}, "between 0 and 1"),
        ({"max_overkill": float("nan")}, "between 0 and 1"),
        ({"cost_escape": 1.0}, "belong together"),
        ({"cost_escape": 1.0, "cost_overkill": -1.0}, "above 0"),
        ({"cost_escape": 1.0, "cost_overkill": 1.0, "max_escape": 0.1}, "two different policies"),
    ],
)
def test_policies_that_make_no_sense_are_refused(wrong, reason):
    """A wish outside its range, or two that contradict each other, never becomes a policy."""
    with pytest.raises(CalibrationError, match=reason):
        Policy(**wrong)


# --- statement and provisional --------------------------------------------------------------------------------------


def test_statement_says_what_56_good_parts_prove():
    """The whole text for good parts alone, as a quality engineer reads it."""
    assert calibrate(spread(0.5, 0.9, 56), max_overkill=0.05).statement == (
        "Threshold 0.506 (distance 2.96): strictest with overkill at most 5 %. "
        "Overkill: proven from 56 good parts: on average at most 3.5 % of further good parts like these are flagged; "
        "in the sample 1.8 % (1 of 56; 95 % interval 0.045 % to 9.6 %). "
        "Escape: unknown, the sample has no defective parts."
    )


def test_few_defects_are_said_to_prove_little():
    """3 defective parts, all caught, still leave escape at up to 63.2 %."""
    calibration = calibrate(spread(0.5, 0.9, 56), [0.1, 0.2, 0.3], max_overkill=0.05)
    assert any("may be up to 63.2 %" in warning for warning in calibration.warnings)


def test_provisional_threshold_lies_a_quarter_beyond_the_farthest_golden():
    """Distances up to 2 give a threshold at distance 2.5, marked provisional, with the command to run."""
    calibration = provisional_calibration([similarity_of(d) for d in (0.4, 1.0, 2.0)], binding=BINDING)
    assert distance_of(calibration.threshold) == pytest.approx(2.5)
    assert calibration.provisional
    assert (calibration.good, calibration.overkill, calibration.escape) == (3, None, None)
    assert "Provisional" in calibration.statement
    assert "goldentwin calibrate PRODUCT --labelled DIR" in calibration.statement


def test_provisional_threshold_leaves_room_for_harmless_change():
    """Goldens that are all the same do not make every speck of noise a finding."""
    calibration = provisional_calibration([1.0] * 12, binding=BINDING)
    assert distance_of(calibration.threshold) == pytest.approx(1.25)


def test_provisional_calibration_refuses_what_says_nothing():
    """No scores, NaN and a golden unlike all others are typed errors."""
    with pytest.raises(InsufficientSampleError, match="goldentwin calibrate"):
        provisional_calibration([], binding=BINDING)
    with pytest.raises(CalibrationError, match="of goldens, number 1"):
        provisional_calibration([np.nan], binding=BINDING)
    with pytest.raises(CalibrationError, match="another part"):
        provisional_calibration([0.9, 0.0], binding=BINDING)


def test_goldens_that_differ_much_are_warned_of():
    """A provisional threshold that passes nearly anything names the likely cause."""
    (warning,) = provisional_calibration([0.9, 0.05], binding=BINDING).warnings
    assert "misplaced" in warning


@given(st.floats(1e-6, 1.0))
def test_distance_is_the_inverse_of_similarity(similarity):
    """The two scales convert into each other without loss that matters."""
    assert similarity_of(distance_of(similarity)) == pytest.approx(similarity, rel=1e-9)
