"""Batches begun and not summarised yet: one that was killed is taken up again, also where frames came since."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from inspection.durable import write_text

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.workspace import Workspace

LONGEST: Final = timedelta(hours=20)
"""A batch begun longer ago is another night's: it keeps its own rows, and is not taken up any more."""

logger = logging.getLogger(__name__)


def open_batch(workspace: Workspace, key: str, fresh: str) -> str:
    """The batch that was begun under `key` and not closed, or `fresh`, which is open from now on.

    Args:
        workspace: where the marks lie.
        key: the same for the same product, view, grounds and folders.
        fresh: the id of a batch of the frames as they are now.
    """
    path = _mark(workspace, key)
    try:
        begun = json.loads(path.read_text(encoding="utf-8"))
        if datetime.now(UTC) - datetime.fromisoformat(begun["at"]) < LONGEST:
            return str(begun["batch"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none was begun, or its mark is damaged: then this is a new one
    try:
        write_text(path, json.dumps({"batch": fresh, "at": datetime.now(UTC).isoformat()}) + "\n")
    except OSError as error:
        logger.warning("%s can't be written (%s): if this batch is killed, its rest will be another batch", path, error)
    return fresh


def close_batch(workspace: Workspace, key: str) -> None:
    """The batch under `key` is summarised; the next one is new."""
    try:
        _mark(workspace, key).unlink(missing_ok=True)
    except OSError as error:
        logger.warning("%s can't be removed (%s)", _mark(workspace, key), error)


def _mark(workspace: Workspace, key: str) -> Path:
    return workspace.home / "open_batches" / f"{key}.json"
