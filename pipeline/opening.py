"""Open the inspector of a product: goldens, calibration and engine brought together."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from inspection.calibration import Calibration, provisional_calibration
from inspection.durable import write_text
from inspection.errors import CalibrationError, NotCalibratedError, NotEnrolledError
from inspection.inspector import Inspector
from inspection.recipe import digest_of
from inspection.reference_set import load_reference_set
from pipeline.champions import read_champion

if TYPE_CHECKING:
    from inspection.reference_set import ReferenceSet
    from pipeline.workspace import Workspace

CURRENT = "current.json"
_one_at_a_time = Lock()


def open_inspector(workspace: Workspace, product: str, view: str = "default", *, engine: str = "auto") -> Inspector:
    """Open the inspector of the current goldens, with the calibration bound to them if there is one.

    Where the reference images can't be found (a share that is away), the last champion kept locally judges.

    Raises:
        NotEnrolledError: there are neither goldens in reach nor a champion.
        WeightsError: the encoder's weights are missing or don't fit.
        ReferenceSetError: a golden was altered since it was enrolled.
    """
    try:
        reference_set = _enrolled(workspace, product, view)
    except NotEnrolledError:
        champion = read_champion(workspace, product, view)
        if champion is None:
            raise
        return champion.open(cache=workspace.cache, engine=engine)
    inspector = Inspector(reference_set, cache=workspace.cache, engine=engine)
    calibration = read_calibration(workspace, product, view)
    if calibration is not None and _is_bound(calibration, inspector):
        inspector.calibration = calibration
    return inspector


@lru_cache(maxsize=4)
def _opened(workspace: Workspace, product: str, view: str, engine: str, _state: str) -> Inspector:
    return open_inspector(workspace, product, view, engine=engine)


def keep_inspector(workspace: Workspace, product: str, view: str, *, engine: str) -> Inspector:
    """The same, kept open in this process until goldens, recipe, weights, calibration or champion change."""
    state = _state_of(workspace, product, view)
    with _one_at_a_time:  # or several threads would each open it
        return _opened(workspace, product, view, engine, state)


def provisionally_calibrated(inspector: Inspector) -> Inspector:
    """The same inspector, judging by a provisional calibration from its goldens alone; nothing is kept."""
    inspector.calibration = provisional_calibration(inspector.golden_similarities, binding=inspector.binding)
    return inspector


def read_calibration(workspace: Workspace, product: str, view: str) -> Calibration | None:
    """The current calibration; None where none was made yet.

    Raises:
        CalibrationError: it can't be read.
    """
    folder = workspace.calibrations / product / view
    try:
        digest = str(json.loads((folder / CURRENT).read_text(encoding="utf-8"))["calibration"])
        return Calibration.from_json((folder / f"{digest}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{folder / CURRENT} can't be read ({error}); run `goldentwin calibrate {product}` to make it anew"
        raise CalibrationError(message) from error


def keep_calibration(workspace: Workspace, product: str, view: str, calibration: Calibration) -> Path:
    """Write a calibration and make it the current one; older ones stay beside it."""
    folder = workspace.calibrations / product / view
    path = folder / f"{calibration.digest}.json"
    write_text(path, calibration.to_json())
    write_text(folder / CURRENT, json.dumps({"calibration": calibration.digest}) + "\n")
    return path


def _enrolled(workspace: Workspace, product: str, view: str) -> ReferenceSet:
    try:
        return load_reference_set(workspace.references, product, view)
    except OSError as error:  # a share that hangs or went away
        message = f"the goldens of {product}/{view} can't be reached ({error}); mount {workspace.references} again"
        raise NotEnrolledError(message) from error


def _is_bound(calibration: Calibration, inspector: Inspector) -> bool:
    try:
        calibration.check(inspector.binding)
    except NotCalibratedError:
        return False
    return True


def _state_of(workspace: Workspace, product: str, view: str) -> str:
    """Changes whenever an inspector kept open would judge by what no longer holds."""
    try:
        reference_set = _enrolled(workspace, product, view)
    except NotEnrolledError:
        champion = read_champion(workspace, product, view)
        return f"champion {champion.digest}" if champion else ""
    calibration = read_calibration(workspace, product, view)
    weights = reference_set.recipe.encoder.weights
    return digest_of(
        [
            reference_set.digest,
            reference_set.recipe.digest,
            weights and [weights, _stamp(Path(weights))],
            calibration and calibration.digest,
        ]
    )


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns
