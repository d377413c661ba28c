"""Promote: a challenger becomes champion if it is no worse on a frozen labelled set. Refusals are on record too."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from inspection.calibration.rates import counted
from inspection.errors import CalibrationError, PromotionError
from pipeline.champions import challenger_shelf, champion_shelf, read_champion
from pipeline.contest import hold_contest
from pipeline.gates import Limits, compare
from pipeline.keeping import UNKNOWN, chosen_on, names_of, open_audit
from pipeline.offending import draw_offending
from pipeline.opening import open_inspector
from pipeline.outbox import deliver, enqueue, post
from pipeline.records import AuditRow
from pipeline.succession import PROMOTE, enthrone, last_crowning
from pipeline.tracking.logs import labelled_dataset
from pipeline.tracking.promotion_log import PromotionLog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.bundle import Bundle
    from pipeline.contest import Held
    from pipeline.gates import Contest
    from pipeline.scoring import LeftOut
    from pipeline.workspace import Workspace

REFUSE = "refuse"
_NAMED = 50  # of a gate's offending parts in the record; MLflow's table has all


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What became of a challenger.

    `evidence` is what the audit record holds: both judges by hash, figures, limits, gates, the frozen set's digest.
    `pictures` show the parts that stand in the way. `resumed` tells that a promotion decided on before a kill was
    completed; `tracked` whether MLflow has it already (else it is delivered later).
    """

    product: str
    view: str
    passed: bool
    evidence: dict[str, Any]
    row: AuditRow
    pictures: tuple[Path, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    resumed: bool = False
    tracked: bool
    seconds: float

    @property
    def refusals(self) -> list[str]:
        """The reason of each gate that is not passed."""
        return [f"{gate['name']}: {gate['reason']}" for gate in self.evidence["gates"] if not gate["passed"]]


def promote(  # noqa: PLR0913 - what a promotion consists of, by name
    workspace: Workspace,
    product: str,
    view: str,
    *,
    labelled: Path,
    limits: Limits,
    by: str = UNKNOWN,
    engine: str = "auto",
    watcher: Callable[[int, int], None] | None = None,
) -> Promotion:
    """Hold the challenger and its logged model against the champion, and make it champion where all gates are passed.

    The decision is put on record first. What follows (`pipeline.succession.enthrone`) can be killed at any moment:
    promoting again completes it without holding the contest again.

    Args:
        workspace: where everything lies; its references are those of the line.
        product: the part number.
        view: the camera position.
        labelled: the folder of the frozen set.
        limits: how much worse it may be, and the least number of parts.
        by: who asks for it.
        engine: `auto`, `onnx`, `torch` or `cuda`, the same for both and for the logged model.
        watcher: told how many of all inspections are done.

    Raises:
        PromotionError: there is no challenger.
        CalibrationError: nothing judges now that it could be compared with.
        EvaluationError: the folder is no labelled set.
        TrackingError: the challenger's logged model can't be had from MLflow.
        RecordsError: the decision can't be put on record; nothing has changed then.
    """
    started = time.monotonic()
    challenger = challenger_shelf(workspace, product, view).read()
    if challenger is None:
        message = f"{product}/{view} has no challenger; `goldentwin calibrate {product} --challenger` makes one"
        raise PromotionError(message)
    decided = _decided(workspace, challenger)
    if decided is not None:
        tracked = _complete(workspace, challenger, _log_of(decided, challenger))
        return _told(decided, passed=True, tracked=tracked, resumed=True, seconds=time.monotonic() - started)
    deliver(workspace)  # the challenger's registration may still wait
    champion = open_inspector(workspace, product, view, engine=engine)
    if champion.calibration is None:
        message = f"nothing judges {product}/{view} that its challenger could be compared with; calibrate it first"
        raise CalibrationError(message)
    held = hold_contest(workspace, champion, challenger, labelled, engine=engine, watcher=watcher)
    contest = compare(held.parts, limits)
    evidence = _evidence(workspace, held, contest, limits)
    key = f"{challenger.digest}-{evidence['data']}"
    pictures = draw_offending(workspace.reports / product / view / f"promotion-{key}", held, contest.gates)
    with open_audit(workspace) as audit:
        action = PROMOTE if contest.passed else REFUSE
        row = audit.append(who=by, action=action, product=product, view=view, evidence=evidence)
    log = _log_of(row, challenger, held=held, pictures=pictures, seconds=time.monotonic() - started)
    tracked = _complete(workspace, challenger, log) if contest.passed else post(workspace, log)
    return _told(
        row,
        passed=contest.passed,
        tracked=tracked,
        pictures=tuple(pictures.values()),
        left_out=held.left_out,
        seconds=time.monotonic() - started,
    )


def _decided(workspace: Workspace, challenger: Bundle) -> AuditRow | None:
    """The promotion of this challenger that is on record, and that nothing was decided after."""
    names = challenger.reference_set
    with open_audit(workspace) as audit:
        row = last_crowning(audit.rows(product=names.product, view=names.view))
    return row if row is not None and row.action == PROMOTE and row.facts.get("bundle") == challenger.digest else None


def _complete(workspace: Workspace, challenger: Bundle, log: PromotionLog) -> bool:
    """Do what was decided. Each step can be done again, and what tells that there is something to do goes last."""
    product, view = log.product, log.view
    bundle = champion_shelf(workspace, product, view).put(challenger.folder)
    job = enqueue(workspace, log)
    enthrone(workspace, bundle, by=log.by, action=PROMOTE)
    challenger_shelf(workspace, product, view).clear()
    deliver(workspace)
    return not job.exists()


def _evidence(workspace: Workspace, held: Held, contest: Contest, limits: Limits) -> dict[str, Any]:
    challenger = held.challenger
    product, view = challenger.reference_set.product, challenger.reference_set.view
    champion = read_champion(workspace, product, view)
    shelf = challenger_shelf(workspace, product, view)
    known = sum(part.sha256 in chosen_on(shelf, challenger.digest) for part in held.parts)
    warnings = []
    if known:
        which = "this very set" if known == len(held.parts) else f"{known} of these {counted(len(held.parts), 'part')}"
        warnings.append(
            f"{which} chose the challenger's threshold, so that it looks better here than it is; "
            "promote on parts that it has not seen"
        )
    return {
        **names_of(challenger),
        "before": champion.digest if champion is not None else None,
        "challenger": asdict(challenger.provenance),
        "champion": asdict(held.champion_provenance),
        "model_version": held.model_version,
        "data": labelled_dataset("promotion", held.files).digest,
        "chosen_on": _training_data(workspace, challenger),
        "limits": asdict(limits),
        "escape": asdict(contest.escape),
        "overkill": asdict(contest.overkill),
        "unseen": asdict(contest.unseen),
        "gates": [asdict(replace(gate, offending=gate.offending[:_NAMED])) for gate in contest.gates],
        "warnings": warnings,
    }


def _training_data(workspace: Workspace, challenger: Bundle) -> str:
    """The digest of the data that chose the challenger's threshold, as it is on record; "" where it is not."""
    names = challenger.reference_set
    with open_audit(workspace) as audit:
        rows = audit.rows(product=names.product, view=names.view)
    return next((str(row.facts["data"]) for row in rows if _made(row, challenger.digest)), "")


def _made(row: AuditRow, digest: str) -> bool:
    return row.action == "challenge" and row.facts.get("bundle") == digest


def _log_of(
    row: AuditRow,
    challenger: Bundle,
    *,
    held: Held | None = None,
    pictures: dict[str, Path] | None = None,
    seconds: float = 0.0,
) -> PromotionLog:
    return PromotionLog(
        product=row.product,
        view=row.view,
        at=row.at,
        audit=str(row.anchor),
        by=row.who,
        evidence=row.facts,
        parts=() if held is None else held.as_rows(),
        pictures=pictures,
        bundle=challenger.folder if row.action == PROMOTE else None,
        calibration=challenger.calibration,
        seconds=seconds,
    )


def _told(  # noqa: PLR0913 - what is told, by name
    row: AuditRow,
    *,
    passed: bool,
    tracked: bool,
    pictures: tuple[Path, ...] = (),
    left_out: tuple[LeftOut, ...] = (),
    resumed: bool = False,
    seconds: float,
) -> Promotion:
    return Promotion(
        product=row.product,
        view=row.view,
        passed=passed,
        evidence=row.facts,
        row=row,
        pictures=pictures,
        left_out=left_out,
        resumed=resumed,
        tracked=tracked,
        seconds=seconds,
    )
