"""Signals: what the line is told of each part, and of the inspection itself."""

from pipeline.signals.message import LineState, Signal, StateReport
from pipeline.signals.sink import Acknowledgement, Sink, SinkLostError

__all__ = ["Acknowledgement", "LineState", "Signal", "Sink", "SinkLostError", "StateReport"]
