"""Calibration: where the threshold lies, by which policy, and what the labelled sample can prove."""

from inspection.calibration.calibrating import calibrate_scores, provisional_calibration
from inspection.calibration.document import Binding, Calibration
from inspection.calibration.policy import Policy
from inspection.calibration.rates import Rate, parse_percentage
from inspection.calibration.scale import distance_of, similarity_of
from inspection.calibration.thresholds import OperatingPoints, operating_points, rates_at

__all__ = [
    "Binding",
    "Calibration",
    "OperatingPoints",
    "Policy",
    "Rate",
    "calibrate_scores",
    "distance_of",
    "operating_points",
    "parse_percentage",
    "provisional_calibration",
    "rates_at",
    "similarity_of",
]
