"""Calibrating made-up similarities, for the tests of calibration."""

import numpy as np

from inspection.calibration import Binding, Policy, calibrate_scores

BINDING = Binding(encoder="e" * 12, reference_set="f" * 12, recipe="a" * 12)


def calibrate(good, defective=(), **policy):
    """Calibrate with the policy given by keyword."""
    return calibrate_scores(np.array(good), np.array(defective), policy=Policy(**policy), binding=BINDING)


def spread(low, high, n):
    """`n` different similarities."""
    return np.linspace(low, high, n)
