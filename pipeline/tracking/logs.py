"""What callers hand over to be tracked of a labelled data set: a calibration, an evaluation. Knows no MLflow."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from inspection.calibration import Calibration, Rate
from inspection.recipe import digest_of
from inspection.verdicts import Provenance
from pipeline.tracking import descriptions
from pipeline.tracking.entry import DatasetNote, RunEntry, RunNote
from pipeline.tracking.values import before, encodable, flag, local_minute, numbers_of, params_of, run_key

AUDIT_TAG = "goldentwin.audit"


@dataclass(frozen=True, kw_only=True)
class LabelledFile:
    """One picture of a labelled data set: its name in the set, SHA-256 and label (`good` or the defect's type)."""

    name: str
    sha256: str
    label: str


@dataclass(frozen=True, kw_only=True)
class CalibrationLog:
    """A calibration that was made.

    `labelled` is the data it was made from, `pictures` show it (calibration, audit of the goldens), `bundle` is the
    folder of the judged model (`pipeline.bundle.write_bundle`), from which a model version is registered. With
    `make_champion` that version becomes champion, unless another was decided on later than `decided_at` (ISO 8601;
    when it was calibrated, where empty); with `make_challenger` it becomes challenger instead. A provisional
    calibration is never registered. `audit` is the row of the audit record that tells of it, as its tag has it.
    `before` has threshold_before, overkill_before and escape_before: what the threshold in force until then would do on
    the same parts, where that is known.
    """

    product: str
    view: str
    calibration: Calibration
    goldens: int
    labelled: Sequence[LabelledFile]
    pictures: Sequence[Path] = ()
    bundle: Path | None = None
    make_champion: bool = True
    make_challenger: bool = False
    decided_at: str = ""
    audit: str = ""
    seconds: float = 0.0
    before: Mapping[str, float] = field(default_factory=dict)

    def entry(self) -> RunEntry:
        """The MLflow run that shows this calibration."""
        calibration = self.calibration
        dataset = labelled_dataset("calibration", self.labelled)
        bundle = None if calibration.provisional else self.bundle
        provenance = {**asdict(calibration.binding), "calibration": calibration.digest}
        kind = "provisional calibration" if calibration.provisional else "calibration"
        made = [calibration.digest, dataset.digest]
        if self.make_challenger:  # a version of its own, also where it is the champion once more
            kind, made = "challenger's calibration", [*made, "challenger", calibration.created_at]
        note = RunNote(
            kind="calibration",
            key=run_key("calibration", self.product, self.view, *made),
            product=self.product,
            view=self.view,
            name=f"{kind} {local_minute(calibration.created_at)}",
            description=descriptions.of_calibration(
                calibration, self.goldens, _counts(self.labelled), before=self.before
            ),
            created_at=calibration.created_at,
            started_at=before(calibration.created_at, self.seconds),
            seconds=self.seconds,
            params=params_of({**asdict(calibration.policy), **provenance, "goldens": self.goldens}),
            metrics={**_calibration_metrics(calibration), **numbers_of(self.before)},
            tags={"goldentwin.provisional": flag(calibration.provisional), **audit_tag(self.audit)},
            dataset=dataset,
            has_bundle=bundle is not None,
            make_champion=self.make_champion and not self.make_challenger and bundle is not None,
            make_challenger=self.make_challenger and bundle is not None,
            decided_at=self.decided_at,
            picture=self.pictures[0].name if self.pictures else "",
            version_tags=version_tags(provenance, calibration, dataset.digest),
        )
        texts = {"calibration.json": calibration.to_json(), dataset.table: _labelled_csv(self.labelled)}
        return RunEntry(note=note, files={path.name: path for path in self.pictures}, texts=texts, bundle=bundle)


@dataclass(frozen=True, kw_only=True)
class EvaluationLog:
    """An evaluation that was made; `figures` is the object that `goldentwin evaluate --json` prints."""

    product: str
    view: str
    provenance: Provenance
    figures: Mapping[str, Any]
    labelled: Sequence[LabelledFile]
    started_at: datetime
    seconds: float = 0.0
    pictures: Sequence[Path] = ()

    def entry(self) -> RunEntry:
        """The MLflow run that shows this evaluation."""
        dataset = labelled_dataset("evaluation", self.labelled)
        started_at = self.started_at.astimezone(UTC)
        note = RunNote(
            kind="evaluation",
            key=run_key("evaluation", self.product, self.view, asdict(self.provenance), dataset.digest),
            product=self.product,
            view=self.view,
            name=f"evaluation {local_minute(started_at.isoformat())}",
            description=descriptions.of_evaluation(self.figures, _counts(self.labelled)),
            created_at=(started_at + timedelta(seconds=self.seconds)).isoformat(),
            started_at=started_at.isoformat(),
            seconds=self.seconds,
            params=params_of(asdict(self.provenance)),
            metrics=numbers_of(self.figures),
            tags={},
            dataset=dataset,
        )
        texts = {dataset.table: _labelled_csv(self.labelled)}
        return RunEntry(note=note, files={path.name: path for path in self.pictures}, texts=texts)


def _calibration_metrics(calibration: Calibration) -> dict[str, float]:
    rates: dict[str, Rate | None] = {"overkill": calibration.overkill, "escape": calibration.escape}
    return {
        "threshold": calibration.threshold,
        "good": float(calibration.good),
        "defective": float(calibration.defective),
        **numbers_of({name: asdict(rate) for name, rate in rates.items() if rate is not None}),
    }


def labelled_dataset(context: str, labelled: Sequence[LabelledFile]) -> DatasetNote:
    """The data set, its digest over names, contents and labels, with the table `labelled.csv`."""
    contents = sorted((file.name, file.sha256, file.label) for file in labelled)
    return DatasetNote(name="labelled parts", digest=digest_of(contents), context=context, table="labelled.csv")


def audit_tag(anchor: str) -> dict[str, str]:
    """The tag that remembers a row of the audit record outside of its database; none where there is no row."""
    return {AUDIT_TAG: anchor} if anchor else {}


def version_tags(provenance: Mapping[str, Any], calibration: Calibration, data: str) -> dict[str, str]:
    """What a model version names: encoder, goldens, recipe and calibration by hash, its data by digest."""
    return {
        **provenance,
        "provisional": flag(calibration.provisional),
        "training_data": data,
        "created_at": calibration.created_at,
        "threshold": f"{calibration.threshold:.6f}",
    }


def _counts(labelled: Sequence[LabelledFile]) -> dict[str, int]:
    """How many pictures there are of each label, `good` first."""
    labels = [file.label for file in labelled]
    return {label: labels.count(label) for label in sorted(set(labels), key=lambda label: (label != "good", label))}


def _labelled_csv(labelled: Sequence[LabelledFile]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(("name", "sha256", "label"))
    writer.writerows((file.name, file.sha256, file.label) for file in labelled)
    return encodable(buffer.getvalue())
