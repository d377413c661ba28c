"""A line of plates with a champion, challengers made for it, and a frozen set; for tests of the model's life."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from drawn_line import PLATES, DrawnLine, calibrated, enrol, write
from drawn_night import PRODUCT, draw_part
from tracking_inputs import workspace_in

from inspection.calibration import Policy, calibrate_scores
from inspection.recipe import Recipe
from pipeline.bundle import Bundle
from pipeline.gates import Limits
from pipeline.keeping import keep_judged, open_audit
from pipeline.opening import open_inspector
from pipeline.outbox import post
from pipeline.promoting import Promotion, promote
from pipeline.tracking.connection import connected
from pipeline.tracking.logs import CalibrationLog, LabelledFile
from pipeline.tracking.models import registered_name
from pipeline.workspace import Workspace

# Drawn plates: good ones read 0.932 to 0.942, the faintest scratch 0.785, the next ones 0.776 and less.
USUAL, MISSES_ONE, FLAGS_GOOD = 0.86, 0.78, 0.938
GOOD = SCRATCHED = 20
FAINTEST = "scratch/00.png"


def life_line(plates: DrawnLine, home: Path) -> Workspace:
    """A home with enrolled plates and an empty MLflow store, without a champion."""
    plates.copy(home)
    return workspace_in(home)


def calibrate_at(
    workspace: Workspace, threshold: float, *, challenger: bool = False, chosen_on: tuple[str, ...] = ()
) -> Bundle:
    """Keep and post a calibration with this threshold, as `calibrate_product` does; `chosen_on` are SHA-256."""
    inspector = open_inspector(workspace, PRODUCT, engine="onnx")
    sample = np.linspace(0.93, 0.95, 40), np.linspace(0.5, 0.7, 40)
    calibration = replace(calibrate_scores(*sample, policy=Policy(), binding=inspector.binding), threshold=threshold)
    inspector.calibration = calibration
    files = [LabelledFile(name=f"{n}.png", sha256=sha256, label="good") for n, sha256 in enumerate(chosen_on)]
    kept = keep_judged(workspace, inspector, files, challenger=challenger, by="anna")
    log = CalibrationLog(
        product=PRODUCT,
        view="default",
        calibration=calibration,
        goldens=2,
        labelled=files,
        bundle=kept.bundle.folder,
        make_challenger=challenger,
        decided_at=kept.row.at,
        audit=str(kept.row.anchor),
    )
    post(workspace, log)
    return kept.bundle


def scratched(number: int) -> np.ndarray:
    """A plate with a scratch, fainter the lower the number, (128, 128, 3) uint8 RGB."""
    clean, marked = draw_part(100 + number).astype(float), draw_part(100 + number, scratched=True).astype(float)
    return (clean + (marked - clean) * (0.2 + 0.04 * number)).astype(np.uint8)


def frozen_set(folder: Path, *, good: int = GOOD, defective: int = SCRATCHED) -> Path:
    """A labelled set of plates that are no goldens."""
    write(folder / "good", [draw_part(10 + number) for number in range(good)])
    write(folder / "scratch", [scratched(number) for number in range(defective)])
    return folder


def promoted(workspace: Workspace, labelled: Path, **limits: float) -> Promotion:
    """Ask for a promotion."""
    given = Limits(**limits)
    return promote(workspace, PRODUCT, "default", labelled=labelled, limits=given, by="bert", engine="onnx")


def aliases(workspace: Workspace) -> dict[str, str]:
    """The digests of the bundles that the registry's aliases name."""
    name = registered_name(PRODUCT, "default")
    with connected(workspace) as client:
        found = client.get_registered_model(name).aliases
        return {alias: client.get_model_version(name, number).tags["bundle"] for alias, number in found.items()}


def runs_of(workspace: Workspace, kind: str) -> list:
    """The MLflow runs of one kind."""
    with connected(workspace) as client:
        experiment = client.get_experiment_by_name(f"goldentwin/{PRODUCT}/default")
        return client.search_runs([experiment.experiment_id], filter_string=f"tags.`goldentwin.kind` = '{kind}'")


def actions(workspace: Workspace) -> list[str]:
    """What the audit record says was done."""
    with open_audit(workspace) as audit:
        assert audit.verify() is None
        return [row.action for row in audit.rows()]


def tried_elsewhere(line: Workspace, folder: Path, goldens: list, recipe: Recipe = PLATES) -> Workspace:
    """The same home with references of its own, in which other goldens are enrolled and calibrated provisionally."""
    tried = Workspace(home=line.home, references=folder)
    enrol(tried, PRODUCT, goldens, recipe)
    calibrated(tried, PRODUCT)
    return tried
