"""The last champion of each product and view, kept in the home folder: inspection goes on when MLflow is down."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from typing import TYPE_CHECKING

from inspection.errors import CalibrationError, ReferenceSetError
from pipeline.bundle import Bundle, read_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.workspace import Workspace

POINTER = "champion.json"
_KEPT = 3


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
    shelf = _shelf(workspace, source.reference_set.product, source.reference_set.view)
    shelf.mkdir(parents=True, exist_ok=True)
    target = shelf / source.digest
    if not _is_whole(target):
        _copy(bundle, target)
    _point(shelf, source.digest)
    _forget_old(shelf, source.digest)
    return read_bundle(target)


def read_champion(workspace: Workspace, product: str, view: str) -> Bundle | None:
    """The local champion, every file held to its hash; None where there is none.

    Raises:
        ReferenceSetError: it was damaged.
        CalibrationError: its calibration can't be read.
    """
    pointer = _shelf(workspace, product, view) / POINTER
    try:
        digest = str(json.loads(pointer.read_text(encoding="utf-8"))["bundle"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{pointer} can't be read ({error}); run `goldentwin calibrate {product}` to make it anew"
        raise ReferenceSetError(message) from error
    return read_bundle(pointer.with_name(os.path.basename(digest)))  # noqa: PTH119 - a name, never a way out


def _shelf(workspace: Workspace, product: str, view: str) -> Path:
    return workspace.champions / product / view


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


def _point(shelf: Path, digest: str) -> None:
    temporary = shelf / f".{uuid.uuid4().hex}"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump({"bundle": digest}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(shelf / POINTER)


def _forget_old(shelf: Path, digest: str) -> None:
    others = [path for path in shelf.iterdir() if path.is_dir() and path.name != digest]
    for old in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT - 1 :]:
        shutil.rmtree(old, ignore_errors=True)
