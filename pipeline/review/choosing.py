"""Choose parts for review as they are judged, and keep all that the review will need: frame, picture, chance."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspection.blind import draw_blind
from inspection.durable import write_bytes
from inspection.overlay import draw_strip
from pipeline.evidence import keep_evidence
from pipeline.reading import read_bytes
from pipeline.records.schema import key_of
from pipeline.review.items import ReviewItem
from pipeline.review.selection import Kind, choose

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from inspection.gallery import ShownGolden
    from inspection.inspector import Inspector
    from pipeline.frames import FrameVerdict
    from pipeline.workspace import Workspace


class Witness:
    """Keeps the pictures of a batch while it is judged: evidence of flagged frames, and what reviewers are to see.

    `evidence` maps frames to the pictures of the verdict, relative to the home, and `nearest` those of which there is
    any picture to the names of the goldens they are most like; `items` are the parts chosen.
    """

    def __init__(self, workspace: Workspace, inspector: Inspector, batch: str) -> None:
        self.evidence: dict[str, Path] = {}
        self.nearest: dict[str, str] = {}
        self.items: list[ReviewItem] = []
        self._workspace, self._inspector, self._batch = workspace, inspector, batch

    def wants(self, verdict: FrameVerdict) -> bool:
        """Whether `see` would keep anything of it."""
        settings = self._inspector.reference_set.recipe.review
        return choose(key_of(verdict), verdict.judgement.verdict, settings) is not None

    def see(self, verdict: FrameVerdict, source: Path | LiveFrame) -> None:
        """Keep what `verdict` needs; `verdict.frame.image` and the similarity map must still be there.

        Raises:
            RecordsError: a picture can't be written.
            OSError: the frame's copy can't be written.
        """
        frame, judgement = verdict.frame, verdict.judgement
        if frame.image is None:
            return
        key = key_of(verdict)
        settings = self._inspector.reference_set.recipe.review
        choice = choose(key, judgement.verdict, settings)
        if choice is None:
            return
        golden = self._inspector.gallery.nearest(frame.image, judgement.matrix)
        self.nearest[frame.frame] = golden.name
        flagged, blind = choice.kind is Kind.FLAGGED, not settings.shows_verdict
        if flagged:
            self.evidence[frame.frame] = self._picture(verdict, frame.image, golden, blind=False)
        picture = self.evidence.get(frame.frame) if not blind else None
        if picture is None:
            picture = self._picture(verdict, frame.image, golden, blind=blind)
        self.items.append(
            ReviewItem(
                key=key,
                product=verdict.product,
                view=verdict.view,
                batch=self._batch,
                kind=choice.kind,
                chance=choice.chance,
                frame_file=keep_frame(self._workspace, source, frame.sha256),
                picture=picture.as_posix(),
            )
        )

    def _picture(self, verdict: FrameVerdict, image: NDArray[np.uint8], golden: ShownGolden, *, blind: bool) -> Path:
        frame, judgement = verdict.frame, verdict.judgement
        kind = ("review",) if blind else ()
        place = (verdict.product, verdict.view, self._batch, *kind)
        if blind:
            strip = draw_blind(golden.picture, image, judgement, golden_name=golden.name)
        else:
            strip = draw_strip(golden.picture, image, judgement, part_id=frame.part_id, golden_name=golden.name)
        return keep_evidence(self._workspace, place, frame.frame, strip)


@dataclass(frozen=True, kw_only=True)
class LiveFrame:
    """A frame that is no file, or whose file may be gone: its bytes as a file of this `suffix`."""

    data: bytes
    suffix: str


def keep_frame(workspace: Workspace, source: Path | LiveFrame, sha256: str) -> str:
    """Keep the frame as it came, by its content, and give its path relative to the home.

    "" where the file is no longer the one that was judged.

    Raises:
        OSError: the copy can't be written.
    """
    suffix = source.suffix.lower()
    target = workspace.frames / sha256[:2] / f"{sha256}{suffix}"
    if not _wanted_again(target):
        data, problem = (source.data, None) if isinstance(source, LiveFrame) else read_bytes(source)
        if problem or hashlib.sha256(data).hexdigest() != sha256:
            return ""
        write_bytes(target, data)
    return target.relative_to(workspace.home).as_posix()


def _wanted_again(path: Path) -> bool:
    """Whether the frame is kept already; its time is renewed, by which retention sees that it must not go."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    except OSError:
        return path.is_file()
    return True


def witnessed(judged: Iterator[FrameVerdict], sources: dict[str, Path], witness: Witness) -> Iterator[FrameVerdict]:
    """The verdicts, each seen by the witness as it passes."""
    for verdict in judged:
        witness.see(verdict, sources[verdict.frame.frame])
        yield verdict
