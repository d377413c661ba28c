"""What a training hands over to be tracked. Knows no MLflow."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from inspection.learned.design import TwinDesign
from pipeline.tracking import descriptions
from pipeline.tracking.entry import TRAINING, DatasetNote, RunEntry, RunNote
from pipeline.tracking.values import encodable, local_minute, numbers_of, params_of, run_key

_CURVES = ("loss", "validation_loss", "same_right", "defect_right")


@dataclass(frozen=True, kw_only=True)
class TrainingLog:
    """A network that was trained.

    `epochs` are what each epoch measured, `figures` what the held-out pairs gave, `pairs` (frame, label, boxes) of
    what it was trained and validated on, `trained_on` their digest. With `bundle` (`pipeline.pair_bundle`) a version of
    the pair network is registered, which bears `version_tags`; a product's network belongs to its judged model instead.
    """

    product: str
    view: str
    twin: str
    design: TwinDesign
    plan: Mapping[str, Any]
    epochs: Sequence[Mapping[str, Any]]
    figures: Mapping[str, Any]
    pairs: Sequence[tuple[str, str, str]]
    trained_on: str
    started_at: datetime
    seconds: float
    pictures: Sequence[Path] = ()
    bundle: Path | None = None
    version_tags: Mapping[str, str] = field(default_factory=dict)

    def entry(self) -> RunEntry:
        """The MLflow run that shows this training: a curve per measured figure."""
        started = self.started_at.astimezone(UTC)
        created = (started + timedelta(seconds=self.seconds)).isoformat()
        design = self.design
        described = {**asdict(design), **self.plan, "encoder": design.encoder.name, "types": ", ".join(design.types)}
        note = RunNote(
            kind=TRAINING,
            key=run_key(TRAINING, self.product, self.view, self.twin),
            product=self.product,
            view=self.view,
            name=f"training {design.architecture} {design.loss} {local_minute(started.isoformat())}",
            description=descriptions.of_training(self.figures, len(self.epochs), len(self.pairs)),
            created_at=created,
            started_at=started.isoformat(),
            seconds=self.seconds,
            params=params_of({**described, "twin": self.twin}),
            metrics={**numbers_of(self.figures, "boxes_"), "seconds": self.seconds},
            tags={},
            dataset=DatasetNote(name="pairs", digest=self.trained_on, context="training", table="pairs.csv"),
            picture=self.pictures[0].name if self.pictures else "",
            has_bundle=self.bundle is not None,
            version_tags={**self.version_tags, "training_data": self.trained_on, "created_at": created},
            series={name: [(int(e["step"]), float(e[name])) for e in self.epochs] for name in _CURVES},
        )
        files = {path.name: path for path in self.pictures}
        return RunEntry(note=note, files=files, texts={"pairs.csv": self._table()}, bundle=self.bundle)

    def _table(self) -> str:
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        writer.writerow(("name", "label", "boxes"))
        writer.writerows(self.pairs)
        return encodable(buffer.getvalue())
