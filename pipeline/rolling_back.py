"""Roll back: the champion before this one judges again, with its goldens, recipe, network and calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspection.errors import PromotionError
from pipeline.champions import champion_shelf
from pipeline.keeping import UNKNOWN, names_of, open_audit
from pipeline.outbox import deliver, enqueue
from pipeline.succession import ROLLBACK, enthrone, last_crowning, succession
from pipeline.tracking.promotion_log import RollbackLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.bundle import Bundle
    from pipeline.records import AuditRow
    from pipeline.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class RolledBack:
    """Which champion judges again (`bundle`) instead of which (`before`, its digest).

    `resumed` tells that a rollback decided on before a kill was completed; `tracked` whether MLflow's alias has moved
    already (else it moves with the next delivery).
    """

    product: str
    view: str
    bundle: Bundle
    before: str | None
    row: AuditRow
    resumed: bool
    tracked: bool


def roll_back(workspace: Workspace, product: str, view: str, *, by: str = UNKNOWN) -> RolledBack:
    """Make the champion before this one judge again; twice goes back two. Works while MLflow is down.

    A champion that is no longer on the local shelf, which keeps three, is fetched from MLflow. The decision is put on
    record first; after a kill, rolling back again completes it and goes no further.

    Args:
        workspace: where everything lies.
        product: the part number.
        view: the camera position.
        by: who asks for it.

    Raises:
        PromotionError: there is no champion before this one.
        TrackingError: it has to be fetched, and MLflow does not answer or does not have it.
        RecordsError: the decision can't be put on record; nothing has changed then.
    """
    shelf = champion_shelf(workspace, product, view)
    with open_audit(workspace) as audit:
        rows = audit.rows(product=product, view=view)
        current = shelf.pointed()
        row = _unfinished(rows, current)
        resumed = row is not None
        digest = str(row.facts["bundle"]) if row is not None else _before(rows, current, f"{product}/{view}")
        bundle = shelf.find(digest) or _fetched(workspace, product, view, digest)
        if row is None:
            evidence = {**names_of(bundle), "before": current}
            row = audit.append(who=by, action=ROLLBACK, product=product, view=view, evidence=evidence)
    log = RollbackLog(
        product=product,
        view=view,
        at=row.at,
        audit=str(row.anchor),
        by=row.who,
        evidence=row.facts,
        bundle=bundle.folder,
        calibration=bundle.calibration,
    )
    job = enqueue(workspace, log)
    enthrone(workspace, bundle, by=row.who, action=ROLLBACK)
    deliver(workspace)
    return RolledBack(
        product=product,
        view=view,
        bundle=bundle,
        before=row.facts.get("before"),
        row=row,
        resumed=resumed,
        tracked=not job.exists(),
    )


def _unfinished(rows: Sequence[AuditRow], current: str | None) -> AuditRow | None:
    """The rollback on record that a kill kept from being done, if it was the last decision."""
    last = last_crowning(rows)
    if last is None or last.action != ROLLBACK or last.facts.get("bundle") == current:
        return None
    return last


def _before(rows: Sequence[AuditRow], current: str | None, name: str) -> str:
    """The digest of the champion before the current one.

    A promotion on record that a kill kept from being done is undone by going back to the current one.
    """
    line = succession(rows)
    if line and line[-1] == current:
        line.pop()
    elif current not in line:
        line = []
    while line and current in line and line[-1] != current:
        line.pop()
    if not line:
        message = f"{name} has no champion before this one on record; `goldentwin calibrate` makes another"
        raise PromotionError(message)
    return line[-1]


def _fetched(workspace: Workspace, product: str, view: str, digest: str) -> Bundle:
    from pipeline.tracking.models import fetch_bundle  # noqa: PLC0415 - knows MLflow, and is seldom needed

    return fetch_bundle(workspace, product, view, digest, champion_shelf(workspace, product, view))
