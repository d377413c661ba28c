"""A line: intake, judges, decider, tellers and recorder at work together, and whoever looks after them."""

from __future__ import annotations

import logging
import queue
import sys
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipeline.line.admitted import Admitted, Decided, interrupted
from pipeline.line.caretaker import Caretaker
from pipeline.line.deciding import Decider, batch_of
from pipeline.line.events import EventKind
from pipeline.line.intake import Intake
from pipeline.line.judging import Judges
from pipeline.line.lateness import Lateness
from pipeline.line.pace import Pace
from pipeline.line.readying import alone, leave_behind, open_judge, remembered_as, seconds_a_frame, spool_file
from pipeline.line.recording import Recorder
from pipeline.line.status import LineStatus
from pipeline.line.telling import WHAT as SIGNAL
from pipeline.line.telling import Teller
from pipeline.line.twofold_spool import TwofoldSpool
from pipeline.signals import LineState
from pipeline.workspace import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from inspection.inspector import Inspector
    from pipeline.cameras import Camera, Shot
    from pipeline.line.intake import Gate
    from pipeline.line.settings import LineSettings
    from pipeline.line.snapshot import LineSnapshot
    from pipeline.signals import Signal, Sink

_TICK_SECONDS: Final = 0.25
_MOST_TELLING: Final = 64
_SWITCH_SECONDS: Final = 0.0005  # a judge that wants Python back must not wait 5 ms each time for the recorder
_CAMERA_SECONDS: Final = 10.0
_DECIDE_SECONDS: Final = 30.0
_TELL_SECONDS: Final = 10.0
_RECORD_SECONDS: Final = 60.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LineSummary:
    """What a run of a line came to: `complete` where every part was told and recorded; `ended` says why it ended."""

    snapshot: LineSnapshot
    ended: str
    complete: bool


