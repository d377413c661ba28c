"""A line of drawn parts, enrolled and provisionally calibrated, for tests of judging."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
from drawn_night import PRODUCT, draw_part
from numpy.typing import NDArray

from inspection.calibration import provisional_calibration
from inspection.inspector import Inspector
from inspection.recipe import Recipe, RegistrationMethod
from pipeline.enrolment import enrol_goldens
from pipeline.opening import keep_calibration, open_inspector
from pipeline.workspace import Workspace

PLATES = Recipe(image_size=128, registration=RegistrationMethod.NONE)


@dataclass(frozen=True, kw_only=True)
class DrawnLine:
    """A workspace with one enrolled and calibrated product, and its inspector; not to be changed by tests."""

    workspace: Workspace
    inspector: Inspector

    def copy(self, home: Path) -> Workspace:
        """The same on disk in a home that a test may change; what was learned of the goldens comes along."""
        shutil.copytree(self.workspace.home, home)
        return Workspace(home=home, references=home / "reference_images")


def plate_line(home: Path) -> DrawnLine:
    """The line of plates with four holes: two goldens of 128 x 128 pixels, frames taken as they lie."""
    workspace = Workspace(home=home, references=home / "reference_images")
    enrol(workspace, PRODUCT, [draw_part(0), draw_part(1)], PLATES)
    return DrawnLine(workspace=workspace, inspector=calibrated(workspace, PRODUCT))


def enrol(
    workspace: Workspace,
    product: str,
    goldens: Sequence[NDArray],
    recipe: Recipe | None = None,
    mask: NDArray | None = None,
) -> None:
    """Enrol pictures as the product's goldens."""
    folder = write(workspace.home / "given", goldens)
    mask_file = None if mask is None else next(write(workspace.home / "mask", [mask]).iterdir())
    files = sorted(folder.iterdir())
    enrol_goldens(
        workspace.references, product=product, files=files, recipe=recipe, mask=mask_file, added_by="anna", add=False
    )
    shutil.rmtree(folder)


def calibrated(workspace: Workspace, product: str) -> Inspector:
    """Calibrate by the goldens alone, and open the inspector that then judges."""
    inspector = open_inspector(workspace, product, engine="onnx")
    provisional = provisional_calibration(inspector.golden_similarities, binding=inspector.binding)
    keep_calibration(workspace, product, "default", provisional)
    return open_inspector(workspace, product, engine="onnx")


def write(folder: Path, images: Sequence[NDArray], suffix: str = ".png", *, first: int = 0) -> Path:
    """Write pictures as `00.png`, `01.png` and so on (from `first`) into a folder that is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images, start=first):
        cv2.imwrite(str(folder / f"{number:02}{suffix}"), image[..., ::-1])
    return folder
