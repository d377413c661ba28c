"""What can be made anew at any time: kept where that is possible, and never trusted to be whole."""

from __future__ import annotations

import hashlib
import logging
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_DIGEST_BYTES = hashlib.sha256().digest_size

logger = logging.getLogger(__name__)


def keep(path: Path, data: bytes) -> None:
    """Keep `data` at `path`, with its SHA-256 before it; the file appears whole or not at all.

    Several processes may keep the same at once. A cache that can't be written (full disk, no permission) costs time
    and no verdict: it is logged, and nothing raised.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(hashlib.sha256(data).digest() + data)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("%s can't be kept (%s); it will be made anew each time", path, error)


def kept(path: Path) -> bytes | None:
    """What was kept at `path`; None where there is nothing, or nothing whole."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, data = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return data if hashlib.sha256(data).digest() == digest else None
