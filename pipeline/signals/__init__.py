"""Signals: what the line is told of each part, and of the inspection itself."""

from pipeline.signals.message import LineState, Signal, StateReport
from pipeline.signals.opening import open_sink
from pipeline.signals.sink import Acknowledgement, SignalRefusedError, Sink, SinkLostError

__all__ = [
    "Acknowledgement",
    "LineState",
    "Signal",
    "SignalRefusedError",
    "Sink",
    "SinkLostError",
    "StateReport",
    "open_sink",
]