class Line:
    """One line of one product, to be used in a `with` block; `run` in it returns when the line ends.

    Args:
        settings: what is asked of it.
        camera: what gives frames.
        sinks: who is told; the first is the one that acts, and whose latency counts.
        gate: finds the parts in a free-running video; None where every frame is one.
        identify: gives a part's id; "" where it has none.

    Raises:
        NotEnrolledError: the product and view have no goldens.
        CalibrationError: there is no calibration, so that no part could pass.
        StreamError: another process runs a line of this name in the same home.
        RecordsError: the spool can't be used.
    """

    def __init__(
        self,
        settings: LineSettings,
        camera: Camera,
        sinks: Sequence[Sink],
        *,
        gate: Gate | None = None,
        identify: Callable[[Shot], str] = lambda _shot: "",
    ) -> None:
        self.settings = settings
        inspector = open_judge(settings)
        self._alone = alone(settings)
        workers = settings.workers or cores()
        self._pace = Pace(
            single=seconds_a_frame(inspector), workers=workers, limit=settings.latency_limit or settings.deadline
        )
        names = [sink.name for sink in sinks]
        self._spool = TwofoldSpool(spool_file(settings), sinks=names, remember_as=remembered_as(settings, camera))
        self._taken: queue.Queue[Admitted | None] = queue.Queue()
        self._telling: OrderedDict[int, Decided] = OrderedDict()
        self._judges = Judges(inspector, self._pace, workers=workers)
        self.status = LineStatus(settings)
        self._intake = Intake(
            settings,
            camera,
            spool=self._spool,
            judges=self._judges,
            pace=self._pace,
            status=self.status,
            taken=self._taken,
            most_in_hand=2 * workers,
            gate=gate,
            identify=identify,
        )
        self.status.policy = self._intake.policy.value
        self.status.judged_by(inspector, limit=self._intake.aim)
        self._recorder = Recorder(settings, self._spool, self.status, inspector)
        self._lateness = Lateness(settings.deadline)
        self._tellers = self._make_tellers(sinks)
        self._decider = Decider(
            settings,
            pace=self._pace,
            spool=self._spool,
            judges=self._judges,
            status=self.status,
            taken=self._taken,
            can_tell=lambda: not sinks or self.status.up(SIGNAL, sinks[0].name),
            on_deciding=self._is_deciding,
            on_decided=self._has_decided,
            has_left=self._intake.has_left,
        )
        self._caretaker = Caretaker(settings, self.status, self._spool, self._use)
        self._stopped = False  # no Event: a signal handler that sets one may find its lock held by what it interrupts
        self._why = ""

    def __enter__(self) -> Self:
        """The line itself, not yet running."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give everything free."""
        self._judges.close()
        self._spool.close()
        self._alone.release()

    def snapshot(self) -> LineSnapshot:
        """The line at this moment; from any thread."""
        return self.status.snapshot()

    @property
    def on_gpu(self) -> bool:
        """Whether it judges on a GPU."""
        return self._judges.inspector.on_gpu

    @property
    def golden(self) -> NDArray[np.uint8]:
        """The first golden, (H, W, 3) RGB uint8, to show beside frames."""
        return self._judges.inspector.first_golden

    def stop(self, why: str) -> None:
        """Let the line end; from any thread, or a signal handler."""
        self._why = self._why or why
        self._stopped = True

    def run(self, watcher: Callable[[LineSnapshot], None] | None = None) -> LineSummary:
        """Run until the line is stopped, its frames end, or as many were taken in as were asked for.

        Args:
            watcher: is called some times a second, in the caller's thread.

        Raises:
            RecordsError, GoldentwinError: what the line can't go on without; parts and state were told before.
        """
        settings = self.settings
        sys.setswitchinterval(_SWITCH_SECONDS)
        self.status.event(EventKind.STARTED, f"{settings.product}/{settings.view} by {self._policy}")
        self._recorder.start()
        for teller in self._tellers:
            teller.start()
        self._decider.start()
        started = time.monotonic()
        try:
            self._recover()
            self._intake.start()
            while not self._over(started):
                self._caretaker.look_after()
                self._look_alive()
                self.status.telling_waits(self._spool.untold())
                if watcher is not None:
                    watcher(self.snapshot())
                time.sleep(_TICK_SECONDS)
        except BaseException as error:
            self._why = self._why or str(error) or type(error).__name__
            raise
        finally:
            complete = self._end(watcher)
        if problem := self._intake.problem or self._decider.problem:
            raise problem
        return LineSummary(snapshot=self.snapshot(), ended=self._why, complete=complete)

    @property
    def _policy(self) -> str:
        aim = self._intake.aim
        return f"policy {self.status.policy}{'' if aim is None else f', {1000 * aim:.0f} ms aimed at'}"

    def _over(self, started: float) -> bool:
        if self._stopped:
            return True
        if self.settings.seconds is not None and time.monotonic() - started >= self.settings.seconds:
            self._why = f"{self.settings.seconds:.0f} s are over"
            return True
        if not self._intake.alive or not self._decider.alive:
            problem = self._intake.problem or self._decider.problem
            self._why = str(problem) if problem else self._intake.ended or f"{self.status.captured} frames taken in"
            return True
        return False

    def _end(self, watcher: Callable[[LineSnapshot], None] | None) -> bool:
        """Camera first, then what is in hand is judged, told and recorded; whether all of it could be."""
        self._intake.stop(seconds=_CAMERA_SECONDS)
        self._decider.join(_DECIDE_SECONDS)
        failed = self._intake.problem or self._decider.problem or self._decider.alive
        state = LineState.LOST if failed else LineState.STOPPED
        self.status.state(state)
        self.status.event(EventKind.STOPPED, self._why)
        told = [teller.stop(state, self._why, seconds=_TELL_SECONDS) for teller in self._tellers]
        recorded = self._recorder.stop(seconds=_RECORD_SECONDS)
        self.status.telling_waits(self._spool.untold())
        if watcher is not None:
            watcher(self.snapshot())  # the report may take longer than whoever ends us waits
        self._caretaker.close(report=True)
        return all(told) and recorded and not failed

    def _look_alive(self) -> None:
        """A frame that is not decided for long shows that something hangs: then the line is told that it is lost."""
        since = self._decider.working_since
        hangs = since is not None and time.monotonic() - since > _DECIDE_SECONDS
        state = LineState.LOST if hangs else LineState.RUNNING
        self.status.state(state)
        for teller in self._tellers:
            teller.state(state, "a frame has had no verdict for half a minute" if hangs else "")

    def _make_tellers(self, sinks: Sequence[Sink]) -> list[Teller]:
        """One a receiver."""
        highest_before = self._spool.next_sequence() - 1
        leave_behind(self._spool, sinks)
        return [
            Teller(
                sink,
                self._spool,
                self.status,
                line=self.settings.line,
                highest_before=highest_before,
                is_late=self._lateness.is_late,
                on_told=self._has_told if number == 0 else lambda _signal: None,
                acknowledge_seconds=self.settings.acknowledge_seconds,
            )
            for number, sink in enumerate(sinks)
        ]

    def _recover(self) -> None:
        """Parts that an earlier run took in and was killed over get their last word: not inspected."""
        left = self._spool.undecided()
        for part in left:
            batch = batch_of(self.settings, part.captured_at)
            self._decider.keep(interrupted(self.settings, part, self._judges.inspector.provenance, batch=batch))
        if left:
            which = "a part was" if len(left) == 1 else f"{len(left)} parts were"
            self.status.event(EventKind.RECOVERED, f"{which} in hand when the line was killed")

    def _is_deciding(self, one: Decided) -> None:
        """Lay ready what tellers and recorder want beside the spool, before they find the part there."""
        self._telling[one.signal.sequence] = one
        while len(self._telling) > _MOST_TELLING:  # nobody is there to be told: the spool has them all
            self._telling.popitem(last=False)
        self._lateness.note(one)
        self._recorder.put(one)

    def _has_decided(self, one: Decided) -> None:
        for teller in self._tellers:
            teller.wake()
        if not self._tellers:
            self._has_told(one.signal)

    def _has_told(self, signal: Signal) -> None:
        one = self._telling.pop(signal.sequence, None)
        if one is not None and all(one.at >= teller.there_since for teller in self._tellers[:1]):
            self._pace.told(time.monotonic() - one.at)  # what waited for a receiver that was away tells nothing of it
        self.status.has_told(signal, one)

    def _use(self, inspector: Inspector) -> None:
        """Judge by another inspector from the next frame on: goldens, recipe or calibration have changed."""
        self._judges.inspector = self._recorder.inspector = inspector
        self.status.judged_by(inspector, limit=self._intake.aim)
