"""Score: what the inspector reads on a labelled set, before anybody asks for a threshold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pipeline.inspecting import inspect_frames
from pipeline.labelled import LabelledFrame, read_labelled, without_goldens
from pipeline.tracking.logs import LabelledFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from inspection.inspector import Inspector
    from pipeline.frames import FrameVerdict


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
    """The pictures of a labelled set that are no goldens, and those that are."""

    frames: tuple[LabelledFrame, ...]
    goldens: tuple[LeftOut, ...]

    def as_files(self) -> list[LabelledFile]:
        """The same for tracking: names, hashes and labels."""
        return [LabelledFile(name=one.file.frame, sha256=one.sha256, label=one.label) for one in self.frames]


def open_labelled(folder: Path, inspector: Inspector) -> LabelledSet:
    """Read a labelled set and leave the inspector's own goldens out, which would read as perfect.

    Raises:
        EvaluationError: there is no such folder, or it holds no good parts.
    """
    frames, goldens = without_goldens(read_labelled(folder), inspector.reference_set)
    reason = "it is one of the goldens, which is no sample of a part"
    return LabelledSet(
        frames=tuple(frames),
        goldens=tuple(LeftOut(frame=one.file.frame, label=one.label, reason=reason) for one in goldens),
    )


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
