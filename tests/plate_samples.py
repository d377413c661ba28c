"""An enrolled product for tests of whole commands: made once a session, copied for each test that wants it."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_night import PRODUCT, draw_part, write_goldens

from inspection.calibration import Policy
from pipeline.calibrating import calibrate_product
from pipeline.enrolling import enrol_product
from pipeline.workspace import Workspace

DEAD_MLFLOW = "http://127.0.0.1:9"
IMAGE_SIZE = 128
GOOD, SCRATCHED = 20, 5


def enrolled_plate(home: Path) -> Workspace:
    """A home in which three goldens of the plate are enrolled, with the provisional calibration."""
    return _copy(_enrolled(), home)


def calibrated_plate(home: Path) -> Workspace:
    """The same, calibrated on `labelled_plates()` with at most 5 % overkill."""
    return _copy(_calibrated(), home)


@functools.cache
def labelled_plates() -> Path:
    """A labelled set: good plates, scratched plates with masks. Not to be written to."""
    folder = _folder() / "labelled"
    write_plates(folder / "good", GOOD)
    write_plates(folder / "scratch", SCRATCHED, first=100, scratched=True)
    truth = folder.parent / "ground_truth" / "scratch"
    truth.mkdir(parents=True)
    for number in range(100, 100 + SCRATCHED):
        changed = draw_part(number, scratched=True) != draw_part(number)
        cv2.imwrite(str(truth / f"plate{number}_mask.png"), changed.any(axis=2).astype(np.uint8) * 255)
    return folder


def write_plates(folder: Path, count: int, *, first: int = 10, scratched: bool = False) -> list[Path]:
    """`count` pictures of plates that are no goldens, numbered from `first`."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"plate{number}.png" for number in range(first, first + count)]
    for number, path in enumerate(paths, start=first):
        cv2.imwrite(str(path), draw_part(number, scratched=scratched)[..., ::-1])
    return paths


@functools.cache
def _enrolled() -> Path:
    home = _folder() / "home"
    files = sorted(write_goldens(home.parent / "goldens", 3).iterdir())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", DEAD_MLFLOW)
        enrol_product(Workspace.locate(home), PRODUCT, "default", files=files, added_by="anna", image_size=IMAGE_SIZE)
    return home


@functools.cache
def _calibrated() -> Path:
    workspace = _copy(_enrolled(), _folder() / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", DEAD_MLFLOW)
        policy = Policy(max_overkill=0.05)
        calibrate_product(workspace, PRODUCT, "default", labelled=labelled_plates(), policy=policy)
    return workspace.home


def _copy(source: Path, home: Path) -> Workspace:
    shutil.copytree(source, home, dirs_exist_ok=True)
    return Workspace.locate(home)


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="goldentwin-plates-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
