"""The hold: while frames are out of the range of their calibration, no part passes automatically."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from inspection.durable import write_text

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class _Hold:
    """What the file of a view holds; `since` and `released` are ISO 8601, UTC, `released` "" while it is in force."""

    calibration: str
    since: str
    reason: str
    released: str = ""

    def covers(self, moment: datetime) -> bool:
        """Whether it is in force, or was released after that moment."""
        return not self.released or moment <= datetime.fromisoformat(self.released)


def hold_pass(  # noqa: PLR0913 - what a hold consists of, by name
    workspace: Workspace, product: str, view: str, *, calibration: str, reason: str, judged_at: datetime
) -> None:
    """From now on no part of the view passes automatically, while the calibration of this digest is in force.

    A hold in force keeps its reason and moment. What was judged (`judged_at`) before a hold was released does not bring
    it back, so that an old night may be looked at again.
    """
    path = _file(workspace, product, view)
    try:
        hold = _read(path)
    except (OSError, ValueError, TypeError):
        hold = None  # it holds already; now with a reason
    if hold is not None and hold.calibration == calibration and hold.covers(judged_at):
        return
    _write(path, _Hold(calibration=calibration, since=_now(), reason=reason))


def release_pass(workspace: Workspace, product: str, view: str) -> bool:
    """Let parts pass again, after the line was mended; False where nothing was held."""
    path = _file(workspace, product, view)
    try:
        hold = _read(path)
    except (OSError, ValueError, TypeError):
        path.unlink()
        return True
    if hold is None or hold.released:
        return False
    _write(path, _Hold(calibration=hold.calibration, since=hold.since, reason=hold.reason, released=_now()))
    return True


def read_hold(workspace: Workspace, product: str, view: str, calibration: str | None) -> str:
    """Why no part of the view passes automatically; "" where parts do, as after a new calibration."""
    path = _file(workspace, product, view)
    release = f"`goldentwin watch {product} --view {view} --release`"
    try:
        hold = _read(path)
        if hold is None or hold.calibration != calibration or hold.released:
            return ""
        since = datetime.fromisoformat(hold.since).astimezone()
    except (OSError, ValueError, TypeError) as error:  # never PASS by mistake
        return f"automatic PASS is off: {path} can't be read ({error}); when the line is in order, run {release}"
    return (
        f"automatic PASS is off since {since:%Y-%m-%d %H:%M}: {hold.reason}; mend the line and run {release}, "
        f"or calibrate with parts as they look now: `goldentwin calibrate {product} --view {view}`"
    )


def _file(workspace: Workspace, product: str, view: str) -> Path:
    from inspection.reference_set import view_folder  # noqa: PLC0415 - OpenCV takes long to import

    folder = view_folder(workspace.home / "holds", product, view)
    return folder.with_name(f"{view}.json")


def _read(path: Path) -> _Hold | None:
    try:
        return _Hold(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def _write(path: Path, hold: _Hold) -> None:
    write_text(path, json.dumps(asdict(hold), indent=2) + "\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
