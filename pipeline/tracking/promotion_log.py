"""What a promotion, passed or refused, and a rollback hand over to be tracked. Knows no MLflow."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspection.calibration import Calibration
from pipeline.tracking import descriptions
from pipeline.tracking.entry import DatasetNote, RunEntry, RunNote
from pipeline.tracking.logs import audit_tag, version_tags
from pipeline.tracking.values import before, encodable, flag, local_minute, numbers_of, params_of, run_key

_FIGURES = ("escape", "overkill", "unseen")


@dataclass(frozen=True, kw_only=True)
class PromotionLog:
    """A challenger that was held to the gates.

    `evidence` is that of the audit record: bundle, before, provenance of both, figures, limits, gates, data. `parts`
    are the frozen set's, each with name, sha256, label and both verdicts; empty where a promotion is completed after a
    kill. `pictures` are of the parts that stand in the way, by artifact path. With `bundle` the promotion has passed,
    and the bundle becomes champion, decided at `at` (ISO 8601).
    """

    product: str
    view: str
    at: str
    audit: str
    by: str
    evidence: Mapping[str, Any]
    parts: Sequence[Mapping[str, Any]] = ()
    pictures: Mapping[str, Path] | None = None
    bundle: Path | None = None
    calibration: Calibration | None = None
    seconds: float = 0.0

    def entry(self) -> RunEntry:
        """The MLflow run that shows it."""
        evidence, passed = self.evidence, self.bundle is not None
        gates = evidence["gates"]
        files = dict(self.pictures or {})
        made = {name: evidence["challenger"][name] for name in ("encoder", "reference_set", "recipe", "calibration")}
        limits = {f"max_{name}": value for name, value in evidence["limits"].items()}
        champion = {f"champion_{name}": value for name, value in evidence["champion"].items()}
        note = RunNote(
            kind="promotion",
            key=run_key("promotion", self.product, self.view, self.audit),
            product=self.product,
            view=self.view,
            name=f"{'promotion' if passed else 'promotion refused'} {local_minute(self.at)}",
            description=encodable(descriptions.of_promotion(evidence, passed=passed, by=self.by)),
            created_at=self.at,
            started_at=before(self.at, self.seconds),
            seconds=self.seconds,
            params=params_of({**made, **champion, **limits, "by": self.by}),
            metrics=numbers_of({name: evidence[name] for name in _FIGURES}),
            tags={
                "goldentwin.passed": flag(passed),
                "goldentwin.refused_by": ", ".join(gate["name"] for gate in gates if not gate["passed"]),
                **audit_tag(self.audit),
            },
            dataset=self._dataset(),
            has_bundle=passed,
            make_champion=passed,
            decided_at=self.at,
            picture=next(iter(files), ""),
            version_tags={}
            if self.calibration is None
            else version_tags(made, self.calibration, evidence["chosen_on"]),
        )
        texts = {"gates.csv": table(gates, ("name", "passed", "reason"))}
        if self.parts:
            texts["parts.csv"] = table(self.parts, tuple(self.parts[0]))
        return RunEntry(note=note, files=files, texts=texts, bundle=self.bundle)

    def _dataset(self) -> DatasetNote | None:
        if not self.parts:
            return None
        return DatasetNote(name="frozen set", digest=self.evidence["data"], context="promotion", table="parts.csv")


@dataclass(frozen=True, kw_only=True)
class RollbackLog:
    """A champion that was taken back: `bundle` judges again, decided at `at` (ISO 8601)."""

    product: str
    view: str
    at: str
    audit: str
    by: str
    evidence: Mapping[str, Any]
    bundle: Path
    calibration: Calibration

    def entry(self) -> RunEntry:
        """The MLflow run that shows it, and that moves the alias."""
        made = {name: self.evidence[name] for name in ("encoder", "reference_set", "recipe", "calibration")}
        note = RunNote(
            kind="rollback",
            key=run_key("rollback", self.product, self.view, self.audit),
            product=self.product,
            view=self.view,
            name=f"rollback {local_minute(self.at)}",
            description=encodable(descriptions.of_rollback(self.evidence, by=self.by)),
            created_at=self.at,
            started_at=self.at,
            seconds=0.0,
            params=params_of({**made, "by": self.by, "before": self.evidence["before"]}),
            metrics={"threshold": self.calibration.threshold},
            tags=audit_tag(self.audit),
            has_bundle=True,
            make_champion=True,
            decided_at=self.at,
            version_tags=version_tags(made, self.calibration, ""),
        )
        return RunEntry(note=note, bundle=self.bundle)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """A CSV of these columns."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, extrasaction="ignore", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return encodable(buffer.getvalue())
