"""Evidence: the pictures that show a reviewer why a frame was flagged."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import EvidenceError
from pipeline.evidence_store import FOLDER, EvidenceAge, checked, evidence_store, write_whole

if TYPE_CHECKING:
    from pipeline.workspace import Workspace

JPEG_QUALITY = 90
_LONGEST_NAME = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def keep_evidence(workspace: Workspace, place: Sequence[str], frame_name: str, strip: NDArray[np.uint8]) -> Path:
    """Keep `strip` (H, W, 3, RGB uint8) as a JPEG among the evidence and give its path relative to the home.

    The picture is named after the frame (see `evidence_name`), so keeping it again replaces it; it appears whole or not
    at all, whatever happens meanwhile.

    Args:
        workspace: whose evidence.
        place: product, view, batch, and what else tells pictures of a frame apart.
        frame_name: the frame's id.
        strip: the picture.

    Raises:
        EvidenceError: it can't be written (full disk, S3 away), or the place is none.
    """
    evidence = checked("/".join([FOLDER, *place, evidence_name(frame_name)]))
    evidence_store(workspace).write(evidence, _jpeg(frame_name, strip))
    return Path(evidence)


def read_evidence(workspace: Workspace, evidence: str) -> bytes | None:
    """The JPEG that a row names; None where it is gone, and where the row names no evidence.

    Raises:
        EvidenceError: it can't be read now (no permission, S3 away).
    """
    return evidence_store(workspace).read(evidence) if is_evidence(evidence) else None


def has_evidence(workspace: Workspace, evidence: str) -> bool:
    """Whether the picture that a row names is there.

    Raises:
        EvidenceError: that can't be said now (S3 away).
    """
    return is_evidence(evidence) and evidence_store(workspace).has(evidence)


def is_evidence(evidence: str) -> bool:
    """Whether this is a name that evidence may have; a row that names anything else has no picture."""
    try:
        return bool(checked(evidence))
    except EvidenceError:
        return False


def write_evidence(folder: Path, frame_name: str, strip: NDArray[np.uint8]) -> Path:
    """Write `strip` (H, W, 3, RGB uint8) as a JPEG into any `folder`, named as in the evidence, and return its path.

    Raises:
        EvidenceError: the picture can't be written (no permission, full disk); the message names the folder.
    """
    path = folder / evidence_name(frame_name)
    write_whole(path, _jpeg(frame_name, strip))
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
    """Every evidence picture there is, those of a batch one after the other. The one place that lists evidence.

    Raises:
        EvidenceError: S3 is away.
    """
    return evidence_store(workspace).ages()


def remove_evidence(workspace: Workspace, evidence: str) -> None:
    """Remove a picture for good, and its batch's folders with the last one. The one place that does.

    Whoever calls it has taken it out of the records before. Removing it again changes nothing.

    Args:
        workspace: where it lies.
        evidence: its path relative to the home, as rows have it.

    Raises:
        EvidenceError: it can't be removed, or is no evidence.
    """
    evidence_store(workspace).remove(evidence)


def _jpeg(frame_name: str, strip: NDArray[np.uint8]) -> bytes:
    encoded, data = cv2.imencode(
        ".jpg", cv2.cvtColor(strip, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    if not encoded:
        message = f"the evidence picture of {frame_name!r} can't be encoded as JPEG ({strip.shape[1]}x{strip.shape[0]})"
        raise EvidenceError(message)
    return bytes(data.tobytes())
