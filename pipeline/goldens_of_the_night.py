"""Beside which goldens a night's parts were shown: a small table for the batch's run."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inspection.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST_LISTED = 12
_COLUMNS = ("golden", "flagged", "passed_reviewed")


@dataclass(frozen=True, kw_only=True)
class GoldensOfTheNight:
    """How many flagged parts each golden was nearest to, and how many of the passed ones drawn for review.

    `counts` holds (golden, flagged, passed) of all goldens, the most flagged first.
    """

    counts: Sequence[tuple[str, int, int]]

    @property
    def texts(self) -> dict[str, str]:
        """The whole table, by its artifact path."""
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        writer.writerow(_COLUMNS)
        writer.writerows(self.counts)
        return {"goldens.csv": buffer.getvalue()}

    @property
    def description(self) -> str:
        """A paragraph in Markdown for the first page of the batch's run."""
        used = [row for row in self.counts if row[1] or row[2]]
        lines = [
            "**Nearest goldens** of the parts that were flagged, or passed and were drawn for review",
            "",
            "| golden | flagged | passed, drawn |",
            "|---|---:|---:|",
            *(f"| `{name}` | {flagged} | {passed} |" for name, flagged, passed in used[:_MOST_LISTED]),
        ]
        if len(used) > _MOST_LISTED:
            lines += ["", f"and {len(used) - _MOST_LISTED} more in `goldens.csv`"]
        never = [name for name, flagged, passed in self.counts if not flagged and not passed]
        if never:
            listed = ", ".join(f"`{name}`" for name in never[:_MOST_LISTED])
            more = f" and {len(never) - _MOST_LISTED} more" if len(never) > _MOST_LISTED else ""
            lines += ["", f"Nearest to none of them: {listed}{more}"]
        return "\n".join(lines)


def goldens_of_the_night(goldens: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> GoldensOfTheNight | None:
    """Count the nearest goldens of a batch's rows; None where there is one golden only, or no part was shown.

    Args:
        goldens: the names of all goldens that judged.
        rows: the batch's records.
    """
    pairs = Counter((row["nearest_golden"], row["verdict"]) for row in rows if row["nearest_golden"])
    if len(goldens) < 2 or not pairs:  # noqa: PLR2004 - of one golden there is nothing to tell
        return None
    counts = [(name, pairs[name, Verdict.FLAG.value], pairs[name, Verdict.PASS.value]) for name in goldens]
    return GoldensOfTheNight(counts=sorted(counts, key=lambda row: (-row[1], -row[2])))
