"""Contest: champion, challenger and the challenger's logged model judge the same labelled parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inspection.errors import EvaluationError
from pipeline.gates import Compared, Told
from pipeline.reading import read_frame
from pipeline.scoring import LabelledSet, open_labelled, score_frames
from pipeline.tracking.logged_model import load_logged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from inspection.inspector import Inspector
    from inspection.verdicts import Provenance
    from pipeline.bundle import Bundle
    from pipeline.frames import FrameVerdict
    from pipeline.labelled import LabelledFrame
    from pipeline.scoring import LeftOut
    from pipeline.tracking.logged_model import LoggedModel
    from pipeline.tracking.logs import LabelledFile
    from pipeline.workspace import Workspace

    Watcher = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Held:
    """A contest that was held: who took part, on which frames, and what each said.

    `frames` and `parts` are in the same order; `model_version` is the registered version that was asked.
    """

    champion: Inspector
    challenger_inspector: Inspector
    challenger: Bundle
    model_version: str
    frames: tuple[LabelledFrame, ...]
    parts: tuple[Compared, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def champion_provenance(self) -> Provenance:
        """What the champion's verdicts rest on."""
        return self.champion.provenance

    @property
    def files(self) -> list[LabelledFile]:
        """The frozen set, for its digest."""
        return LabelledSet(frames=self.frames, known=()).as_files()

    def as_rows(self) -> list[dict[str, Any]]:
        """A row a part, for the table in MLflow."""
        return [
            {
                "name": part.name,
                "sha256": part.sha256,
                "label": part.label,
                "champion": part.champion.verdict,
                "champion_similarity": part.champion.similarity,
                "challenger": part.challenger.verdict,
                "challenger_similarity": part.challenger.similarity,
                "logged": part.logged.verdict if part.logged else "",
                "logged_similarity": part.logged.similarity if part.logged else "",
                "reason": part.challenger.reason or "",
            }
            for part in self.parts
        ]


def hold_contest(  # noqa: PLR0913 - who takes part, by name
    workspace: Workspace,
    champion: Inspector,
    challenger: Bundle,
    labelled: Path,
    *,
    engine: str,
    watcher: Watcher | None = None,
) -> Held:
    """Let all three judge the labelled set, less what either of both knows: goldens, and parts a network learned from.

    Raises:
        EvaluationError: the folder is no labelled set, or nothing in it is new to both.
        TrackingError: the logged model can't be had.
        CalibrationError: the challenger's encoder is not the one installed here.
    """
    inspector = challenger.open(cache=workspace.cache, engine=engine)
    sample = _new_to_both(labelled, champion, inspector)
    logged = load_logged(workspace, challenger, engine=engine)
    total = 3 * len(sample.frames)
    said = [list(_said(one, sample.frames, _from(watcher, at, total))) for at, one in enumerate((champion, inspector))]
    served = list(_served(logged, sample.frames, _from(watcher, 2, total)))
    parts = tuple(
        Compared(
            name=frame.file.frame,
            sha256=frame.sha256,
            label=frame.label,
            defective=frame.defective,
            champion=by_champion,
            challenger=by_challenger,
            logged=by_logged,
        )
        for frame, by_champion, by_challenger, by_logged in zip(sample.frames, *said, served, strict=True)
    )
    return Held(
        champion=champion,
        challenger_inspector=inspector,
        challenger=challenger,
        model_version=logged.version,
        frames=sample.frames,
        parts=parts,
        left_out=sample.known,
    )


def _new_to_both(labelled: Path, champion: Inspector, challenger: Inspector) -> LabelledSet:
    samples = [open_labelled(labelled, one) for one in (champion, challenger)]
    new = {frame.file.frame for frame in samples[0].frames} & {frame.file.frame for frame in samples[1].frames}
    known = {one.frame: one for sample in samples for one in sample.known}
    frames = tuple(frame for frame in samples[0].frames if frame.file.frame in new)
    if not frames:
        message = (
            f"{labelled} holds nothing but goldens and parts that a network learned from; give parts that are none"
        )
        raise EvaluationError(message)
    return LabelledSet(frames=frames, known=tuple(known.values()))


def _said(inspector: Inspector, frames: Sequence[LabelledFrame], watcher: Watcher | None) -> Iterator[Told]:
    for scored in score_frames(inspector, frames, watcher=watcher):
        yield _told(scored.verdict)


def _told(verdict: FrameVerdict) -> Told:
    row = verdict.to_dict()
    return Told(verdict=row["verdict"], similarity=row["similarity"], reason=row["reason"])


def _served(logged: LoggedModel, frames: Sequence[LabelledFrame], watcher: Watcher | None) -> Iterator[Told | None]:
    """What the logged model says of each frame, asked one by one; None where there is no picture to give it."""
    for number, frame in enumerate(frames, start=1):
        image = read_frame(frame.file).image
        row = None if image is None else logged.judge(image)
        yield None if row is None else Told(verdict=str(row.get("verdict")), similarity=row.get("similarity"))
        if watcher is not None:
            watcher(number, len(frames))


def _from(watcher: Watcher | None, share: int, total: int) -> Watcher | None:
    """The watcher of one of three rounds, told of all three."""
    if watcher is None:
        return None
    return lambda done, of: watcher(share * of + done, total)
