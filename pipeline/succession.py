"""Who was champion after whom, as the audit record tells it; and making a bundle the one that judges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspection.reference_install import install_version
from pipeline.champions import champion_shelf
from pipeline.opening import keep_calibration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.bundle import Bundle
    from pipeline.records import AuditRow
    from pipeline.workspace import Workspace

CALIBRATE, PROMOTE, ROLLBACK = "calibrate", "promote", "rollback"
CROWNING = (CALIBRATE, PROMOTE, ROLLBACK)


def last_crowning(rows: Sequence[AuditRow]) -> AuditRow | None:
    """The last row that made a champion; None where there is none."""
    return next((row for row in reversed(rows) if row.action in CROWNING), None)


def succession(rows: Sequence[AuditRow]) -> list[str]:
    """The champions' digests, oldest first, the current one last; those that were rolled back are gone from it.

    Each row names the champion before it. One that was put on record, but did not come to judge because a kill came
    between, was nobody's predecessor, and is left out.
    """
    line: list[str] = []
    for row in rows:
        if row.action not in CROWNING:
            continue
        bundle, before = str(row.facts.get("bundle", "")), row.facts.get("before")
        while line and line[-1] != before:
            line.pop()
        if not line and before:
            line.append(str(before))
        if row.action == ROLLBACK:
            while line and line[-1] != bundle:
                line.pop()
        if not line or line[-1] != bundle:
            line.append(bundle)
    return line


def enthrone(workspace: Workspace, bundle: Bundle, *, by: str, action: str) -> None:
    """Make a bundle that lies on the champions' shelf the one that judges; doing it again after a kill completes it.

    First its calibration, which counts for its own goldens and recipe alone; then goldens, masks, recipe and trained
    network, where they are others than the current ones; last the pointer of the local champion, so that as long as
    that names another one, not all is done.

    Raises:
        ReferenceSetError: the references can't be installed.
        OSError: the disk is full, or the folder of references can't be written.
    """
    product, view = bundle.reference_set.product, bundle.reference_set.view
    keep_calibration(workspace, product, view, bundle.calibration)
    install_version(workspace.references, bundle.reference_set, by=by, action=action)
    champion_shelf(workspace, product, view).point(bundle.digest)
