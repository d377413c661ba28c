"""Signals into Python's log: for trying a line out, and where a collector of logs reads along."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pipeline.signals.address import checked_name
from pipeline.signals.farewell import farewell

if TYPE_CHECKING:
    from pipeline.signals.message import Signal, StateReport
    from pipeline.signals.sink import Acknowledgement

logger = logging.getLogger(__name__)


class LogSink:
    """Logs each signal at INFO, and the state where it changes: a heartbeat a second would drown the rest."""

    name = "log:"
    acknowledges = False

    def __init__(self, *, line: str) -> None:
        self.line = checked_name(line, "the name of a line")
        self._reported: StateReport | None = None

    def open(self) -> None:
        """Nothing to connect to."""

    def last_sequence(self) -> int | None:
        """None: a log can't be asked."""
        return None

    def send(self, signal: Signal) -> None:
        """Log it as one line of JSON."""
        logger.info("signal %s", signal.to_json())

    def report(self, state: StateReport) -> None:
        """Log it if it is another state than before."""
        if self._reported is None or self._reported.state is not state.state:
            logger.info("state %s", state.to_json())
        self._reported = state

    def acknowledgements(self) -> tuple[Acknowledgement, ...]:
        """None: a log confirms nothing."""
        return ()

    def close(self) -> None:
        """Log that nothing more comes."""
        last = farewell(self._reported)
        if last is not None:
            self.report(last)
        self._reported = None
