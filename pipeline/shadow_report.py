"""What a batch's shadow showed: where champion and challenger differ, as a table, pictures and figures for MLflow."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inspection.verdicts import Verdict
from pipeline.champions import challenger_shelf
from pipeline.evidence import read_evidence
from pipeline.records import ShadowRecords
from pipeline.tracking.values import encodable, safe_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.workspace import Workspace

MAX_PICTURES = 20
_PASS, _FLAG = Verdict.PASS.value, Verdict.FLAG.value
_ORDER = {(_FLAG, _PASS): 0, (_PASS, _FLAG): 1}
_COLUMNS = (
    "frame", "part_id", "champion", "champion_similarity", "champion_threshold",
    "challenger", "challenger_similarity", "challenger_threshold", "reason", "frame_sha256", "evidence",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ShadowReport:
    """Champion and challenger (its bundle's digest) side by side on the `frames` that both judged.

    `differences` are the frames that come out otherwise, in the order in which they cost most: passed by the challenger
    alone first. `counts` has how often (champion's verdict, challenger's verdict) occurred.
    """

    challenger: str
    frames: int
    counts: Mapping[tuple[str, str], int]
    differences: Sequence[Mapping[str, Any]]
    workspace: Workspace

    @property
    def texts(self) -> dict[str, str]:
        """The table of differences, by its artifact path."""
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, _COLUMNS, extrasaction="ignore", restval="")
        writer.writeheader()
        writer.writerows(self.differences)
        return {"shadow/differences.csv": encodable(buffer.getvalue())}

    @property
    def evidence(self) -> dict[str, bytes | None]:
        """Pictures of the first differences, by artifact path; None for one that is gone.

        Raises:
            EvidenceError: the evidence can't be read now.
        """
        shown = [row for row in self.differences if row["evidence"]][:MAX_PICTURES]
        return {
            f"shadow/{number:02}_{row['champion']}_{row['challenger']}_{safe_name(row['frame'])}.jpg": read_evidence(
                self.workspace, row["evidence"]
            )
            for number, row in enumerate(shown, start=1)
        }

    @property
    def metrics(self) -> dict[str, float]:
        """How many frames both judged, and how many came out otherwise and how."""
        flags, passes = (self.counts.get(pair, 0) for pair in ((_PASS, _FLAG), (_FLAG, _PASS)))
        return {
            "shadow_frames": float(self.frames),
            "shadow_differs": float(len(self.differences)),
            "shadow_flags_more": float(flags),
            "shadow_passes_more": float(passes),
        }

    @property
    def headline(self) -> str:
        """A line for people."""
        return f"challenger {self.challenger} differs on {len(self.differences)} of {self.frames} frames"

    @property
    def description(self) -> str:
        """A paragraph in Markdown for the first page of the batch's run."""
        lines = [f"**Shadow**: {self.headline}"]
        if self.differences:
            lines += ["", "| champion | challenger | frames |", "|---|---|---|"]
            pairs = [(pair, count) for pair, count in sorted(self.counts.items()) if pair[0] != pair[1]]
            lines += [f"| {champion} | {challenger} | {count} |" for (champion, challenger), count in pairs]
        return "\n".join(lines)


def shadow_report(workspace: Workspace, product: str, view: str, batch: str) -> ShadowReport | None:
    """Set the challenger's verdicts on a batch beside the champion's; None where no challenger judged it.

    Where several challengers did, one after the other, it is about the present one, else the one with most frames.

    Raises:
        RecordsError: the records can't be read.
    """
    with ShadowRecords(workspace.records_url) as records:
        rows = records.beside_champion(product=product, view=view, batch=batch)
    if not rows:
        return None
    judged = Counter(row["challenger"] for row in rows)
    present = challenger_shelf(workspace, product, view).pointed()
    challenger = present if present is not None and present in judged else judged.most_common(1)[0][0]
    mine = [row for row in rows if row["challenger"] == challenger]
    differing = [row for row in mine if row["verdict"] != row["shadow_verdict"]]
    differing.sort(key=lambda row: (_ORDER.get((row["verdict"], row["shadow_verdict"]), 2), row["frame"]))
    return ShadowReport(
        challenger=challenger,
        frames=len(mine),
        counts=Counter((row["verdict"], row["shadow_verdict"]) for row in mine),
        differences=[_difference(row) for row in differing],
        workspace=workspace,
    )


def _difference(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "frame": row["frame"],
        "part_id": row["part_id"],
        "champion": row["verdict"],
        "champion_similarity": row["similarity"],
        "champion_threshold": row["threshold"],
        "challenger": row["shadow_verdict"],
        "challenger_similarity": row["shadow_similarity"],
        "challenger_threshold": row["shadow_threshold"],
        "reason": row["shadow_reason"] or row["reason"],
        "frame_sha256": row["frame_sha256"],
        "evidence": row["shadow_evidence"] or row["evidence"],
    }
