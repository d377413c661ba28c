"""What callers hand over to be tracked of a judged batch. Knows no MLflow."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from inspection.recipe import digest_of
from inspection.verdicts import Provenance, Verdict
from pipeline.tracking import descriptions
from pipeline.tracking.entry import DatasetNote, RunEntry, RunNote
from pipeline.tracking.values import encodable, flag, params_of, run_key, safe_name

MAX_STRIPS = 20
_NIGHT_ENDS, _NIGHT_BEGINS = 6, 20
_ORDER = [Verdict.FLAG, Verdict.CANNOT_INSPECT, Verdict.PASS]
_TABLE_COLUMNS = (
    "frame", "part_id", "verdict", "similarity", "distance", "threshold", "reason", "provisional", "frame_sha256",
    "encoder", "reference_set", "recipe", "calibration", "milliseconds", "captured_at", "judged_at", "evidence",
    "nearest_golden",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BatchLog:
    """A batch that was judged.

    `rows` are all of its verdict records (`VerdictRecords.rows`), also those judged before a kill; `picture_of` gives
    the JPEG by their `evidence`, None where it is gone. `started_at` has a time zone; `seconds` is how long judging
    took; `settings` is what else is worth knowing (folder of frames, engine). `extra_evidence` and `extra_texts` go to
    the run by their artifact path, `extra_metrics` to its metrics, and `notes` (Markdown) below its description. `name`
    and `description` (Markdown) are made up where they are empty.
    """

    product: str
    view: str
    batch: str
    started_at: datetime
    seconds: float
    provenance: Provenance
    provisional: bool
    rows: Sequence[Mapping[str, Any]]
    picture_of: Callable[[str], bytes | None]
    contact_sheet: Path | None = None
    pictures: Sequence[Path] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    extra_evidence: Mapping[str, bytes | None] = field(default_factory=dict)
    extra_texts: Mapping[str, str] = field(default_factory=dict)
    extra_metrics: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()
    name: str = ""
    description: str = ""

    @property
    def key(self) -> str:
        """By which MLflow's run of this batch is found again."""
        return run_key("batch", self.product, self.view, self.batch, asdict(self.provenance))

    def entry(self) -> RunEntry:
        """The MLflow run that shows this batch."""
        rows = sorted(self.rows, key=_worst_first)
        metrics = _metrics(rows, self.seconds)
        files = self._files()
        started_at = self.started_at.astimezone(UTC)
        description = encodable(self.description) or descriptions.of_batch(metrics, rows, provisional=self.provisional)
        description = "\n\n".join([description, *filter(None, map(encodable, self.notes))])
        note = RunNote(
            kind="batch",
            key=self.key,
            product=self.product,
            view=self.view,
            name=encodable(self.name) or _night(self.started_at),
            description=description,
            created_at=(started_at + timedelta(seconds=self.seconds)).isoformat(),
            started_at=started_at.isoformat(),
            seconds=self.seconds,
            params=params_of({**asdict(self.provenance), "provisional": self.provisional, **self.settings}),
            metrics={**metrics, **self.extra_metrics},
            tags={"goldentwin.batch": encodable(self.batch), "goldentwin.provisional": flag(self.provisional)},
            dataset=_dataset(self.batch, rows),
            picture=next((name for name in files if name.startswith("contact_sheet")), ""),
        )
        texts = {"verdicts.csv": _table(rows), **self.extra_texts}
        return RunEntry(note=note, files=files, evidence={**self._flagged(rows), **self.extra_evidence}, texts=texts)

    def _files(self) -> dict[str, Path]:
        files = {path.name: path for path in self.pictures}
        if self.contact_sheet is not None:
            files[f"contact_sheet{self.contact_sheet.suffix}"] = self.contact_sheet
        return files

    def _flagged(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, bytes | None]:
        """Pictures by artifact path; a flagged strip's name begins with its similarity: the worst comes first."""
        pictures: dict[str, bytes | None] = {}
        flagged = [row for row in rows if row["verdict"] == Verdict.FLAG and row.get("evidence")]
        for row in flagged[:MAX_STRIPS]:
            name = f"flagged/{row['similarity'] or 0.0:.4f}_{safe_name(row['frame'])}.jpg"
            pictures[name] = self.picture_of(row["evidence"])
        return pictures


def _dataset(batch: str, rows: Sequence[Mapping[str, Any]]) -> DatasetNote:
    digest = digest_of(sorted((str(row["frame"]), str(row.get("frame_sha256", ""))) for row in rows))
    name = encodable(f"frames of {batch}")[:200]
    return DatasetNote(name=name, digest=digest, context="inspection", table="verdicts.csv")


def _metrics(rows: Sequence[Mapping[str, Any]], seconds: float) -> dict[str, float]:
    counts = Counter(str(row["verdict"]) for row in rows)
    metrics = {verdict.value.lower(): float(counts[verdict.value]) for verdict in Verdict}
    metrics |= {"frames": float(len(rows)), "seconds": seconds}
    judged = counts[Verdict.PASS] + counts[Verdict.FLAG]
    if judged:
        metrics["share_flagged"] = counts[Verdict.FLAG] / judged
    if seconds > 0:
        metrics["frames_per_second"] = len(rows) / seconds
    similarities = [float(row["similarity"]) for row in rows if row["similarity"] is not None]
    if similarities:
        shares = (0.01, 0.05, 0.5, 0.95)
        values = np.quantile(similarities, shares)
        metrics |= {f"similarity_q{share * 100:02.0f}": float(v) for share, v in zip(shares, values, strict=True)}
    return metrics


def _worst_first(row: Mapping[str, Any]) -> tuple[int, float, str]:
    similarity = row["similarity"]
    return _ORDER.index(Verdict(row["verdict"])), 2.0 if similarity is None else float(similarity), str(row["frame"])


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, _TABLE_COLUMNS, extrasaction="ignore", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return encodable(buffer.getvalue())


def _night(started_at: datetime) -> str:
    local = started_at.astimezone()
    part = "night" if local.hour < _NIGHT_ENDS or local.hour >= _NIGHT_BEGINS else "day"
    return f"{part} {local:%Y-%m-%d %H:%M}"
