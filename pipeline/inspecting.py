"""Inspect: frames become verdicts, in order, while the next ones are already read and registered."""

from __future__ import annotations

import logging
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from inspection.inspector import Inspector, PreparedFrame
from inspection.verdicts import Reason
from pipeline.frames import FrameVerdict
from pipeline.reading import Frame, FrameFile, read_frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_READERS = 2
_AHEAD = 4
_BATCH_ON_CUDA = 16

logger = logging.getLogger(__name__)


def inspect_frames(
    inspector: Inspector, files: Iterable[FrameFile], *, keep_images: bool = False
) -> Iterator[FrameVerdict]:
    """Judge frame files one after the other, in their order.

    Reading, decoding and registration of the next frames overlap with encoding and comparison of this one. Bad input
    raises nothing: it is CANNOT_INSPECT with the reason.

    Args:
        inspector: the product's and view's.
        files: what to judge.
        keep_images: hand the frames' pictures on, for evidence.
    """
    at_once = _BATCH_ON_CUDA if inspector.engine == "cuda" else 1
    with ThreadPoolExecutor(_READERS, thread_name_prefix="read") as readers:
        waiting: deque[Future[tuple[Frame, PreparedFrame]]] = deque()
        try:
            for file in files:
                waiting.append(readers.submit(_read_and_prepare, inspector, file, keep_image=keep_images))
                if len(waiting) >= max(_AHEAD, 2 * at_once):
                    yield from _judge(inspector, waiting, at_once)
            while waiting:
                yield from _judge(inspector, waiting, at_once)
        finally:
            for future in waiting:
                future.cancel()


def _read_and_prepare(inspector: Inspector, file: FrameFile, *, keep_image: bool) -> tuple[Frame, PreparedFrame]:
    frame = read_frame(file)
    prepared = _prepared(inspector, frame)
    return (frame if keep_image else replace(frame, image=None)), prepared  # frames that wait need no second picture


def _prepared(inspector: Inspector, frame: Frame) -> PreparedFrame:
    if frame.image is None:
        return PreparedFrame(problem=frame.problem, milliseconds=0.0)
    try:
        return inspector.prepare(frame.image)
    except Exception as error:  # one frame must never stop a night
        logger.exception("%s could not be prepared", frame.frame)
        return PreparedFrame(problem=f"{Reason.UNREADABLE.value}: {error}", milliseconds=0.0)


def _judge(
    inspector: Inspector, waiting: deque[Future[tuple[Frame, PreparedFrame]]], at_once: int
) -> Iterator[FrameVerdict]:
    ready = [waiting.popleft().result() for _ in range(min(at_once, len(waiting)))]
    judgements = inspector.judge_prepared([prepared for _, prepared in ready])
    reference_set = inspector.reference_set
    for (frame, _), judgement in zip(ready, judgements, strict=True):
        yield FrameVerdict(frame=frame, judgement=judgement, product=reference_set.product, view=reference_set.view)
