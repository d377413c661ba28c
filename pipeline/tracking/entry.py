"""What one MLflow run is to hold, as a folder on disk: written first, delivered now or later. Knows no MLflow."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from inspection.errors import TrackingError

FORMAT = 1
NOTE_FILE = "job.json"
ARTIFACTS_FOLDER = "artifacts"
BUNDLE_FOLDER = "bundle"
TRAINING = "training"
"""The kind of a training's run: its bundle is a pair network, where others have a judged model."""


class RefusedError(TrackingError):
    """What was to be logged can never be delivered: it is damaged, or MLflow refuses its content."""


@dataclass(frozen=True, kw_only=True)
class DatasetNote:
    """The data a run was made from.

    `table` is the artifact path of a CSV that names every file; `digest` (12 hex digits) is over their contents;
    `context` is what the data was used for, e.g. "calibration".
    """

    name: str
    digest: str
    context: str
    table: str


@dataclass(frozen=True, kw_only=True)
class RunNote:
    """The small part of an entry: all that is plain JSON.

    `key` is the same for the same work, so that delivering twice updates one run instead of making two. Times are
    ISO 8601 in UTC; `seconds` is how long the work took. `picture` is the artifact that the run's first page shows.
    `version_tags` go to the model version, if there is a model; `make_champion` or `make_challenger` says what becomes
    of it, decided at `decided_at` (else when it was calibrated): of several champions the one decided last counts.
    `series` are metrics that a curve is drawn of: lists of (step, value).
    """

    kind: str
    key: str
    product: str
    view: str
    name: str
    description: str
    created_at: str
    started_at: str
    seconds: float
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    dataset: DatasetNote | None = None
    has_bundle: bool = False
    make_champion: bool = False
    make_challenger: bool = False
    decided_at: str = ""
    picture: str = ""
    version_tags: dict[str, str] = field(default_factory=dict)
    series: dict[str, list[tuple[int, float]]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RunEntry:
    """A run to be: the note, files and texts by their artifact path, and the bundle of the judged model, if any.

    `evidence` are pictures by their artifact path, None for one that is gone.
    """

    note: RunNote
    files: dict[str, Path] = field(default_factory=dict)
    evidence: dict[str, bytes | None] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    bundle: Path | None = None

    def write(self, folder: Path) -> None:
        """Copy everything into `folder`, the note last: a folder with a readable note is complete.

        A picture that is not there (any more) is left out and named in the note's tags: the run matters more.

        Raises:
            OSError: the disk is full or `folder` can't be written.
        """
        artifacts = folder / ARTIFACTS_FOLDER
        artifacts.mkdir(parents=True, exist_ok=True)
        for name, text in self.texts.items():
            _place(artifacts, name).write_text(text, encoding="utf-8")
        missing = [name for name, path in self.files.items() if not _copied(path, artifacts, name)]
        for name, data in self.evidence.items():
            if data is None:
                missing.append(name)
            else:
                _place(artifacts, name).write_bytes(data)
        if self.bundle is not None:
            shutil.copytree(self.bundle, folder / BUNDLE_FOLDER)
        note = asdict(self.note)
        if missing:
            note["tags"]["goldentwin.missing_files"] = ", ".join(sorted(missing))[:500]
            note["picture"] = "" if self.note.picture in missing else self.note.picture
        (folder / NOTE_FILE).write_text(json.dumps({"format": FORMAT, **note}, indent=2), encoding="utf-8")


def read_note(folder: Path) -> RunNote:
    """Read the note of a written entry back.

    Raises:
        RefusedError: the folder holds no entry that this version can read; the message says why.
    """
    try:
        data = json.loads((folder / NOTE_FILE).read_text(encoding="utf-8"))
        note = _note(data)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        message = f"{folder.name}/{NOTE_FILE} can't be read: {error}"
        raise RefusedError(message) from error
    _require(folder, note)
    return note


def _note(data: dict[str, Any]) -> RunNote:
    if data.pop("format") != FORMAT:
        message = f"its format is not {FORMAT}; it was written by another version of goldentwin"
        raise ValueError(message)
    if data["dataset"] is not None:
        data["dataset"] = DatasetNote(**data["dataset"])
    note = RunNote(**data)
    kinds: dict[str, type | tuple[type, ...]] = {
        "params": dict,
        "metrics": dict,
        "tags": dict,
        "version_tags": dict,
        "series": dict,
        "seconds": (int, float),
    }
    for name, kind in kinds.items():
        if not isinstance(getattr(note, name), kind):
            message = f"its {name} are damaged"
            raise TypeError(message)
    for moment in (note.created_at, note.started_at):
        datetime.fromisoformat(moment)
    return note


def _require(folder: Path, note: RunNote) -> None:
    needed = [folder / ARTIFACTS_FOLDER]
    if note.dataset is not None:
        needed.append(folder / ARTIFACTS_FOLDER / note.dataset.table)
    if note.has_bundle:
        needed.append(folder / BUNDLE_FOLDER)
    for path in needed:
        if not path.exists():
            message = f"{folder.name} lacks {path.relative_to(folder)}"
            raise RefusedError(message)


def _place(artifacts: Path, name: str) -> Path:
    target = artifacts / name
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _copied(source: Path, artifacts: Path, name: str) -> bool:
    if not source.is_file():
        return False
    shutil.copyfile(source, _place(artifacts, name))
    return True
