"""Champion and challenger of each product and view, kept in the home folder: work goes on when MLflow is down.

Both lie on a shelf of their own, `<home>/champions/<product>/<view>/` and `<home>/challengers/...`: a folder a bundle,
named by its digest, and a pointer that names the one that counts. A few older ones stay beside it.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspection.errors import CalibrationError, ReferenceSetError
from inspection.reference_set import view_folder
from pipeline.bundle import Bundle, read_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.workspace import Workspace

_KEPT = 3


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """The folder of one product's and view's bundles in one role, `champion` or `challenger`."""

    folder: Path
    role: str

    @property
    def pointer(self) -> Path:
        """The file that names the bundle that counts."""
        return self.folder / f"{self.role}.json"

    def put(self, bundle: Path) -> Bundle:
        """Copy `bundle` onto the shelf without pointing to it; one that lies there whole is not copied again."""
        target = self.folder / read_bundle(bundle).digest
        self.folder.mkdir(parents=True, exist_ok=True)
        if not _is_whole(target):
            _copy(bundle, target)
        return read_bundle(target)

    def point(self, digest: str) -> None:
        """Make one that lies here the one that counts, in one step, and forget all but a few of the others."""
        _point(self.pointer, digest)
        _forget_old(self.folder, digest)

    def pointed(self) -> str | None:
        """The digest of the one that counts; None where there is none.

        Raises:
            ReferenceSetError: the pointer can't be read.
        """
        try:
            digest = str(json.loads(self.pointer.read_text(encoding="utf-8"))["bundle"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            product = self.folder.parent.name
            message = f"{self.pointer} can't be read ({error}); run `goldentwin calibrate {product}` to make it anew"
            raise ReferenceSetError(message) from error
        return os.path.basename(digest)  # noqa: PTH119 - a name, never a way out

    def read(self) -> Bundle | None:
        """The one that counts, every file held to its hash; None where there is none.

        Raises:
            ReferenceSetError: it was damaged.
            CalibrationError: its calibration can't be read.
        """
        digest = self.pointed()
        return None if digest is None else read_bundle(self.folder / digest)

    def find(self, digest: str) -> Bundle | None:
        """The one with this digest, whether it counts or not; None where it is no longer here, or damaged."""
        target = self.folder / os.path.basename(digest)  # noqa: PTH119 - a name, never a way out
        try:
            found = read_bundle(target) if digest else None
        except (ReferenceSetError, CalibrationError):
            return None
        return found if found is not None and found.digest == digest else None

    def clear(self) -> None:
        """Point to none any more; the bundles stay."""
        self.pointer.unlink(missing_ok=True)


def champion_shelf(workspace: Workspace, product: str, view: str) -> Shelf:
    """Where the champions of a product and view lie."""
    return Shelf(folder=view_folder(workspace.champions, product, view), role="champion")


def challenger_shelf(workspace: Workspace, product: str, view: str) -> Shelf:
    """Where its challengers lie."""
    return Shelf(folder=view_folder(workspace.challengers, product, view), role="challenger")


def keep_champion(workspace: Workspace, bundle: Path) -> Bundle:
    """Copy `bundle` into the home folder and make it the local champion, in one step that a kill can't halve.

    A few older champions stay beside it.

    Raises:
        CalibrationError: its calibration is provisional, and so it can't be champion.
        ReferenceSetError: the bundle is damaged.
        OSError: the disk is full, or the home folder can't be written; the old champion stays.
    """
    source = read_bundle(bundle)
    if source.calibration.provisional:
        message = "a provisional calibration can't be champion; run `goldentwin calibrate PRODUCT --labelled DIR`"
        raise CalibrationError(message)
    shelf = champion_shelf(workspace, source.reference_set.product, source.reference_set.view)
    kept = shelf.put(bundle)
    shelf.point(kept.digest)
    return kept


def read_champion(workspace: Workspace, product: str, view: str) -> Bundle | None:
    """The local champion, every file held to its hash; None where there is none.

    Raises:
        ReferenceSetError: it was damaged.
        CalibrationError: its calibration can't be read.
    """
    return champion_shelf(workspace, product, view).read()


def read_challenger(workspace: Workspace, product: str, view: str) -> Bundle | None:
    """The local challenger, every file held to its hash; None where there is none.

    Raises:
        ReferenceSetError: it was damaged.
        CalibrationError: its calibration can't be read.
    """
    return challenger_shelf(workspace, product, view).read()


def _is_whole(target: Path) -> bool:
    try:
        read_bundle(target)
    except (ReferenceSetError, CalibrationError):
        return False
    return True


def _copy(bundle: Path, target: Path) -> None:
    temporary = target.with_name(f".{uuid.uuid4().hex}")
    try:
        shutil.copytree(bundle, temporary)
        shutil.rmtree(target, ignore_errors=True)
        temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _point(pointer: Path, digest: str) -> None:
    temporary = pointer.with_name(f".{uuid.uuid4().hex}")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump({"bundle": digest}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(pointer)


def _forget_old(folder: Path, digest: str) -> None:
    others = [path for path in folder.iterdir() if path.is_dir() and path.name != digest]
    for old in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT - 1 :]:
        shutil.rmtree(old, ignore_errors=True)
