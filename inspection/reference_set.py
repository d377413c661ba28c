"""Reference sets: the approved goldens of one product and view, each held to its SHA-256, with recipe and masks."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from inspection.decoding import decode_image
from inspection.errors import NotEnrolledError, RecipeError, ReferenceSetError, UnreadableImageError
from inspection.recipe import Recipe, digest_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

WHITE = 128
GOLDENS = "goldens"
MASK_ASPECT_LIMIT = 0.02
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Golden:
    """One approved image of a good part: `file` is relative to the view's folder, sizes are in pixels."""

    name: str
    sha256: str
    width: int
    height: int
    file: str
    added_at: str
    added_by: str


@dataclass(frozen=True, kw_only=True)
class ReferenceSet:
    """One version of the goldens of a product and view, in their approved order, with the view's recipe."""

    product: str
    view: str
    version: int
    goldens: tuple[Golden, ...]
    recipe: Recipe
    folder: Path

    @cached_property
    def digest(self) -> str:
        """12 hex digits over the goldens' hashes in their order and the mask files' hashes."""
        return digest_of([[golden.sha256 for golden in self.goldens], self._mask_hashes()])

    def images(self) -> list[NDArray[np.uint8]]:
        """Decode the goldens in their order: RGB uint8 (H, W, 3) each, at their own size.

        Raises:
            ReferenceSetError: a file is missing or was altered since it was enrolled.
        """
        return [decode_image(self.bytes_of(golden), source=golden.name) for golden in self.goldens]

    def bytes_of(self, golden: Golden) -> bytes:
        """The golden's file, held to its SHA-256.

        Raises:
            ReferenceSetError: the file is missing or was altered since it was enrolled.
        """
        data = _read(self.folder / golden.file, f"golden {golden.name!r} of {self.product}/{self.view}", self._again)
        if hashlib.sha256(data).hexdigest() != golden.sha256:
            message = f"golden {golden.name!r} ({self.folder / golden.file}) was altered after enrolment; {self._again}"
            raise ReferenceSetError(message)
        return data

    def roi(self) -> NDArray[np.bool_] | None:
        """Where to inspect: the ROI mask less the ignore mask, bool (H, W) at the first golden's size, True = inspect.

        None where the recipe names neither mask.

        Raises:
            ReferenceSetError: a mask is missing or no image, or nothing is left to inspect.
        """
        if self.recipe.roi_mask is None and self.recipe.ignore_mask is None:
            return None
        inspect = np.ones((self.goldens[0].height, self.goldens[0].width), np.bool_)
        if self.recipe.roi_mask is not None:
            inspect &= self._mask(self.recipe.roi_mask)
        if self.recipe.ignore_mask is not None:
            inspect &= ~self._mask(self.recipe.ignore_mask)
        if not inspect.any():
            message = f"the masks of {self.product}/{self.view} leave nothing to inspect; enrol again with another mask"
            raise ReferenceSetError(message)
        return inspect

    @property
    def _again(self) -> str:
        return (
            f"enrol the approved pictures again (`goldentwin enrol {self.product} --view {self.view} --from DIR`) "
            "or put the original file back"
        )

    def _mask_hashes(self) -> dict[str, str | None]:
        names = {"roi": self.recipe.roi_mask, "ignore": self.recipe.ignore_mask}
        return {kind: hashlib.sha256(self._mask_bytes(name)).hexdigest() for kind, name in names.items() if name}

    def _mask_bytes(self, name: str) -> bytes:
        remedy = "enrol again with --mask, or mend the recipe"
        if not is_plain_name(name):
            message = f"the recipe of {self.product}/{self.view} names the mask {name!r}, no plain file name; {remedy}"
            raise ReferenceSetError(message)
        return _read(self.folder / name, f"mask {name!r} of {self.product}/{self.view}", remedy)

    def _mask(self, name: str) -> NDArray[np.bool_]:
        """The mask as bool (H, W) at the first golden's size."""
        try:
            image = decode_image(self._mask_bytes(name), source=name)
        except UnreadableImageError as error:
            message = f"mask of {self.product}/{self.view}: {error}"
            raise ReferenceSetError(message) from error
        return mask_at(image, self.goldens[0].width, self.goldens[0].height, source=f"mask {name!r}")


