"""A change of champion that a kill kept from being done: why nothing judges then, and the command that completes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspection.errors import RecordsError, ReferenceSetError
from pipeline.champions import challenger_shelf, champion_shelf
from pipeline.records import AuditLog

if TYPE_CHECKING:
    from pipeline.records import AuditRow
    from pipeline.workspace import Workspace


def interrupted_change(workspace: Workspace, product: str, view: str) -> str:
    """What is to be run where the last promotion or rollback on record was not completed; "" where none was left so.

    Goldens, recipe and calibration change one after the other; in between, no calibration is bound to what lies there.
    """
    try:
        current = champion_shelf(workspace, product, view).pointed()
        if current is None and challenger_shelf(workspace, product, view).pointed() is None:
            return ""  # there never was a champion to change
        with AuditLog(workspace.records_url) as audit:
            rows = audit.rows(product=product, view=view)
    except (RecordsError, ReferenceSetError):
        return ""  # that is told where it is in the way
    return _told(rows, current, product, view)


def _told(rows: list[AuditRow], current: str | None, product: str, view: str) -> str:
    from pipeline.succession import PROMOTE, ROLLBACK, last_crowning  # noqa: PLC0415 - it opens inspectors, as we do

    last = last_crowning(rows)
    if last is None or last.action not in {PROMOTE, ROLLBACK} or last.facts.get("bundle") == current:
        return ""
    again = f"goldentwin {last.action} {product} --view {view}{' --labelled DIR' if last.action == PROMOTE else ''}"
    what = "promotion" if last.action == PROMOTE else "rollback"
    return f"the {what} in row {last.number} of the audit record was interrupted; run `{again}` to complete it"
