"""The judged model as one folder: goldens, recipe, calibration and own weights, all held to hashes.

The embedded weights are not in it: they come with the package that the installation requires, and the encoder's digest
holds them to what the calibration was made with.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from inspection.calibration import Calibration
from inspection.errors import CalibrationError, ReferenceSetError
from inspection.recipe import Recipe, digest_of
from inspection.reference_set import ReferenceSet, load_reference_set, twin_files, version_file
from inspection.verdicts import Provenance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inspection.inspector import Inspector

FORMAT = 1
MANIFEST = "manifest.json"
CALIBRATION = "calibration.json"
REFERENCES = "references"
WEIGHTS = "weights"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A judged model as it was read: every file is what the manifest says.

    `digest` (12 hex digits) is over all files; `provenance` is what its verdicts will rest on.
    """

    folder: Path
    digest: str
    provenance: Provenance
    reference_set: ReferenceSet
    calibration: Calibration

    def open(self, *, cache: Path | None = None, engine: str = "auto") -> Inspector:
        """The inspector that judges exactly as the one that the bundle was written from.

        Raises:
            CalibrationError: the installed encoder is another one, so that the calibration would not hold.
        """
        from inspection.inspector import Inspector  # noqa: PLC0415 - loads torch, which reading a bundle does not need

        inspector = Inspector(self.reference_set, calibration=self.calibration, cache=cache, engine=engine)
        if inspector.provenance != self.provenance:
            message = (
                f"the bundle in {self.folder} was made with {_named(self.provenance)}, but here is "
                f"{_named(inspector.provenance)}; install the goldentwin and weights of then, or calibrate anew"
            )
            raise CalibrationError(message)
        return inspector


def write_bundle(folder: Path, inspector: Inspector) -> Path:
    """Write what `inspector` judges by into `folder`, which must be empty or not exist, and give `folder`.

    Raises:
        CalibrationError: the inspector has no calibration.
        ReferenceSetError: a golden was altered since it was enrolled.
        OSError: the disk is full, or `folder` can't be written or is not empty.
    """
    reference_set, calibration = inspector.reference_set, inspector.calibration
    if calibration is None:
        message = f"{reference_set.product}/{reference_set.view} has no calibration; run `goldentwin calibrate` first"
        raise CalibrationError(message)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        message = f"{folder} is not empty; a bundle needs a folder of its own"
        raise FileExistsError(message)
    weights = reference_set.recipe.encoder.weights
    if weights is not None:
        _write(folder / WEIGHTS / Path(weights).name, Path(weights).read_bytes())
    _write_references(folder / REFERENCES / reference_set.product / reference_set.view, reference_set)
    (folder / CALIBRATION).write_text(calibration.to_json(), encoding="utf-8")
    manifest = {
        "format": FORMAT,
        "product": reference_set.product,
        "view": reference_set.view,
        "version": reference_set.version,
        "provenance": asdict(inspector.provenance),
        "provisional": calibration.provisional,
        "created_at": calibration.created_at,
        "files": {name: _sha256(folder / name) for name in _files(folder)},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return folder


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle, every file held to its hash.

    Raises:
        ReferenceSetError: the folder is no bundle, or a file is missing, altered or unknown to the manifest.
        CalibrationError: the calibration can't be read.
    """
    manifest = _manifest(folder)
    _verify(folder, manifest["files"])
    calibration = Calibration.from_json((folder / CALIBRATION).read_text(encoding="utf-8"))
    found = load_reference_set(folder / REFERENCES, manifest["product"], manifest["view"], manifest["version"])
    return Bundle(
        folder=folder,
        digest=digest_of(manifest["files"]),
        provenance=Provenance(**manifest["provenance"]),
        reference_set=replace(found, recipe=_with_weights_of(folder, found.recipe)),
        calibration=calibration,
    )


def _write_references(target: Path, reference_set: ReferenceSet) -> None:
    """Copy one version of the reference set, in the layout of the store."""
    for golden in reference_set.goldens:
        _write(target / golden.file, reference_set.bytes_of(golden))
    recipe = reference_set.recipe
    _write(target / "recipe.json", recipe.to_json().encode())
    for mask in filter(None, (recipe.roi_mask, recipe.ignore_mask)):
        _write(target / mask, (reference_set.folder / mask).read_bytes())
    if recipe.twin is not None:
        for file in twin_files(reference_set.folder, recipe.twin):
            _write(target / file.name, file.read_bytes())
    version = version_file(target, reference_set.version)
    _write(version, version_file(reference_set.folder, reference_set.version).read_bytes())
    _write(target / "current.json", json.dumps({"version": reference_set.version}).encode())


def _with_weights_of(folder: Path, recipe: Recipe) -> Recipe:
    """The recipe, with the encoder's weights (where it names a file) taken from the bundle."""
    if recipe.encoder.weights is None:
        return recipe
    weights = folder / WEIGHTS / Path(recipe.encoder.weights).name
    return replace(recipe, encoder=replace(recipe.encoder, weights=str(weights)))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        plain = {
            "format": int(manifest["format"]),
            "product": str(manifest["product"]),
            "view": str(manifest["view"]),
            "version": int(manifest["version"]),
            "provenance": {name: manifest["provenance"][name] for name in Provenance.__dataclass_fields__},
            "files": {str(name): str(digest) for name, digest in manifest["files"].items()},
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{folder} is no readable bundle ({error}); run `goldentwin calibrate` to make it anew"
        raise ReferenceSetError(message) from error
    if plain["format"] != FORMAT:
        message = f"{folder} is a bundle of format {plain['format']}, this goldentwin reads {FORMAT}; calibrate anew"
        raise ReferenceSetError(message)
    return plain


def _verify(folder: Path, files: dict[str, str]) -> None:
    remedy = "fetch the model again or run `goldentwin calibrate`"
    for name, digest in files.items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            message = f"the bundle {folder} names {name!r}, outside of itself; {remedy}"
            raise ReferenceSetError(message)
        if not (folder / name).is_file() or _sha256(folder / name) != digest:
            message = f"{name} in the bundle {folder} is missing or was altered; {remedy}"
            raise ReferenceSetError(message)
    if unknown := sorted(set(_files(folder)) - set(files) - {MANIFEST}):
        message = f"the bundle {folder} holds {unknown[0]}, which its manifest does not name; {remedy}"
        raise ReferenceSetError(message)


def _files(folder: Path) -> Iterator[str]:
    return (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _named(provenance: Provenance) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in asdict(provenance).items())
