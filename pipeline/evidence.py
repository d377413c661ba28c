"""Evidence: the pictures that show a reviewer why a frame was flagged."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import RecordsError

JPEG_QUALITY = 90
_LONGEST_NAME = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


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
