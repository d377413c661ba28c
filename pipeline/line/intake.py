"""Take in: frames come from the camera, each part gets its number, is written down and goes to be judged."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from datetime import UTC
from typing import TYPE_CHECKING, Final, Protocol

from inspection.errors import GoldentwinError
from pipeline.cameras import EndOfFramesError
from pipeline.cameras.reconnecting import CameraNews, ReconnectingCamera
from pipeline.line.admitted import Admitted
from pipeline.line.events import EventKind, Seldom
from pipeline.line.settings import Policy
from pipeline.records import SpooledPart

if TYPE_CHECKING:
    import queue
    from collections.abc import Callable, Sequence

    from pipeline.cameras import Camera, Shot
    from pipeline.line.judging import Judges
    from pipeline.line.pace import Pace
    from pipeline.line.settings import LineSettings
    from pipeline.line.status import LineStatus
    from pipeline.line.twofold_spool import TwofoldSpool

WHAT: Final = "camera"
_READ_SECONDS: Final = 0.2
_CAUGHT_UP: Final = 20  # frames in a row without a skip

logger = logging.getLogger(__name__)


class Gate(Protocol):
    """Finds the frames that are parts among those of a free-running camera."""

    def see(self, shot: Shot) -> Sequence[Shot]:
        """The parts that are certain now, after this frame."""

    def rest(self) -> Sequence[Shot]:
        """The parts that were still open when the frames ended."""


class Intake:
    """Reads the camera in a thread of its own, until it is stopped, the frames end or enough were taken in.

    Args:
        settings: the line's, with the policy for frames that come too fast.
        camera: what gives frames.
        spool: where parts are written down before anything else.
        judges: where they are judged.
        pace: tells whether another one would be judged in time.
        status: is told what happens.
        taken: gets every part, in order, judged or skipped.
        gate: finds the parts; None where every frame is one.
        identify: gives the part's id, from the frame or from outside; "" where it has none.
    """

    def __init__(  # noqa: PLR0913 - what an intake consists of, by name
        self,
        settings: LineSettings,
        camera: Camera,
        *,
        spool: TwofoldSpool,
        judges: Judges,
        pace: Pace,
        status: LineStatus,
        taken: queue.Queue[Admitted | None],
        most_in_hand: int,
        gate: Gate | None,
        identify: Callable[[Shot], str],
    ) -> None:
        self._settings, self._camera, self._spool = settings, ReconnectingCamera(camera), spool
        self._judges, self._pace, self._status, self._taken = judges, pace, status, taken
        self._gate, self._identify = gate, identify
        self._policy = settings.policy or (Policy.SKIP if camera.live else Policy.BLOCK)
        self._most_in_hand = most_in_hand
        self._in_hand = 0
        self._room = threading.Condition()
        self._without_skip = _CAUGHT_UP
        self._last_number: int | None = None
        self._missed = Seldom()
        self.problem: Exception | None = None
        self.ended = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="take in", daemon=True)

    @property
    def policy(self) -> Policy:
        """What happens when frames come faster than they can be judged."""
        return self._policy

    @property
    def aim(self) -> float | None:
        """The latency aimed at, in seconds: what was asked for, or what `skip` keeps to; None where frames wait."""
        asked = self._settings.latency_limit or self._settings.deadline
        return self._pace.limit if asked or self._policy is Policy.SKIP else None

    @property
    def alive(self) -> bool:
        """Whether frames are still taken in."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, *, seconds: float) -> None:
        """Take nothing more in and give the camera free."""
        self._stopping.set()
        with self._room:
            self._room.notify_all()
        self._thread.join(seconds)

    def has_left(self, one: Admitted) -> None:
        """A part that was to be judged is out of the judges' hands."""
        self._pace.took(time.monotonic() - one.at, behind=one.behind)
        with self._room:
            self._in_hand -= 1
            self._room.notify()

    def _run(self) -> None:
        try:
            self._read_on()
        except EndOfFramesError as end:
            self.ended = str(end)
        except GoldentwinError as error:  # says itself what to mend
            self.problem = error
        except Exception as error:
            logger.exception("frames can't be taken in")
            self.problem = error
        finally:
            with suppress(Exception):
                self._camera.close()
            self._take_in_rest()
            self._tell_of_missed(self._missed.rest())
            self._taken.put(None)

    def _take_in_rest(self) -> None:
        """The parts in view when the frames ended."""
        try:
            for shot in self._gate.rest() if self._gate is not None else ():
                if not self._has_enough():
                    self._take_in(shot, last=True)
        except Exception as error:
            logger.exception("the last parts can't be taken in")
            self.problem = self.problem or error

    def _read_on(self) -> None:
        self._camera.open()
        while not self._stopping.is_set():
            found = self._camera.read(_READ_SECONDS)
            if isinstance(found, CameraNews):
                self._hear(found)
            elif found is not None:
                self._status.is_up(WHAT, self._camera.name, back=EventKind.CAMERA_BACK)
                if self._enough(found):
                    return
            elif self._camera.up:
                self._status.is_up(WHAT, self._camera.name, back=EventKind.CAMERA_BACK)

    def _hear(self, news: CameraNews) -> None:
        if news.up:
            self._status.is_up(WHAT, self._camera.name, back=EventKind.CAMERA_BACK)
        else:
            self._status.is_down(WHAT, self._camera.name, news.said, lost=EventKind.CAMERA_LOST)

    def _enough(self, shot: Shot) -> bool:
        """Take in the parts that a frame shows; True once there are as many as were asked for."""
        self._count_missed(shot)
        for part in [shot] if self._gate is None else self._gate.see(shot):
            self._take_in(part)
            if self._has_enough():
                return True
        return False

    def _has_enough(self) -> bool:
        return self._settings.frames is not None and self._status.captured >= self._settings.frames

    def _take_in(self, shot: Shot, *, last: bool = False) -> None:
        if self._policy is Policy.BLOCK and not self._wait_for_room() and not last:
            return
        with self._room:
            in_hand = self._in_hand
        judged = self._policy is Policy.BLOCK or self._pace.has_room(in_hand, age=self._age(shot))
        self._note_skip(skipped=not judged, in_hand=in_hand)
        sequence = self._spool.next_sequence()
        stamp = f"{shot.captured_at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"
        frame = shot.frame or f"{self._settings.line}/{stamp}-{sequence}"
        part_id = shot.part_id or self._identify(shot) or f"{self._settings.line}-{sequence}"
        captured_at = shot.captured_at.isoformat(timespec="milliseconds")
        self._spool.admit(SpooledPart(sequence=sequence, frame=frame, part_id=part_id, captured_at=captured_at))
        self._status.took_in()
        if judged:
            with self._room:
                self._in_hand += 1
        future = self._judges.submit(shot) if judged else None
        self._taken.put(
            Admitted(sequence=sequence, frame=frame, part_id=part_id, shot=shot, future=future, behind=in_hand)
        )

    def _age(self, shot: Shot) -> float:
        """Seconds of the time allowed that are gone already. What a gate waited counts against a deadline alone."""
        if self._gate is not None and self._settings.deadline is None:
            return 0.0
        return time.monotonic() - shot.captured

    def _wait_for_room(self) -> bool:
        """Wait until another frame can be taken in hand; False where the line stops meanwhile: the frame waits on."""
        with self._room:
            while self._in_hand >= self._most_in_hand:
                if self._stopping.is_set():
                    return False
                self._room.wait(_READ_SECONDS)
        return not self._stopping.is_set()

    def _note_skip(self, *, skipped: bool, in_hand: int) -> None:
        if skipped:
            if self._without_skip >= _CAUGHT_UP:
                limit = 1000 * self._pace.limit
                said = f"frames come faster than they can be judged within {limit:.0f} ms; {in_hand} in hand"
                self._status.event(EventKind.SKIPPING, said)
            self._without_skip = 0
            return
        self._without_skip += 1
        if self._without_skip == _CAUGHT_UP:
            self._status.event(EventKind.CAUGHT_UP, f"{_CAUGHT_UP} frames in a row were judged")

    def _count_missed(self, shot: Shot) -> None:
        """Frames that the camera counted and that never came to us."""
        if shot.number is None:
            return
        gap = 0 if self._last_number is None else max(0, shot.number - self._last_number - 1)
        self._status.missed(gap)
        self._last_number = shot.number
        self._tell_of_missed(self._missed.count(gap))

    def _tell_of_missed(self, count: int) -> None:
        if count:
            which = "a frame" if count == 1 else f"{count} frames"
            self._status.event(EventKind.FRAMES_MISSED, f"{which} of {self._camera.name} never came")
