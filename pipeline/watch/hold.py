"""The hold: while frames are out of the range of their calibration, no part passes automatically."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from inspection.durable import write_text

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.workspace import Workspace


def hold_pass(workspace: Workspace, product: str, view: str, *, calibration: str, reason: str) -> None:
    """From now on no part of the view passes automatically, while the calibration of this digest is in force."""
    text = json.dumps({"calibration": calibration, "reason": reason}, indent=2) + "\n"
    write_text(_file(workspace, product, view), text)


def read_hold(workspace: Workspace, product: str, view: str, calibration: str | None) -> str:
    """Why no part of the view passes automatically; "" where parts do, as after a new calibration."""
    path = _file(workspace, product, view)
    try:
        hold = json.loads(path.read_text(encoding="utf-8"))
        if hold["calibration"] != calibration:
            return ""
        reason = str(hold["reason"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{path} can't be read ({error})"  # never PASS by mistake
    return f"automatic PASS is off: {reason}; mend the line, or run `goldentwin calibrate {product} --view {view}`"


def _file(workspace: Workspace, product: str, view: str) -> Path:
    return workspace.home / "holds" / product / f"{view}.json"
