"""Labelled sets: `good/*` and `<defect type>/*`, with masks in `ground_truth/<defect type>/<name>_mask.png`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspection.errors import EvaluationError
from pipeline.reading import FrameFile, list_frames, natural_order, read_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from inspection.reference_set import ReferenceSet

GOOD = "good"
GROUND_TRUTH = "ground_truth"


@dataclass(frozen=True, kw_only=True)
class LabelledFrame:
    """One picture of a labelled set.

    `label` is `good` or the type of defect; `mask` is the picture of where the defect is (white on black), None
    where there is none; `sha256` is of the file's bytes, "" where they can't be read.
    """

    file: FrameFile
    label: str
    mask: Path | None
    sha256: str

    @property
    def defective(self) -> bool:
        """Whether the part has a defect."""
        return self.label != GOOD


def read_labelled(folder: Path) -> list[LabelledFrame]:
    """Find the pictures of a labelled set: good ones first, then each type of defect, in natural order.

    Masks are looked for in `ground_truth/` beside the folder or inside it.

    Raises:
        EvaluationError: there is no such folder, or it holds no good parts.
    """
    if not folder.is_dir():
        message = f"{folder} is no folder; a labelled set is a folder with good/ and a folder for each type of defect"
        raise EvaluationError(message)
    types = [path.name for path in folder.iterdir() if path.is_dir() and _is_type(path.name)]
    found = [
        LabelledFrame(file=file, label=label, mask=_mask_of(folder, label, file), sha256=_sha256(file))
        for label in sorted(types, key=lambda name: (name != GOOD, natural_order(name)))
        for file in _files(folder, label)
    ]
    if not any(frame.label == GOOD for frame in found):
        message = (
            f"{folder} holds no picture in {GOOD}/; a labelled set has good parts in {GOOD}/ and defective ones in a "
            f"folder for each type of defect{_listed(types)}"
        )
        raise EvaluationError(message)
    return found


def without_goldens(
    frames: Sequence[LabelledFrame], reference_set: ReferenceSet
) -> tuple[list[LabelledFrame], list[LabelledFrame]]:
    """The frames that are no goldens, and those that are: compared with itself, a golden lies at distance 0."""
    goldens: Collection[str] = {golden.sha256 for golden in reference_set.goldens}
    return (
        [frame for frame in frames if frame.sha256 not in goldens],
        [frame for frame in frames if frame.sha256 in goldens],
    )


def _is_type(name: str) -> bool:
    return name != GROUND_TRUTH and not name.startswith(".")


def _files(folder: Path, label: str) -> list[FrameFile]:
    return [
        FrameFile(frame=f"{label}/{file.frame}", path=file.path, part_id=file.part_id)
        for file in list_frames([folder / label])
    ]


def _mask_of(folder: Path, label: str, file: FrameFile) -> Path | None:
    if label == GOOD:
        return None
    below = file.path.relative_to(folder / label).with_name(f"{file.path.stem}_mask.png")
    places = (folder.absolute().parent / GROUND_TRUTH, folder / GROUND_TRUTH)
    return next((mask for place in places if (mask := place / label / below).is_file()), None)


def _sha256(file: FrameFile) -> str:
    data, problem = read_bytes(file.path)
    return "" if problem else hashlib.sha256(data).hexdigest()


def _listed(types: Sequence[str]) -> str:
    return f" (found: {', '.join(sorted(types))})" if types else ""
