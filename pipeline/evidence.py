"""Evidence: the pictures that show a reviewer why a frame was flagged."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import RecordsError

if TYPE_CHECKING:
    from pipeline.workspace import Workspace

JPEG_QUALITY = 90
_LONGEST_NAME = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_BATCH_LEVEL = 3  # evidence/<product>/<view>/<batch>/...


@dataclass(frozen=True, kw_only=True)
class EvidenceAge:
    """A picture that is there: `evidence` is its path relative to the home, as rows have it; `batch` drew it."""

    evidence: str
    batch: str
    modified: datetime
    size: int


def write_evidence(folder: Path, frame_name: str, strip: NDArray[np.uint8]) -> Path:
    """Write `strip` (H, W, 3, RGB uint8) as a JPEG into `folder` and return its path.

    The file is named after the frame (see `evidence_name`), so writing again replaces it; it appears whole or not
    at all, whatever happens meanwhile.

    Raises:
        RecordsError: the picture can't be written (no permission, full disk); the message names the folder.
    """
    encoded, data = cv2.imencode(
        ".jpg", cv2.cvtColor(strip, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    if not encoded:
        message = f"the evidence picture of {frame_name!r} can't be encoded as JPEG ({strip.shape[1]}x{strip.shape[0]})"
        raise RecordsError(message)
    path = folder / evidence_name(frame_name)
    unfinished = folder / f".{secrets.token_hex(8)}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_bytes(data.tobytes())
            os.replace(unfinished, path)  # noqa: PTH105 - the same call, and it says what it does
        finally:
            with contextlib.suppress(OSError):
                unfinished.unlink()
    except OSError as error:
        message = f"evidence can't be written to {folder}: {error}; free space or name another home with --home"
        raise RecordsError(message) from error
    return path


def evidence_name(frame_name: str) -> str:
    """The file name of a frame's evidence: readable, safe on every file system, and the frame's own.

    Letters, digits, dot, dash and underscore of the frame's name stay; a digest of the whole name follows, so that
    two frames never share a picture, however alike their names are once cleaned and shortened.
    """
    digest = hashlib.sha256(frame_name.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    readable = _UNSAFE.sub("-", frame_name)[-_LONGEST_NAME:].strip("-.") or "frame"
    return f"{readable}-{digest}.jpg"


def evidence_ages(workspace: Workspace) -> Iterator[EvidenceAge]:
    """Every evidence picture there is, those of a batch one after the other. The one place that lists evidence."""
    head = len(str(workspace.home)) + 1
    for entry in _files_below(str(workspace.evidence)):
        evidence = entry.path[head:].replace(os.sep, "/")
        levels = evidence.split("/")
        try:
            found = entry.stat(follow_symlinks=False)
        except OSError:
            continue  # gone meanwhile
        yield EvidenceAge(
            evidence=evidence,
            batch=levels[_BATCH_LEVEL] if len(levels) > _BATCH_LEVEL + 1 else "",
            modified=datetime.fromtimestamp(found.st_mtime, UTC),
            size=found.st_size,
        )


def remove_evidence(workspace: Workspace, evidence: str) -> None:
    """Remove a picture for good, and its batch's folders with the last one. The one place that does.

    Whoever calls it has taken it out of the records before. Removing it again changes nothing.

    Args:
        workspace: where it lies.
        evidence: its path relative to the home, as rows have it.

    Raises:
        RecordsError: it can't be removed, or is no evidence.
    """
    path = workspace.home / evidence
    if ".." in path.parts or not path.is_relative_to(workspace.evidence):
        message = f"{evidence!r} is no evidence picture of {workspace.home}"
        raise RecordsError(message)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        message = f"the evidence {path} can't be removed: {error}; make its folder writable for this user"
        raise RecordsError(message) from error
    with contextlib.suppress(OSError):  # not empty yet, or another is at it
        for folder in path.parents:
            if len(folder.relative_to(workspace.home).parts) <= _BATCH_LEVEL:
                break
            folder.rmdir()


def _files_below(folder: str) -> Iterator[os.DirEntry[str]]:
    """All files in a folder and those below it, sorted; a folder that is gone by now has none."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files_below(entry.path)
        else:
            yield entry
