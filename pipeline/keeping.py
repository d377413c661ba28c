"""Keep what was calibrated: as champion, which judges from now on, or as challenger; on record before it counts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from inspection.durable import write_text
from pipeline.bundle import Bundle, write_bundle
from pipeline.champions import challenger_shelf, champion_shelf, read_champion
from pipeline.opening import keep_calibration
from pipeline.records import AuditLog, AuditRow
from pipeline.tracking.logs import labelled_dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inspection.inspector import Inspector
    from pipeline.champions import Shelf
    from pipeline.tracking.logs import LabelledFile
    from pipeline.workspace import Workspace

UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A judged model on its shelf, and the row of the audit record that tells of it."""

    bundle: Bundle
    row: AuditRow


def open_audit(workspace: Workspace) -> AuditLog:
    """The audit record of a workspace, to be used in a `with` block.

    Raises:
        RecordsError: the database can't be used.
    """
    return AuditLog(workspace.records_url, anchor=workspace.audit_anchor)


def keep_judged(
    workspace: Workspace, inspector: Inspector, labelled: Sequence[LabelledFile], *, challenger: bool, by: str
) -> Kept:
    """Bundle the inspector and its calibration, and make it the champion, or the challenger, which decides nothing.

    The audit record is written first: what is not on record never counts. Where a kill comes between, calibrate again.

    Args:
        workspace: where everything lies.
        inspector: calibrated on labelled parts.
        labelled: the parts that chose its threshold.
        challenger: whether it is the challenger.
        by: who does it.

    Raises:
        RecordsError: it can't be put on record; nothing has changed then.
        OSError: the disk is full, or the home folder can't be written.
    """
    product, view = inspector.reference_set.product, inspector.reference_set.view
    shelf = (challenger_shelf if challenger else champion_shelf)(workspace, product, view)
    workspace.home.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".bundle-", dir=workspace.home) as folder:
        bundle = shelf.put(write_bundle(Path(folder) / "bundle", inspector))
    calibration = bundle.calibration
    evidence = {
        **names_of(bundle),
        "before": champion_shelf(workspace, product, view).pointed(),
        "threshold": calibration.threshold,
        "policy": asdict(calibration.policy),
        "good": calibration.good,
        "defective": calibration.defective,
        "data": labelled_dataset("calibration", labelled).digest,
    }
    with open_audit(workspace) as audit:
        action = "challenge" if challenger else "calibrate"
        row = audit.append(who=by, action=action, product=product, view=view, evidence=evidence)
    write_text(_known_file(shelf, bundle.digest), json.dumps(sorted(file.sha256 for file in labelled)) + "\n")
    if not challenger:
        keep_calibration(workspace, product, view, calibration)
    shelf.point(bundle.digest)
    return Kept(bundle=bundle, row=row)


def names_of(bundle: Bundle) -> dict[str, Any]:
    """What the audit record and MLflow name of a judged model: its digest and what it rests on, by hash."""
    return {"bundle": bundle.digest, **asdict(bundle.provenance)}


def chosen_on(shelf: Shelf, digest: str) -> frozenset[str]:
    """SHA-256 of the parts that chose the threshold of a judged model; empty where that is not known."""
    try:
        return frozenset(map(str, json.loads(_known_file(shelf, digest).read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError):
        return frozenset()


def chose_threshold(workspace: Workspace, inspector: Inspector) -> frozenset[str]:
    """SHA-256 of the parts that chose the threshold by which `inspector` judges; empty where that is not known.

    Raises:
        ReferenceSetError: the champion was damaged.
        CalibrationError: its calibration can't be read.
    """
    product, view = inspector.reference_set.product, inspector.reference_set.view
    champion = read_champion(workspace, product, view)
    if champion is None or champion.provenance != inspector.provenance:
        return frozenset()
    shelves = champion_shelf(workspace, product, view), challenger_shelf(workspace, product, view)  # it may have risen
    return frozenset().union(*(chosen_on(shelf, champion.digest) for shelf in shelves))


def _known_file(shelf: Shelf, digest: str) -> Path:
    return shelf.folder / f"chosen-on-{digest}.json"
