"""The contact sheet of a night: the worst flagged parts on one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from inspection.durable import write_bytes
from inspection.overlay import contact_sheet
from pipeline.evidence import read_evidence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from pipeline.workspace import Workspace

ON_CONTACT_SHEET = 24


def draw_contact_sheet(
    workspace: Workspace, product: str, view: str, batch: str, flagged: Sequence[Mapping[str, Any]]
) -> Path | None:
    """Draw the evidence of the first flagged rows on one sheet and give its path; None where there is none to show.

    Raises:
        EvidenceError: the evidence can't be read now.
        OSError: the sheet can't be written.
    """
    named = [row["evidence"] for row in flagged[:ON_CONTACT_SHEET] if row["evidence"]]
    pictures = [_picture(read_evidence(workspace, evidence)) for evidence in named]
    shown = [picture for picture in pictures if picture is not None]
    if not shown:
        return None
    title = f"{product}/{view}: {len(flagged)} flagged, least like golden first"
    sheet = contact_sheet(shown, title=title)
    path = workspace.reports / product / view / f"batch-{batch}.jpg"
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    write_bytes(path, encoded.tobytes())
    return path


def _picture(data: bytes | None) -> NDArray[np.uint8] | None:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    return None if picture is None else np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