def mask_at(image: NDArray[np.uint8], width: int, height: int, *, source: str) -> NDArray[np.bool_]:
    """Bring an RGB uint8 (H, W, 3) mask to bool (height, width): True where it is white (128 or brighter).

    Raises:
        ReferenceSetError: the mask's aspect ratio differs by more than 2 %, it would not lie where it was drawn.
    """
    ratio = (image.shape[1] * height) / (image.shape[0] * width)
    if max(ratio, 1 / ratio) > 1 + MASK_ASPECT_LIMIT:
        sizes = f"{image.shape[1]} x {image.shape[0]} px, the goldens {width} x {height}"
        message = f"{source} has {sizes}; draw a mask on a golden and enrol again with --mask"
        raise ReferenceSetError(message)
    resized = cv2.resize(image.max(axis=2), (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized >= WHITE, dtype=np.bool_)


def is_plain_name(name: str) -> bool:
    """Whether `name` is safe as a file name: letters, digits, `-`, `_` and `.`, no leading or trailing dot."""
    return bool(_NAME.fullmatch(name)) and not name.endswith(".")


def view_folder(references: Path, product: str, view: str) -> Path:
    """The folder of a product's view.

    Raises:
        ReferenceSetError: a name holds anything but letters, digits, `-`, `_` and `.`, or begins or ends with a dot.
    """
    for word, name in (("product", product), ("view", view)):
        if not is_plain_name(name):
            message = f"{word} name {name!r} can't be used; take letters, digits, '-', '_', '.' (no dot first)"
            raise ReferenceSetError(message)
    return references / product / view


def twin_files(folder: Path, digest: str) -> tuple[Path, Path]:
    """Where the trained network that a view's recipe names lies: its weights, and its JSON.

    Raises:
        ReferenceSetError: `digest` is none.
    """
    if not digest.isalnum():
        message = f"the recipe in {folder} names the twin {digest!r}, no digest; train anew with `goldentwin train`"
        raise ReferenceSetError(message)
    return folder / f"twin-{digest}.safetensors", folder / f"twin-{digest}.json"


def version_file(folder: Path, version: int) -> Path:
    """The manifest of one version: `versions/0001.json` and so on."""
    return folder / "versions" / f"{version:04d}.json"


def list_versions(references: Path, product: str, view: str = "default") -> list[int]:
    """The numbers of all stored versions, oldest first; empty where nothing is enrolled."""
    folder = view_folder(references, product, view) / "versions"
    return sorted(int(path.stem) for path in folder.glob("*.json") if path.stem.isdecimal())


def list_enrolled(references: Path) -> list[tuple[str, str]]:
    """All (product, view) that have a current reference set, sorted."""
    found = (path.parent for path in references.glob("*/*/current.json"))
    return sorted((folder.parent.name, folder.name) for folder in found)


def current_version(references: Path, product: str, view: str = "default") -> int | None:
    """The number of the version that judges now, None where nothing is enrolled."""
    path = view_folder(references, product, view) / "current.json"
    if not path.is_file():
        return None
    number = read_json(path).get("version")
    if not isinstance(number, int):
        message = f"{path} is damaged (no version number); enrol again or restore the folder from a backup"
        raise ReferenceSetError(message)
    return number


def load_reference_set(
    references: Path, product: str, view: str = "default", version: int | None = None
) -> ReferenceSet:
    """Load the current (or one certain) version, each golden's file held to its SHA-256.

    Raises:
        NotEnrolledError: the product and view have no reference set.
        ReferenceSetError: no such version, or a manifest, golden, mask or recipe is missing or was altered.
    """
    folder = view_folder(references, product, view)
    number = version if version is not None else current_version(references, product, view)
    if number is None or not list_versions(references, product, view):
        raise NotEnrolledError(_not_enrolled(references, product, view))
    if not version_file(folder, number).is_file():
        known = ", ".join(map(str, list_versions(references, product, view)))
        message = f"{product}/{view} has no version {number}; stored are {known}"
        raise ReferenceSetError(message)
    goldens = _goldens(version_file(folder, number))
    found = ReferenceSet(
        product=product, view=view, version=number, goldens=goldens, recipe=_recipe(folder), folder=folder
    )
    for golden in goldens:
        found.bytes_of(golden)
    return found


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of the store.

    Raises:
        ReferenceSetError: the file is missing or damaged.
    """
    remedy = "restore the folder from a backup or enrol again"
    try:
        content = json.loads(_read(path, "reference set", remedy))
    except ValueError as error:
        message = f"{path} is damaged ({error}); {remedy}"
        raise ReferenceSetError(message) from error
    if not isinstance(content, dict):
        message = f"{path} is damaged (no JSON object); {remedy}"
        raise ReferenceSetError(message)
    return content


def _goldens(manifest: Path) -> tuple[Golden, ...]:
    try:
        goldens = tuple(Golden(**golden) for golden in read_json(manifest)["goldens"])
    except (KeyError, TypeError) as error:
        message = f"{manifest} is damaged ({error}); restore the folder from a backup or enrol again"
        raise ReferenceSetError(message) from error
    if not goldens:
        message = f"{manifest} names no golden; restore the folder from a backup or enrol again"
        raise ReferenceSetError(message)
    for golden in goldens:
        _require_inside(golden.file, manifest)
    return goldens


def _require_inside(file: object, manifest: Path) -> None:
    """A golden's file lies in `goldens/`: a manifest from elsewhere neither reads nor writes anything beside it."""
    folder, _, name = str(file).partition("/")
    if folder != GOLDENS or not is_plain_name(name):
        message = f"{manifest} names the golden {file!r}, outside of {GOLDENS}/; restore the folder or enrol again"
        raise ReferenceSetError(message)


def _recipe(folder: Path) -> Recipe:
    path = folder / "recipe.json"
    text = _read(path, "recipe", "enrol again, which writes one").decode("utf-8", "replace")
    try:
        recipe = Recipe.from_json(text)
    except RecipeError as error:
        message = f"{path}: {error}"
        raise RecipeError(message) from error
    weights = recipe.encoder.weights and str(folder.absolute() / recipe.encoder.weights)
    return replace(recipe, encoder=replace(recipe.encoder, weights=weights))


def _read(path: Path, what: str, remedy: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"{what} can't be read ({path}: {error.strerror or error}); {remedy}"
        raise ReferenceSetError(message) from error


def _not_enrolled(references: Path, product: str, view: str) -> str:
    views = [name for known, name in list_enrolled(references) if known == product]
    if views:
        remedy = f"`goldentwin enrol {product} --view {view} --from DIR` makes one"
        return f"{product} has no view {view!r}, only {', '.join(views)}; {remedy}"
    return f"{product}/{view} has no reference set in {references}; `goldentwin enrol {product} --from DIR` makes one"
