"""What every receiver of signals does: a broker, a web address, a PLC, a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from inspection.errors import GoldentwinError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.signals.message import Signal, StateReport


class SinkLostError(GoldentwinError):
    """The receiver does not answer; sending again later may help."""


class SignalRefusedError(GoldentwinError):
    """The receiver answers, and does not want this signal; sending it again does not help."""


@dataclass(frozen=True, kw_only=True)
class Acknowledgement:
    """The line's own word that it acted on a signal; `at` is `time.monotonic()` when it came, in seconds."""

    sequence: int
    at: float


class Sink(Protocol):
    """Takes signals in the order of their sequence, from one thread.

    After it was lost it is opened again. `name` is its address without secrets; `acknowledges` says whether the
    line is to confirm each signal (see `acknowledgements`).
    """

    @property
    def name(self) -> str:
        """Its address, without user names, passwords or tokens."""

    @property
    def acknowledges(self) -> bool:
        """Whether the line confirms what it was told."""

    def open(self) -> None:
        """Connect.

        Raises:
            SinkLostError: it does not answer; the message names what to do.
        """

    def last_sequence(self) -> int | None:
        """The sequence of the newest signal that the other side holds; None where it holds none or can't be asked.

        Asked once after a start: a process that was killed does not know whether its last signal came through.

        Raises:
            SinkLostError: it does not answer.
        """

    def send(self, signal: Signal) -> None:
        """Tell of one part; returns once the other side has it.

        Raises:
            SinkLostError: it does not answer; whether it has the signal is then unknown, and the same is sent again.
            SignalRefusedError: it does not take this signal; the next may go through.
        """

    def report(self, state: StateReport) -> None:
        """Tell how the inspection is.

        Raises:
            SinkLostError: it does not answer.
        """

    def acknowledgements(self) -> Sequence[Acknowledgement]:
        """What the line confirmed since it was last asked."""

    def close(self) -> None:
        """Disconnect; the other side then knows that nothing more comes. In any state, and twice."""
