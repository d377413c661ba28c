"""Score: what the inspector reads on a labelled set, before anybody asks for a threshold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from inspection.errors import EvaluationError
from pipeline.inspecting import inspect_frames
from pipeline.labelled import LabelledFrame, read_labelled, without_goldens
from pipeline.tracking.logs import LabelledFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from inspection.inspector import Inspector
    from pipeline.frames import FrameVerdict


_GOLDEN: Final = "it is one of the goldens, which is no sample of a part"
_LEARNED: Final = "the trained network learned from it, so it reads better than a new part would"


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A picture of a labelled set that counts for nothing, and why."""

    frame: str
    label: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One labelled picture and what was said of it."""

    labelled: LabelledFrame
    verdict: FrameVerdict

    @property
    def similarity(self) -> float | None:
        """In [0, 1]; None where the frame could not be inspected."""
        return self.verdict.judgement.similarity

    def without_pictures(self) -> Scored:
        """The same without the frame's pixels and its map, for memory."""
        frame = replace(self.verdict.frame, image=None)
        judgement = replace(self.verdict.judgement, similarity_map=None)
        return replace(self, verdict=replace(self.verdict, frame=frame, judgement=judgement))


@dataclass(frozen=True, kw_only=True)
class LabelledSet:
    """The pictures of a labelled set that are samples of parts, and those that the judged model knows already."""

    frames: tuple[LabelledFrame, ...]
    known: tuple[LeftOut, ...]

    def as_files(self) -> list[LabelledFile]:
        """The same for tracking: names, hashes and labels."""
        return [LabelledFile(name=one.file.frame, sha256=one.sha256, label=one.label) for one in self.frames]


def open_labelled(folder: Path, inspector: Inspector) -> LabelledSet:
    """Read a labelled set and leave out what the inspector knows: its goldens, and what its network learned from.

    Raises:
        EvaluationError: there is no such folder, it holds no good parts, or the network learned from all of them.
    """
    frames, goldens = without_goldens(read_labelled(folder), inspector.reference_set)
    samples = [one for one in frames if one.sha256 not in inspector.learned_from]
    learned = [one for one in frames if one.sha256 in inspector.learned_from]
    if learned and all(one.defective for one in samples):
        message = (
            f"the trained network learned from all good parts of {folder}, so they tell nothing about new ones; "
            "give good parts that took no part in the training"
        )
        raise EvaluationError(message)
    return LabelledSet(frames=tuple(samples), known=(*_left_out(goldens, _GOLDEN), *_left_out(learned, _LEARNED)))


def score_frames(
    inspector: Inspector,
    frames: Sequence[LabelledFrame],
    *,
    keep_images: bool = False,
    watcher: Callable[[int, int], None] | None = None,
) -> Iterator[Scored]:
    """Inspect labelled pictures in their order; `watcher` is told how many of how many are done."""
    verdicts = inspect_frames(inspector, [frame.file for frame in frames], keep_images=keep_images)
    for number, (frame, verdict) in enumerate(zip(frames, verdicts, strict=True), start=1):
        yield Scored(labelled=frame, verdict=verdict)
        if watcher is not None:
            watcher(number, len(frames))


def _left_out(frames: Sequence[LabelledFrame], reason: str) -> list[LeftOut]:
    return [LeftOut(frame=one.file.frame, label=one.label, reason=reason) for one in frames]


def similarities(scored: Sequence[Scored], *, defective: bool) -> NDArray[np.float64]:
    """(N,) similarities in [0, 1] of the good or of the defective parts that could be inspected."""
    values = [one.similarity for one in scored if one.labelled.defective is defective and one.similarity is not None]
    return np.array(values, dtype=np.float64)


def not_inspected(scored: Sequence[Scored]) -> list[LeftOut]:
    """The pictures that could not be inspected, each with its reason."""
    return [
        LeftOut(
            frame=one.labelled.file.frame,
            label=one.labelled.label,
            reason=one.verdict.judgement.reason or "not inspected",
        )
        for one in scored
        if one.similarity is None
    ]
