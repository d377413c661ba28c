"""A line for tests: a camera that gives drawn plates, a receiver that keeps what it was told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from drawn_night import PRODUCT, draw_part
from numpy.typing import NDArray

from pipeline.cameras import CameraLostError, EndOfFramesError, Shot
from pipeline.line.events import EventKind
from pipeline.line.line import Line, LineSummary
from pipeline.line.settings import LineSettings
from pipeline.records import LineEventRecords, VerdictRecords
from pipeline.signals import Acknowledgement, Signal, SinkLostError, StateReport
from pipeline.workspace import Workspace


def shot_of(image: NDArray | None, **others: object) -> Shot:
    """A shot taken now."""
    return Shot(image=image, captured_at=datetime.now(UTC), captured=time.monotonic(), **others)


@dataclass
class ListCamera:
    """Gives pictures one after the other, `every` seconds apart, then the end. None among them is a lost camera."""

    images: Sequence[NDArray | None]
    every: float = 0.0
    live: bool = False
    every_frame_a_part: bool = True
    name: str = "list:"
    opened: int = 0
    closed: int = 0
    _left: Iterator[tuple[int, NDArray | None]] | None = field(default=None, repr=False)

    def open(self) -> None:
        """Open."""
        self.opened += 1

    def read(self, seconds: float) -> Shot | None:
        """The next picture."""
        if self._left is None:
            self._left = iter(enumerate(self.images))
        time.sleep(min(self.every, seconds))
        number, image = next(self._left, (None, None))
        if number is None:
            message = "all pictures were given"
            raise EndOfFramesError(message)
        if image is None:
            message = "the camera was unplugged; plug it in again"
            raise CameraLostError(message)
        return shot_of(image, number=number if self.live else None)

    def close(self) -> None:
        """Close."""
        self.closed += 1


@dataclass
class ListSink:
    """Keeps signals and states; `away` makes it lost."""

    name: str = "list sink"
    signals: list[Signal] = field(default_factory=list)
    states: list[StateReport] = field(default_factory=list)
    away: bool = False
    holds: int | None = None
    acknowledges: bool = False
    acknowledged: list[Acknowledgement] = field(default_factory=list)

    def _check(self) -> None:
        if self.away:
            message = "the receiver is away; start it"
            raise SinkLostError(message)

    def open(self) -> None:
        """Open."""
        self._check()

    def last_sequence(self) -> int | None:
        """What it holds."""
        self._check()
        return self.signals[-1].sequence if self.signals else self.holds

    def send(self, signal: Signal) -> None:
        """Keep it."""
        self._check()
        self.signals.append(signal)

    def report(self, state: StateReport) -> None:
        """Keep it."""
        self._check()
        self.states.append(state)

    def acknowledgements(self) -> Sequence[Acknowledgement]:
        """What was confirmed."""
        heard, self.acknowledged = self.acknowledged, []
        return heard

    def close(self) -> None:
        """Close."""


def settings_of(workspace: Workspace, product: str, **others: object) -> LineSettings:
    """A line that neither watches nor reports, unless told otherwise."""
    return LineSettings(workspace=workspace, product=product, **{"watches": False, "reports": False, **others})


def run(
    workspace: Workspace,
    images: Sequence[NDArray | None],
    sink: ListSink | None = None,
    *,
    camera: ListCamera | None = None,
    before: Callable[[Line], None] = lambda _line: None,
    **others: object,
) -> tuple[LineSummary, ListSink]:
    """Run a line over pictures; what it came to, and the receiver."""
    sink = sink or ListSink()
    camera = camera or ListCamera(images)
    with Line(settings_of(workspace, PRODUCT, **others), camera, [sink]) as line:
        before(line)
        return line.run(), sink


def meanwhile(what: Callable[[Line], None]) -> Callable[[Line], None]:
    """Something that happens in a thread of its own while the line runs."""
    return lambda line: threading.Thread(target=what, args=[line], daemon=True).start()


def records(workspace: Workspace) -> list[dict]:
    """The recorded rows, in the order of their capture."""
    with VerdictRecords(workspace.records_url) as found:
        return found.rows(order="frame")


def events(workspace: Workspace) -> list[EventKind]:
    """The kinds of the recorded events."""
    with LineEventRecords(workspace.records_url) as found:
        return [event.kind for event in found.events("line1")]


def night(count: int, *, scratched_every: int = 4) -> list[NDArray]:
    """Drawn plates, some with a scratch."""
    return [draw_part(1000 + i, scratched=i % scratched_every == 0) for i in range(count)]
