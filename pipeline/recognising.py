"""Frames of any product: each is recognised from the enrolled goldens, then judged by the product it shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Final

from inspection.encoder import encoder_digest
from inspection.engine import open_engine
from inspection.errors import NotEnrolledError, ReferenceSetError
from inspection.recipe import EncoderChoice
from inspection.recognition import GOLDENS, SIDE, Recogniser
from inspection.reference_set import list_enrolled, load_reference_set
from inspection.verdicts import Judgement, Provenance, Reason
from pipeline.enrolment import RESERVED
from pipeline.frames import FrameVerdict
from pipeline.opening import open_inspector
from pipeline.reading import read_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from inspection.gallery import ShownGolden
    from inspection.inspector import Inspector
    from pipeline.reading import Frame, FrameFile
    from pipeline.workspace import Workspace

AUTO: Final = RESERVED
"""The product's name that means: recognise it."""


@dataclass(frozen=True, kw_only=True)
class RecognisedVerdict:
    """A verdict, and the golden to show beside the frame; None where no product was recognised or none is wanted."""

    verdict: FrameVerdict
    golden: ShownGolden | None


def open_recogniser(workspace: Workspace, *, engine: str = "auto") -> tuple[Recogniser, list[tuple[str, str]]]:
    """The recogniser of all enrolled products and views, and these in the order of its names.

    Raises:
        NotEnrolledError: nothing is enrolled.
        ReferenceSetError: a golden is missing or was altered.
    """
    enrolled = list_enrolled(workspace.references)
    if not enrolled:
        message = f"nothing is enrolled in {workspace.references}; run `goldentwin enrol PRODUCT --from DIR` first"
        raise NotEnrolledError(message)
    goldens = {}
    for product, view in enrolled:
        goldens[f"{product}/{view}"] = load_reference_set(workspace.references, product, view).images()[:GOLDENS]
    opened = open_engine(EncoderChoice(), engine=engine, cache=workspace.cache, side=SIDE)
    return Recogniser(goldens, opened), enrolled


def inspect_any(
    workspace: Workspace, files: Sequence[FrameFile], *, engine: str = "auto", keep_images: bool = False
) -> Iterator[RecognisedVerdict]:
    """Judge frames of any enrolled product, in their order.

    One that shows none of them is CANNOT_INSPECT, and names the nearest. Bad input raises nothing.

    Raises:
        NotEnrolledError: nothing is enrolled.
        ReferenceSetError: a golden is missing or was altered.
    """
    recogniser, enrolled = open_recogniser(workspace, engine=engine)
    names = {f"{product}/{view}": (product, view) for product, view in enrolled}

    @cache
    def inspector_of(name: str) -> Inspector:
        return open_inspector(workspace, *names[name], engine=engine)

    for file in files:
        yield _judged(recogniser, inspector_of, read_frame(file), keep_images=keep_images)


def _judged(
    recogniser: Recogniser, inspector_of: Callable[[str], Inspector], frame: Frame, *, keep_images: bool
) -> RecognisedVerdict:
    if frame.image is None:
        return _refused(frame, frame.problem or Reason.UNREADABLE.value)
    found = recogniser.recognise(frame.image)
    if found.name is None:
        reason = (
            f"{Reason.NOT_RECOGNISED.value}: it is like no enrolled product (nearest {found.nearest}, likeness "
            f"{found.likeness:.2f}); name the product, or enrol it"
        )
        return _refused(frame, reason)
    try:
        inspector = inspector_of(found.name)
    except ReferenceSetError as error:
        return _refused(frame, f"{Reason.NOT_COMPARED.value}: {error}")
    shown = frame if keep_images else replace(frame, image=None)
    names = inspector.reference_set
    judgement = inspector.judge([frame.image])[0]
    verdict = FrameVerdict(frame=shown, judgement=judgement, product=names.product, view=names.view)
    golden = inspector.gallery.nearest(frame.image, judgement.matrix) if keep_images else None
    return RecognisedVerdict(verdict=verdict, golden=golden)


def _refused(frame: Frame, reason: str) -> RecognisedVerdict:
    provenance = Provenance(encoder=encoder_digest(EncoderChoice()), reference_set="", recipe="", calibration=None)
    judgement = Judgement.refused(reason, provenance)
    verdict = FrameVerdict(frame=replace(frame, image=None), judgement=judgement, product=AUTO, view="default")
    return RecognisedVerdict(verdict=verdict, golden=None)
