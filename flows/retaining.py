"""The retention flow: what has had its days goes, every night."""

from __future__ import annotations

from pathlib import Path

from prefect import State, flow, get_run_logger
from prefect.states import Completed

from pipeline.retention.retaining import Retained, retain
from pipeline.workspace import Workspace


@flow(name="retention", retries=2, retry_delay_seconds=300)
def retain_home(*, home: str | None = None, references: str | None = None, dry_run: bool = False) -> State[Retained]:
    """Hold all of a home against its retention policy; doing it again changes nothing more.

    Args:
        home: the folder of goldentwin's state; by default `GOLDENTWIN_HOME`.
        references: the folder of reference images; by default the one that goes with `home`.
        dry_run: only say what would go.

    Raises:
        RetentionError: the policy contradicts itself, or another process is at it.
        RecordsError: the records can't be read or written; tried again twice, and the next night.
    """
    workspace = Workspace.locate(Path(home) if home else None, Path(references) if references else None)
    done = retain(workspace, dry_run=dry_run)
    for problem in done.problems:
        get_run_logger().warning("%s", problem)
    told = [f"{one.gone} {one.kind.value} ({one.bytes_gone / 1e6:.1f} MB)" for one in done.kinds if one.gone]
    verb = "would go" if dry_run else "gone"
    return Completed(message=f"{', '.join(told)} {verb}" if told else "nothing has had its days", data=done)
