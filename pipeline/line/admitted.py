"""A frame that was taken in, what was said of it, and what the line is told and the records hold of it."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from inspection.verdicts import Judgement, Reason, Verdict
from pipeline.frames import FrameVerdict
from pipeline.reading import Frame
from pipeline.records.schema import row_key, row_of
from pipeline.signals import Signal

if TYPE_CHECKING:
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from inspection.verdicts import Provenance
    from pipeline.cameras import Shot
    from pipeline.line.settings import LineSettings
    from pipeline.records import SpooledPart

LIVE_SUFFIX = ".ppm"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the inspector said of a frame; `sha256` is that of the frame's file, `done_at` on `time.monotonic()`."""

    judgement: Judgement
    sha256: str
    done_at: float


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """A frame under its sequence number; `future` gives what the inspector says, None where it was skipped.

    `behind` frames were in hand when it came, `at` on `time.monotonic()`.
    """

    sequence: int
    frame: str
    part_id: str
    shot: Shot
    future: Future[Judged] | None
    behind: int = 0
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What is told and recorded of a frame, certain since `at` on `time.monotonic()`.

    `admitted` is None for a part of an earlier run that was interrupted.
    """

    signal: Signal
    verdict: FrameVerdict
    row: dict[str, Any]
    batch: str
    admitted: Admitted | None = None
    at: float = field(default_factory=time.monotonic)


def file_bytes(shot: Shot) -> bytes:
    """The frame as a file: as it came, or a live picture as binary PPM (P6), which keeps every pixel."""
    if shot.data is not None:
        return shot.data
    if shot.image is None:
        return b""
    return ppm_head(shot.image) + shot.image.tobytes()


def file_digest(shot: Shot) -> str:
    """SHA-256 of `file_bytes`; "" where there are none."""
    if shot.data is not None:
        return hashlib.sha256(shot.data).hexdigest()
    if shot.image is None:
        return ""
    digest = hashlib.sha256(ppm_head(shot.image))
    digest.update(np.ascontiguousarray(shot.image).data)
    return digest.hexdigest()


def ppm_head(image: NDArray[np.uint8]) -> bytes:
    """What stands before the pixels in a binary PPM file."""
    return f"P6\n{image.shape[1]} {image.shape[0]}\n255\n".encode()


def refusal(kind: Reason, detail: str, provenance: Provenance) -> Judgement:
    """CANNOT_INSPECT for a reason that is the line's and not the frame's."""
    return Judgement.refused(f"{kind.value}: {detail}", provenance)


def too_late(judgement: Judgement, *, seconds: float, deadline: float) -> Judgement:
    """A judgement that can't be told by the deadline: what it says is kept, but the part counts as not inspected."""
    said = f"{judgement.verdict.value.replace('_', ' ')} after {1000 * seconds:.0f} ms"
    reason = f"{Reason.TOO_LATE.value}: {said}, too late to be told within {1000 * deadline:.0f} ms"
    return replace(judgement, verdict=Verdict.CANNOT_INSPECT, reason=reason)


def decided(  # noqa: PLR0913 - what a decision consists of, by name
    settings: LineSettings, admitted: Admitted, judgement: Judgement, *, sha256: str, batch: str, late: bool = False
) -> Decided:
    """Signal and record of one frame, so that both say the same."""
    frame = Frame(
        frame=admitted.frame,
        part_id=admitted.part_id,
        sha256=sha256,
        captured_at=admitted.shot.captured_at.isoformat(timespec="milliseconds"),
        image=admitted.shot.image,
        problem=None,
    )
    verdict = FrameVerdict(frame=frame, judgement=judgement, product=settings.product, view=settings.view)
    return replace(_decided(settings, verdict, admitted.sequence, batch=batch, late=late), admitted=admitted)


def interrupted(settings: LineSettings, part: SpooledPart, provenance: Provenance, *, batch: str) -> Decided:
    """A part that an earlier run took in and was killed over."""
    judgement = refusal(Reason.INTERRUPTED, "the inspection was stopped before this part had a verdict", provenance)
    frame = Frame(
        frame=part.frame, part_id=part.part_id, sha256="", captured_at=part.captured_at, image=None, problem=None
    )
    verdict = FrameVerdict(frame=frame, judgement=judgement, product=settings.product, view=settings.view)
    return _decided(settings, verdict, part.sequence, batch=batch, late=True)


def _decided(settings: LineSettings, verdict: FrameVerdict, sequence: int, *, batch: str, late: bool) -> Decided:
    now = datetime.now(UTC)
    row = row_of(verdict, batch=batch, station=settings.line, evidence=None, judged_at=now)
    if not verdict.frame.sha256 or verdict.frame.image is None:  # nothing tells it from another of its name
        row["key"] = row_key({**row, "frame_sha256": f"{verdict.frame.sha256}:{settings.line}:{sequence}"})
    signal = Signal(
        line=settings.line,
        sequence=sequence,
        part_id=verdict.frame.part_id,
        frame=verdict.frame.frame,
        product=verdict.product,
        view=verdict.view,
        verdict=verdict.judgement.verdict,
        reason=verdict.judgement.reason,
        similarity=row["similarity"],
        threshold=row["threshold"],
        captured_at=verdict.frame.captured_at,
        decided_at=now.isoformat(timespec="milliseconds"),
        late=late,
        provisional=row["provisional"],
    )
    return Decided(signal=signal, verdict=verdict, row=row, batch=batch)
