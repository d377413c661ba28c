"""Shadow mode: a challenger judges the champion's frames too, and decides nothing; where both differ is shown.

What it says is recorded beside the champion's verdicts. Whatever goes wrong here is logged, and the night goes on.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

from inspection.decision import judge_similarity
from inspection.overlay import draw_strip
from pipeline.champions import challenger_shelf
from pipeline.evidence import keep_evidence
from pipeline.inspecting import inspect_frames
from pipeline.records import ShadowRecords, ShadowVerdict
from pipeline.records.schema import key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inspection.inspector import Inspector
    from pipeline.frames import FrameVerdict
    from pipeline.reading import FrameFile
    from pipeline.workspace import Workspace

logger = logging.getLogger(__name__)
_one_at_a_time = Lock()


@dataclass(frozen=True, kw_only=True)
class Challenger:
    """The challenger kept open: the digest of its bundle, and the inspector that judges by it."""

    digest: str
    inspector: Inspector


def shadow_chunk(  # noqa: PLR0913, PLR0917 - what a chunk consists of
    workspace: Workspace,
    product: str,
    view: str,
    engine: str,
    batch: str,
    files: Sequence[FrameFile],
    judged: Sequence[FrameVerdict],
) -> None:
    """Let the local challenger, if there is one, judge a chunk that the champion has just judged, and record it.

    Call it before the champion's verdicts are recorded, for frames with a verdict are not judged again; what was
    recorded before a kill stays as it is. Where the challenger differs by its threshold alone, each frame is decided
    anew by the similarity that the champion read, and only those that come out otherwise are inspected again, for their
    picture; another encoder, golden, recipe or network costs a whole inspection a frame. Raises nothing.

    Args:
        workspace: where everything lies.
        product: the part number.
        view: the camera position.
        engine: `auto`, `onnx`, `torch` or `cuda`.
        batch: the batch's id.
        files: the chunk's frames.
        judged: the champion's verdicts on them; without their pictures will do.
    """
    try:
        challenger = keep_challenger_open(workspace, product, view, engine)
        if challenger is not None:
            _judge(workspace, challenger, batch, files, judged)
    except Exception as error:  # noqa: BLE001 - a challenger decides nothing, least of all whether the night goes on
        logger.warning("the challenger of %s/%s did not judge %d frames: %s", product, view, len(judged), error)


def keep_challenger_open(workspace: Workspace, product: str, view: str, engine: str) -> Challenger | None:
    """The local challenger, kept open in this process until another takes its place; None where there is none.

    Raises:
        ReferenceSetError: its bundle was damaged.
        CalibrationError: its encoder is not the one installed here.
    """
    digest = challenger_shelf(workspace, product, view).pointed()
    if digest is None:
        return None
    with _one_at_a_time:  # or several threads would each open it
        return _opened(workspace, product, view, engine, digest)


@lru_cache(maxsize=4)
def _opened(workspace: Workspace, product: str, view: str, engine: str, digest: str) -> Challenger | None:
    bundle = challenger_shelf(workspace, product, view).read()
    if bundle is None or bundle.digest != digest:
        return None
    return Challenger(digest=digest, inspector=bundle.open(cache=workspace.cache, engine=engine))


def _judge(
    workspace: Workspace,
    challenger: Challenger,
    batch: str,
    files: Sequence[FrameFile],
    judged: Sequence[FrameVerdict],
) -> None:
    champions = {key_of(verdict): verdict for verdict in judged}
    sources = {file.frame: file for file in files}
    with ShadowRecords(workspace.records_url) as records:
        known = records.judged(challenger.digest, list(champions))
        left = {key: verdict for key, verdict in champions.items() if key not in known}
        told = {verdict.frame.frame: key for key, verdict in left.items()}
        found = {} if not left else _decided_anew(challenger, batch, left)
        again = [sources[frame] for frame, key in told.items() if key not in found or _differ(left[key], found[key])]
        for verdict in inspect_frames(challenger.inspector, again, keep_images=True):
            key = told[verdict.frame.frame]
            if verdict.frame.sha256 == left[key].frame.sha256:  # else the file is no longer the one that was judged
                shadow = _shadow(challenger, batch, key, verdict)
                found[key] = replace(shadow, evidence=_picture(workspace, challenger, batch, verdict, left[key]))
        records.add(list(found.values()))


def _decided_anew(challenger: Challenger, batch: str, judged: dict[str, FrameVerdict]) -> dict[str, ShadowVerdict]:
    """What follows from the similarity alone; empty where anything but the threshold is another."""
    calibration, grounds = challenger.inspector.calibration, challenger.inspector.provenance
    if calibration is None:
        return {}
    found = {}
    for key, verdict in judged.items():
        judgement = verdict.judgement
        if replace(judgement.provenance, calibration=grounds.calibration) != grounds:
            continue
        similarity = judgement.similarity
        decided = judgement.verdict if similarity is None else judge_similarity(similarity, calibration.threshold)
        row = verdict.to_dict()
        found[key] = ShadowVerdict(
            key=key,
            challenger=challenger.digest,
            batch=batch,
            verdict=decided.value,
            similarity=row["similarity"],
            threshold=calibration.threshold,
            reason=row["reason"] if similarity is None else None,
        )
    return found


def _differ(champion: FrameVerdict, shadow: ShadowVerdict) -> bool:
    return champion.judgement.verdict.value != shadow.verdict


def _shadow(challenger: Challenger, batch: str, key: str, verdict: FrameVerdict) -> ShadowVerdict:
    row = verdict.to_dict()
    return ShadowVerdict(
        key=key,
        challenger=challenger.digest,
        batch=batch,
        **{name: row[name] for name in ("verdict", "similarity", "threshold", "reason", "regions")},
    )


def _picture(
    workspace: Workspace, challenger: Challenger, batch: str, verdict: FrameVerdict, champion: FrameVerdict
) -> str | None:
    """The strip of a frame that comes out otherwise, relative to the home; None where both agree."""
    frame, judgement = verdict.frame, verdict.judgement
    if frame.image is None or judgement.verdict is champion.judgement.verdict:
        return None
    said = champion.judgement
    similarity = "" if said.similarity is None else f" {said.similarity:.3f}"
    caption = f"challenger (champion: {said.verdict.value}{similarity}) {frame.part_id}"
    golden = challenger.inspector.gallery.nearest(frame.image, judgement.matrix)
    strip = draw_strip(golden.picture, frame.image, judgement, part_id=caption, golden_name=golden.name)
    place = (verdict.product, verdict.view, batch, f"shadow-{challenger.digest}")
    return keep_evidence(workspace, place, frame.frame, strip).as_posix()
