"""What a line needs before it starts: a judge that may pass parts, its pace, and the line to itself."""

from __future__ import annotations

import statistics
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from inspection.errors import CalibrationError, RecordsError
from pipeline.line.settings import StreamError
from pipeline.opening import keep_inspector
from pipeline.signals import SinkLostError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inspection.inspector import Inspector
    from pipeline.cameras import Camera
    from pipeline.line.settings import LineSettings
    from pipeline.line.twofold_spool import TwofoldSpool
    from pipeline.signals import Sink

_WARM_UP: Final = 3


def open_judge(settings: LineSettings) -> Inspector:
    """The inspector of the product, with a calibration.

    Raises:
        NotEnrolledError: the product and view have no goldens.
        CalibrationError: no part could pass.
    """
    inspector = keep_inspector(settings.workspace, settings.product, settings.view, engine=settings.engine)
    if inspector.calibration is None:
        message = f"no frame of {settings.product}/{settings.view} can be judged: {inspector.uncalibrated}"
        raise CalibrationError(message)
    return inspector


def seconds_a_frame(inspector: Inspector) -> float:
    """What one frame takes alone, measured on the first golden once everything is warm."""
    taken = []
    for _ in range(2 * _WARM_UP):
        started = time.monotonic()
        inspector.judge([inspector.first_golden])
        taken.append(time.monotonic() - started)
    return statistics.median(taken[_WARM_UP:])


def remembered_as(settings: LineSettings, camera: Camera) -> str | None:
    """As what the names of a camera's frames are remembered; None where its frames come once and are gone.

    Another folder, or the same for another product, is judged from its beginning.
    """
    return None if camera.live else f"{settings.product}/{settings.view}:{Path(camera.name).absolute()}"


def alone(settings: LineSettings) -> FileLock:
    """The lock of this line in this home; release it at the end.

    Raises:
        StreamError: another process runs it.
        RecordsError: the home can't be written.
    """
    settings.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.folder / "line.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        message = (
            f"line {settings.line!r} already runs in {settings.workspace.home}; stop it, or name another with --line"
        )
        raise StreamError(message) from error
    except OSError as error:
        message = f"{settings.folder} can't be written ({error}); name another home with --home"
        raise RecordsError(message) from error
    return lock


def leave_behind(spool: TwofoldSpool, sinks: Sequence[Sink]) -> None:
    """Begin behind what the receivers hold of an earlier life of this line's numbers."""
    for sink in sinks:
        with suppress(SinkLostError):
            sink.open()
            spool.skip_to((sink.last_sequence() or 0) + 1)
        with suppress(Exception):
            sink.close()


def spool_file(settings: LineSettings) -> Path:
    """Where the line's spool lies."""
    return settings.folder / "spool.db"
