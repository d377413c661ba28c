"""Inspect: frames become verdicts, in order, several at once."""

from __future__ import annotations

import logging
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from inspection.inspector import Inspector
from inspection.prepared import PreparedFrame
from inspection.verdicts import Judgement, Reason
from pipeline.frames import FrameVerdict
from pipeline.reading import Frame, FrameFile, read_frame
from pipeline.workspace import cores

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_AHEAD = 2  # frames in hand per worker
_BATCH_ON_CUDA = 16

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _InHand:
    """A frame on its way; on a GPU it still waits to be judged with others, since there batches pay."""

    frame: Frame
    prepared: PreparedFrame
    judgement: Judgement | None


def inspect_frames(
    inspector: Inspector, files: Iterable[FrameFile], *, keep_images: bool = False
) -> Iterator[FrameVerdict]:
    """Judge frame files and give their verdicts in the files' order.

    On a CPU every core takes a frame from the file to the verdict; on a GPU the cores read and register while
    batches are encoded and compared. Bad input raises nothing: it is CANNOT_INSPECT with the reason.

    Args:
        inspector: the product's and view's.
        files: what to judge.
        keep_images: hand the frames' pictures on, for evidence.
    """
    on_gpu = inspector.on_gpu
    at_once = _BATCH_ON_CUDA if on_gpu else 1
    workers = cores()
    with ThreadPoolExecutor(workers, thread_name_prefix="inspect") as pool:
        waiting: deque[Future[_InHand]] = deque()
        try:
            for file in files:
                waiting.append(pool.submit(_work_on, inspector, file, keep_image=keep_images, judge=not on_gpu))
                if len(waiting) >= max(_AHEAD * workers, 2 * at_once):
                    yield from _finish(inspector, waiting, at_once)
            while waiting:
                yield from _finish(inspector, waiting, at_once)
        finally:
            for future in waiting:
                future.cancel()


def _work_on(inspector: Inspector, file: FrameFile, *, keep_image: bool, judge: bool) -> _InHand:
    frame = read_frame(file)
    prepared = _prepared(inspector, frame)
    judgement = inspector.judge_prepared([prepared])[0] if judge else None
    shown = frame if keep_image else replace(frame, image=None)  # frames that wait need no second picture
    return _InHand(frame=shown, prepared=prepared, judgement=judgement)


def _prepared(inspector: Inspector, frame: Frame) -> PreparedFrame:
    if frame.image is None:
        return PreparedFrame(problem=frame.problem, milliseconds=0.0)
    try:
        return inspector.prepare(frame.image)
    except Exception as error:  # one frame must never stop a night
        logger.exception("%s could not be prepared", frame.frame)
        return PreparedFrame(problem=f"{Reason.UNREADABLE.value}: {error}", milliseconds=0.0)


def _finish(inspector: Inspector, waiting: deque[Future[_InHand]], at_once: int) -> Iterator[FrameVerdict]:
    ready = [waiting.popleft().result() for _ in range(min(at_once, len(waiting)))]
    judged = [item.judgement for item in ready if item.judgement is not None]
    judgements = judged or inspector.judge_prepared([item.prepared for item in ready])
    names = inspector.reference_set
    for item, judgement in zip(ready, judgements, strict=True):
        yield FrameVerdict(frame=item.frame, judgement=judgement, product=names.product, view=names.view)
