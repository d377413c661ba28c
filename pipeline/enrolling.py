"""Enrol: goldens become a reference set that can judge at once, if only provisionally."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from inspection.audit import Finding, odd_findings
from inspection.calibration import Calibration, provisional_calibration
from inspection.errors import CalibrationError
from inspection.recipe import Recipe, RegistrationMethod
from inspection.reference_set import load_reference_set, view_folder
from inspection.reference_store import restore_version
from pipeline.enrolment import EnrolmentReport, enrol_goldens
from pipeline.keeping import open_audit
from pipeline.opening import keep_calibration, open_inspector
from pipeline.outbox import post
from pipeline.tracking.logs import CalibrationLog

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from inspection.inspector import Inspector
    from inspection.reference_set import ReferenceSet
    from pipeline.workspace import Workspace

ENROL: Final = "enrol"
RESTORE: Final = "restore"


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """What an enrolment did, and by which calibration the goldens judge from now on.

    `findings` are the audit's, with goldens that the network finds unlike the others.
    """

    report: EnrolmentReport
    findings: tuple[Finding, ...]
    calibration: Calibration


def enrol_product(  # noqa: PLR0913 - what an enrolment consists of, by name
    workspace: Workspace,
    product: str,
    view: str,
    *,
    files: Sequence[Path],
    added_by: str,
    mask: Path | None = None,
    register: str | None = None,
    image_size: int | None = None,
    add: bool = False,
    reviewed: Sequence[str] = (),
) -> Enrolled:
    """Enrol pictures as goldens, audit them with the network too, and make sure that there is a calibration.

    `register` (a registration method) and `image_size` (pixels) go into the recipe; what else it holds stays.
    `reviewed` are the keys of the verdicts whose frames a person confirmed as goldens, for the audit record. That has
    the new goldens before they judge: without a calibration nothing passes by them.

    Raises:
        ReferenceSetError: no picture passes the audit, a name can't be used, or the mask does not fit.
        RecipeError: the view's recipe can't be read.
        RecordsError: it can't be put on record; nothing has changed then.
        WeightsError: the encoder's weights are missing or don't fit.
    """
    with open_audit(workspace) as audit:
        report = enrol_goldens(
            workspace.references,
            product=product,
            view=view,
            files=files,
            recipe=_recipe(workspace, product, view, register, image_size),
            mask=mask,
            added_by=added_by,
            add=add,
        )
        evidence = {**_names_of(report.reference_set), **({"reviewed": list(reviewed)} if reviewed else {})}
        audit.append(who=added_by, action=ENROL, product=product, view=view, evidence=evidence)
    inspector = open_inspector(workspace, product, view)
    names = [golden.name for golden in report.reference_set.goldens]
    odd = odd_findings(names, inspector.golden_distances())
    return Enrolled(
        report=report,
        findings=(*report.findings, *odd),
        calibration=settle_calibration(workspace, inspector),
    )


def restore_goldens(workspace: Workspace, product: str, view: str, version: int, *, by: str) -> Enrolled:
    """Make a stored version of the reference set current again, with the calibration that was made for it.

    Raises:
        NotEnrolledError: the product and view have no reference set.
        ReferenceSetError: no such version, or one of its files is missing or was altered.
        RecordsError: it can't be put on record; nothing has changed then.
    """
    stored = load_reference_set(workspace.references, product, view, version)
    with open_audit(workspace) as audit:  # first: what is not on record does not happen
        audit.append(who=by, action=RESTORE, product=product, view=view, evidence=_names_of(stored))
    reference_set = restore_version(workspace.references, product, view, version, by)
    report = EnrolmentReport(reference_set=reference_set, created=False, findings=())
    calibration = settle_calibration(workspace, open_inspector(workspace, product, view))
    return Enrolled(report=report, findings=(), calibration=calibration)


def settle_calibration(workspace: Workspace, inspector: Inspector) -> Calibration:
    """The calibration bound to the inspector's goldens: the current one, an earlier one, else a provisional one."""
    if inspector.calibration is not None:
        return inspector.calibration
    reference_set = inspector.reference_set
    product, view = reference_set.product, reference_set.view
    calibration = _earlier(workspace, inspector)
    if calibration is None:
        calibration = provisional_calibration(inspector.golden_similarities, binding=inspector.binding)
        post(workspace, _log_of(calibration, reference_set))
    keep_calibration(workspace, product, view, calibration)
    inspector.calibration = calibration
    return calibration


def _names_of(reference_set: ReferenceSet) -> dict[str, Any]:
    """What the audit record names of goldens: the set, the recipe and each golden by hash."""
    return {
        "version": reference_set.version,
        "reference_set": reference_set.digest,
        "recipe": reference_set.recipe.digest,
        "goldens": {golden.name: golden.sha256 for golden in reference_set.goldens},
    }


def _log_of(calibration: Calibration, reference_set: ReferenceSet) -> CalibrationLog:
    return CalibrationLog(
        product=reference_set.product,
        view=reference_set.view,
        calibration=calibration,
        goldens=len(reference_set.goldens),
        labelled=(),
    )


def _earlier(workspace: Workspace, inspector: Inspector) -> Calibration | None:
    """The latest kept calibration that fits; one from labelled parts before a provisional one."""
    folder = workspace.calibrations / inspector.reference_set.product / inspector.reference_set.view
    kept = [_read(path) for path in folder.glob("*.json") if path.stem != "current"]
    fit = [one for one in kept if one is not None and one.binding == inspector.binding]
    return max(fit, key=lambda one: (not one.provisional, one.created_at), default=None)


def _read(path: Path) -> Calibration | None:
    try:
        return Calibration.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, CalibrationError):
        return None  # a damaged one is passed over: it is not the current one


def _recipe(
    workspace: Workspace, product: str, view: str, register: str | None, image_size: int | None
) -> Recipe | None:
    """The view's recipe with another registration method or image size; None where nothing is to change."""
    if register is None and image_size is None:
        return None
    path = view_folder(workspace.references, product, view) / "recipe.json"
    recipe = Recipe.load(path) if path.is_file() else Recipe()
    return replace(
        recipe,
        registration=recipe.registration if register is None else RegistrationMethod(register),
        image_size=recipe.image_size if image_size is None else image_size,
    )
