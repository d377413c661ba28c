"""Open the inspector of a product: goldens, calibration and engine brought together."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from inspection.calibration import Calibration, provisional_calibration
from inspection.durable import write_text
from inspection.errors import CalibrationError, NotCalibratedError, NotEnrolledError
from inspection.inspector import Inspector
from inspection.recipe import digest_of
from inspection.reference_set import load_reference_set, view_folder
from pipeline.champions import read_champion
from pipeline.interrupted import interrupted_change
from pipeline.watch.hold import read_hold

if TYPE_CHECKING:
    from inspection.calibration import Binding
    from inspection.reference_set import ReferenceSet
    from pipeline.workspace import Workspace

CURRENT = "current.json"
BOUND = "bound"
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
        inspector = champion.open(cache=workspace.cache, engine=engine)
        inspector.hold = read_hold(workspace, product, view, champion.calibration.digest)
        return inspector
    inspector = Inspector(reference_set, cache=workspace.cache, engine=engine)
    calibration = bound_calibration(workspace, product, view, inspector.binding)
    if calibration is not None and _is_bound(calibration, inspector):
        inspector.calibration = calibration
        inspector.hold = read_hold(workspace, product, view, calibration.digest)
    else:
        inspector.uncalibrated = interrupted_change(workspace, product, view) or inspector.uncalibrated
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
    """The calibration that was kept last; None where none was made yet.

    Raises:
        CalibrationError: it can't be read.
    """
    return _pointed_to(view_folder(workspace.calibrations, product, view) / CURRENT)


def bound_calibration(workspace: Workspace, product: str, view: str, binding: Binding) -> Calibration | None:
    """The calibration kept last for this encoder, these goldens and this recipe, else the last one of all.

    So goldens that are tried in another folder of references, with the same home, leave the line's calibration alone.

    Raises:
        CalibrationError: it can't be read.
    """
    folder = view_folder(workspace.calibrations, product, view)
    last = _pointed_to(folder / CURRENT)
    if last is not None and last.binding == binding:
        return last
    return _pointed_to(_pointer_of(folder, binding)) or last


def keep_calibration(workspace: Workspace, product: str, view: str, calibration: Calibration) -> Path:
    """Write a calibration and make it the current one of what it is bound to; older ones stay beside it."""
    folder = view_folder(workspace.calibrations, product, view)
    path = folder / f"{calibration.digest}.json"
    pointer = json.dumps({"calibration": calibration.digest}) + "\n"
    write_text(path, calibration.to_json())
    write_text(_pointer_of(folder, calibration.binding), pointer)
    write_text(folder / CURRENT, pointer)
    return path


def _pointer_of(folder: Path, binding: Binding) -> Path:
    return folder / BOUND / f"{digest_of(asdict(binding))}.json"


def _pointed_to(pointer: Path) -> Calibration | None:
    folder = pointer.parent if pointer.name == CURRENT else pointer.parent.parent
    try:
        digest = os.path.basename(str(json.loads(pointer.read_text(encoding="utf-8"))["calibration"]))  # noqa: PTH119 - a name, never a way out
        return Calibration.from_json((folder / f"{digest}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{pointer} can't be read ({error}); run `goldentwin calibrate {folder.parent.name}` to make it anew"
        raise CalibrationError(message) from error


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
        if champion is None:
            return ""
        hold = read_hold(workspace, product, view, champion.calibration.digest)
        return digest_of(["champion", champion.digest, hold])
    calibration = read_calibration(workspace, product, view)
    pointers = sorted((workspace.calibrations / product / view / BOUND).glob("*.json"))
    weights = reference_set.recipe.encoder.weights
    return digest_of(
        [
            reference_set.digest,
            reference_set.recipe.digest,
            weights and [weights, _stamp(Path(weights))],
            calibration and calibration.digest,
            calibration and read_hold(workspace, product, view, calibration.digest),
            [(pointer.name, pointer.read_text(encoding="utf-8")) for pointer in pointers],
        ]
    )


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns
