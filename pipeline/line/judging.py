"""Judge: frames in hand go to the inspector, several at once on a CPU, in batches that suit the latency on a GPU."""

from __future__ import annotations

import logging
import queue
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from typing import TYPE_CHECKING, Final

from inspection.prepared import PreparedFrame
from inspection.verdicts import Judgement, Reason
from pipeline.line.admitted import Judged, file_digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inspection.inspector import Inspector
    from pipeline.cameras import Shot
    from pipeline.line.pace import Pace

_LARGEST_BATCH: Final = 16
_BATCHES_IN_HAND: Final = 2
_LATENCY_SHARE: Final = 0.4  # of the limit that one batch on the GPU may take

logger = logging.getLogger(__name__)


class Judges:
    """Judges shots, each by itself: its verdict does not depend on what else is in hand.

    `inspector` may be replaced at any time; a frame is judged by the one that was there when a worker took it.
    """

    def __init__(self, inspector: Inspector, pace: Pace, *, workers: int) -> None:
        self.inspector = inspector
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="judge")
        self._batches = _Batches(pace) if inspector.on_gpu else None

    def submit(self, shot: Shot) -> Future[Judged]:
        """Begin to judge a shot."""
        if self._batches is None:
            return self._pool.submit(self._judge, shot)
        future: Future[Judged] = Future()
        self._pool.submit(self._prepare, shot, future)
        return future

    def close(self) -> None:
        """End the workers, after what they have in hand."""
        self._pool.shutdown(wait=True)
        if self._batches is not None:
            self._batches.close()

    def _judge(self, shot: Shot) -> Judged:
        inspector = self.inspector
        try:
            judgement = inspector.judge_prepared([prepared(inspector, shot)])[0]
        except Exception as error:
            logger.exception("a frame could not be compared")  # one frame must never stop a line
            judgement = not_compared(inspector, error)
        return Judged(judgement=judgement, sha256=file_digest(shot), done_at=time.monotonic())

    def _prepare(self, shot: Shot, future: Future[Judged]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        inspector = self.inspector
        try:
            waiting = _Waiting(inspector, prepared(inspector, shot), file_digest(shot), future)
        except BaseException as error:
            future.set_exception(error)  # whoever waits for it must hear of it
            raise
        if self._batches is not None:
            self._batches.put(waiting)


def prepared(inspector: Inspector, shot: Shot) -> PreparedFrame:
    """Quality gate and registration of a shot; a picture that is none has a problem and raises nothing."""
    if shot.image is None:
        return PreparedFrame(problem=f"{Reason.UNREADABLE.value}: {shot.problem}", milliseconds=0.0)
    try:
        return inspector.prepare(shot.image)
    except Exception as error:  # one frame must never stop a line
        logger.exception("a frame could not be prepared")
        return PreparedFrame(problem=f"{Reason.UNREADABLE.value}: {error}", milliseconds=0.0)


def not_compared(inspector: Inspector, error: Exception) -> Judgement:
    """CANNOT_INSPECT for a frame whose comparison failed."""
    return Judgement.refused(f"{Reason.NOT_COMPARED.value}: {error}", inspector.provenance)


class _Waiting:
    """A prepared frame that waits for its batch."""

    def __init__(self, inspector: Inspector, frame: PreparedFrame, sha256: str, future: Future[Judged]) -> None:
        self.inspector, self.frame, self.sha256, self.future = inspector, frame, sha256, future


class _Batches:
    """Forms batches for the GPU of whatever waits while it works, as large as the latency limit lets them be.

    Two are in hand at a time, each on a stream of its own: while one is computed, the other is copied there or
    decided here.
    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._waiting: queue.Queue[_Waiting | None] = queue.Queue()
        self._most = 1
        self._threads = [
            threading.Thread(target=self._run, name=f"gpu-batches-{number}", daemon=True)
            for number in range(_BATCHES_IN_HAND)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, waiting: _Waiting) -> None:
        self._waiting.put(waiting)

    def close(self) -> None:
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first, *self._more()]
            self._judge(batch)

    def _more(self) -> Iterator[_Waiting]:
        """What waits besides the first, up to the largest batch."""
        for _ in range(self._most - 1):
            try:
                another = self._waiting.get_nowait()
            except queue.Empty:
                return
            if another is None:
                self._waiting.put(None)  # this thread reads it again when it asks for its next batch
                return
            yield another

    def _judge(self, batch: list[_Waiting]) -> None:
        """Judge frames together that were prepared by the same inspector; it may just have been replaced."""
        for inspector, items in groupby(batch, key=lambda item: item.inspector):
            self._judge_by(inspector, list(items))

    def _judge_by(self, inspector: Inspector, batch: list[_Waiting]) -> None:
        started = time.monotonic()
        try:
            judgements = inspector.judge_prepared([item.frame for item in batch])
        except Exception as error:
            logger.exception("frames could not be compared")  # they must never stop a line
            judgements = [not_compared(inspector, error)] * len(batch)
        now = time.monotonic()
        self._adapt(now - started, len(batch))
        for item, judgement in zip(batch, judgements, strict=True):
            item.future.set_result(Judged(judgement=judgement, sha256=item.sha256, done_at=now))

    def _adapt(self, seconds: float, size: int) -> None:
        """Halve the largest batch where one took too long, and let it grow by one where it was full and quick."""
        if seconds > _LATENCY_SHARE * self._pace.limit:
            self._most = max(1, size // 2)
        elif size == self._most:
            self._most = min(_LARGEST_BATCH, self._most + 1)
