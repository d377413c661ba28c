"""Enrol: audit pictures of good parts, keep copies of those that pass, and make them the current reference set."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2

from inspection.audit import Finding, Level, audit
from inspection.candidate import Candidate, examine, unreadable
from inspection.decoding import decode_image
from inspection.errors import ReferenceSetError, UnreadableImageError
from inspection.recipe import Recipe
from inspection.reference_set import current_version, load_reference_set, mask_at, view_folder
from inspection.reference_store import ROI_FILE, NewGolden, store_version
from pipeline.reading import read_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from inspection.quality import FrameQuality
    from inspection.reference_set import ReferenceSet

RESERVED = "auto"


@dataclass(frozen=True, kw_only=True)
class EnrolmentReport:
    """What an enrolment did: the reference set that is current now, whether it is new, what the audit found."""

    reference_set: ReferenceSet
    created: bool
    findings: tuple[Finding, ...]

    @property
    def refused(self) -> tuple[Finding, ...]:
        """Pictures that were given and did not become goldens, each with why."""
        return tuple(finding for finding in self.findings if finding.level is Level.REFUSE)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Goldens that a person should look at."""
        return tuple(finding for finding in self.findings if finding.level is Level.WARN)


def enrol_goldens(  # noqa: PLR0913 - what an enrolment consists of, by name
    references: Path,
    *,
    product: str,
    view: str = "default",
    files: Sequence[Path],
    recipe: Recipe | None = None,
    mask: Path | None = None,
    added_by: str,
    add: bool = False,
) -> EnrolmentReport:
    """Audit `files` and store a version of the reference set that holds exactly those that pass.

    Enrolling again makes a new version with the pictures given then and no others, or with `add` the current
    goldens and those; the same set again makes none. Without `recipe` the view keeps the one it has (the defaults
    at first); without `mask` the ROI mask it has. A mask is a picture of the goldens' aspect ratio, white where
    to inspect.

    Raises:
        ReferenceSetError: no picture passes the audit, a name can't be used, or the mask does not fit; then nothing
            is changed.
        RecipeError: the view's recipe can't be read.
    """
    folder = view_folder(references, product, view)
    if product == RESERVED:
        message = f"{RESERVED!r} means 'recognise the product'; give the product another name"
        raise ReferenceSetError(message)
    kept = _kept(references, product, view) if add else []
    candidates = [_examine(name, path) for name, path in _named(files)]
    old = {candidate.name for candidate in kept}
    findings = [finding for finding in audit([*kept, *candidates]) if finding.picture not in old]
    pictures = _passed(candidates, findings, files)
    if not pictures and not kept:
        raise ReferenceSetError(_nothing_left(product, view, findings))
    roi = None if mask is None else _roi(mask, kept[0].quality if kept else pictures[0])
    stored, created = store_version(
        references,
        product,
        view,
        pictures=pictures,
        recipe=_recipe(recipe, folder, has_mask=mask is not None),
        roi=roi,
        added_by=added_by,
        add=add,
    )
    return EnrolmentReport(reference_set=stored, created=created, findings=tuple(findings))


def _named(files: Sequence[Path]) -> list[tuple[str, Path]]:
    """Each file with a name of its own: the file's, with its folder where two are alike, with a number at last."""
    alike = Counter(path.name for path in files)
    taken: Counter[str] = Counter()
    named = []
    for path in files:
        name = path.name if alike[path.name] == 1 else f"{path.parent.name}/{path.name}"
        taken[name] += 1
        named.append((name if taken[name] == 1 else f"{name} ({taken[name]})", path))
    return named


def _kept(references: Path, product: str, view: str) -> list[Candidate]:
    """The current goldens, so that pictures to be added are held against them too."""
    if current_version(references, product, view) is None:
        return []
    current = load_reference_set(references, product, view)
    return [examine(f"golden {golden.name}", current.bytes_of(golden)) for golden in current.goldens]


def _examine(name: str, path: Path) -> Candidate:
    data, problem = read_bytes(path)
    return examine(name, data) if problem is None else unreadable(name, problem)


def _passed(candidates: Sequence[Candidate], findings: Sequence[Finding], files: Sequence[Path]) -> list[NewGolden]:
    refused = {finding.picture for finding in findings if finding.level is Level.REFUSE}
    return [
        NewGolden(
            name=one.name,
            path=path,
            sha256=one.sha256,
            width=one.quality.width,
            height=one.quality.height,
        )
        for one, path in zip(candidates, files, strict=True)
        if one.name not in refused
    ]


def _nothing_left(product: str, view: str, findings: Sequence[Finding]) -> str:
    if not findings:
        return f"no picture given to enrol as golden of {product}/{view}; give image files or a folder of them"
    listed = "\n  ".join(str(finding) for finding in findings)
    return f"none of the pictures can be a golden of {product}/{view}:\n  {listed}"


def _recipe(given: Recipe | None, folder: Path, *, has_mask: bool) -> Recipe:
    kept = folder / "recipe.json"
    recipe = given or (Recipe.load(kept) if kept.is_file() else Recipe())
    return replace(recipe, roi_mask=ROI_FILE) if has_mask else recipe


def _roi(mask: Path, golden: FrameQuality | NewGolden) -> bytes:
    """The mask as PNG bytes at the golden's size, 255 = inspect."""
    inspect = mask_at(_mask_image(mask), golden.width, golden.height, source=f"mask {mask.name}")
    if not inspect.any():
        message = f"mask {mask.name} is black all over, nothing would be inspected; paint white what to inspect"
        raise ReferenceSetError(message)
    _, encoded = cv2.imencode(".png", inspect.astype("uint8") * 255)
    return bytes(encoded.tobytes())


def _mask_image(mask: Path) -> NDArray[np.uint8]:
    data, problem = read_bytes(mask)
    if problem is not None:
        message = f"mask {mask}: {problem}"
        raise ReferenceSetError(message)
    try:
        return decode_image(data, source=f"mask {mask.name}")
    except UnreadableImageError as error:
        raise ReferenceSetError(str(error)) from error
