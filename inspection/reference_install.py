"""Install: goldens, masks, recipe and trained network that were tried elsewhere become a view's own."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from inspection.durable import write_bytes
from inspection.encoder import encoder_digest
from inspection.errors import NotEnrolledError, RecipeError, ReferenceSetError, WeightsError
from inspection.recipe import Recipe
from inspection.reference_set import list_versions, load_reference_set, twin_files, version_file, view_folder
from inspection.reference_store import make_current, manifest_of, store_lock, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inspection.recipe import EncoderChoice
    from inspection.reference_set import Golden, ReferenceSet


def is_installed(references: Path, source: ReferenceSet) -> bool:
    """Whether the current goldens, masks, recipe and encoder are those of `source`."""
    try:
        found = load_reference_set(references, source.product, source.view)
        same = found.digest == source.digest and found.recipe.digest == source.recipe.digest
        return same and encoder_digest(found.recipe.encoder) == encoder_digest(source.recipe.encoder)
    except (NotEnrolledError, ReferenceSetError, RecipeError, WeightsError):
        return False


def install_version(references: Path, source: ReferenceSet, *, by: str, action: str) -> ReferenceSet:
    """Make `source`, which lies in another folder, the current version of its product and view.

    A stored version of the same goldens is made current again, else a new one is written; nothing is done where all is
    there already. The view's own settings of review and watch stay: they decide no verdict. Doing it again after a kill
    completes it.

    Args:
        references: the folder of all products' goldens.
        source: what is installed, every golden held to its SHA-256.
        by: noted in the view's history.
        action: the same, "promote" or "rollback".

    Raises:
        ReferenceSetError: a file of `source` is missing or was altered, or another process kept the lock.
        OSError: the folder can't be written.
    """
    if is_installed(references, source):
        return load_reference_set(references, source.product, source.view)
    folder = view_folder(references, source.product, source.view)
    checked = source.digest  # reads the masks, and refuses names that lead elsewhere
    with store_lock(folder):
        goldens = [_install_golden(source, golden, folder) for golden in source.goldens]
        number = _version_of(references, source, goldens)
        if number is None:
            number = max(list_versions(references, source.product, source.view), default=0) + 1
            write_json(version_file(folder, number), manifest_of(source.product, source.view, number, goldens, by))
        for mask in filter(None, (source.recipe.roi_mask, source.recipe.ignore_mask)):
            write_bytes(folder / mask, (source.folder / mask).read_bytes())
        if source.recipe.twin is not None:
            ours = twin_files(folder, source.recipe.twin)
            for theirs, mine in zip(twin_files(source.folder, source.recipe.twin), ours, strict=True):
                write_bytes(mine, theirs.read_bytes())
        write_bytes(folder / "recipe.json", _recipe_for(folder, source.recipe).to_json().encode())
        make_current(folder, version=number, by=by, action=action)
    installed = load_reference_set(references, source.product, source.view)
    if installed.digest != checked:
        message = f"the goldens of {source.product}/{source.view} changed while they were installed; run it again"
        raise ReferenceSetError(message)
    return installed


def _install_golden(source: ReferenceSet, golden: Golden, folder: Path) -> Golden:
    """Copy one golden under a name that its content gives, whatever the source calls it."""
    suffix = Path(golden.file).suffix.lower()
    file = f"goldens/{golden.sha256[:16]}{suffix if re.fullmatch(r'[.][a-z0-9]{1,5}', suffix) else ''}"
    data = source.bytes_of(golden)
    if not (folder / file).is_file() or _sha256(folder / file) != golden.sha256:
        write_bytes(folder / file, data)
    return replace(golden, file=file)


def _version_of(references: Path, source: ReferenceSet, goldens: Sequence[Golden]) -> int | None:
    """The stored version with these goldens in this order; None where there is none, or it is damaged."""
    wanted = [golden.sha256 for golden in goldens]
    for number in reversed(list_versions(references, source.product, source.view)):
        try:
            found = load_reference_set(references, source.product, source.view, number)
        except (ReferenceSetError, RecipeError):
            continue
        if [golden.sha256 for golden in found.goldens] == wanted:
            return number
    return None


def _recipe_for(folder: Path, recipe: Recipe) -> Recipe:
    """The recipe with the view's own settings of review and watch, and weights that stay where they are."""
    try:
        own = Recipe.load(folder / "recipe.json")
    except (OSError, RecipeError):
        return replace(recipe, encoder=_encoder_for(folder, recipe.encoder, None))
    encoder = _encoder_for(folder, recipe.encoder, own.encoder.weights)
    return replace(recipe, encoder=encoder, review=own.review, watch=own.watch)


def _encoder_for(folder: Path, encoder: EncoderChoice, own: str | None) -> EncoderChoice:
    """The encoder with its weights file beside the goldens, or where the view has the same one already."""
    if encoder.weights is None:
        return encoder
    source = Path(encoder.weights)
    digest = _sha256(source)
    if own is not None and Path(own).is_file() and _sha256(Path(own)) == digest:
        return replace(encoder, weights=own)
    target = folder / f"weights-{digest[:16]}{source.suffix}"
    if not target.is_file() or _sha256(target) != digest:
        write_bytes(target, source.read_bytes())
    return replace(encoder, weights=str(target))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
