"""Reports of batches age out: contact sheets, and the pages of the watch. Those of calibrations and the like stay."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.retention.ground import Ground
    from pipeline.retention.tally import Tally

_OF_BATCHES = ("batch-", "watch-")


def age_reports(ground: Ground, tally: Tally) -> None:
    """Count and, unless it is dry, remove what was drawn of batches of long ago, by the time of the file."""
    for path in sorted(ground.workspace.reports.glob("*/*/*")):
        head = next((head for head in _OF_BATCHES if path.name.startswith(head)), None)
        if head is None:
            continue
        ground.way.go_on()
        try:
            found = path.stat()
            old = ground.ages.old(datetime.fromtimestamp(found.st_mtime, UTC), ground.ages.policy.batch_reports)
            if not old or path.stem.removeprefix(head) in ground.untouched:
                tally.stay(found.st_size)
                continue
            if not ground.way.dry:
                path.unlink()
            tally.go(found.st_size)
        except FileNotFoundError:
            continue  # gone meanwhile
        except OSError as error:
            tally.problems.append(f"the report {path} can't be removed: {error}")
