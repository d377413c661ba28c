"""What the tests of tracking log: a calibration, a batch, pictures, a bundle; and an MLflow store that is made once."""

from __future__ import annotations

import atexit
import functools
import hashlib
import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np

from inspection.calibration import Binding, Policy, calibrate_scores, provisional_calibration
from inspection.recipe import Recipe
from inspection.reference_set import load_reference_set
from inspection.verdicts import Judgement, Provenance, Verdict
from pipeline.tracking.batch_log import BatchLog
from pipeline.tracking.connection import connected
from pipeline.tracking.logs import CalibrationLog, LabelledFile
from pipeline.workspace import Workspace

ENCODER = "e" * 12


def workspace_in(home: Path, *, with_store: bool = True) -> Workspace:
    """A workspace in `home`; `with_store` copies an empty MLflow database, which takes seconds to make."""
    workspace = Workspace(home=home, references=home / "reference_images")
    if with_store:
        workspace.mlflow.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_empty_store(), workspace.mlflow / "mlflow.db")
    return workspace


def calibration_of(reference_set=None, *, provisional=False, created_at=None, good=40):
    """A calibration; bound to `reference_set` where one is given."""
    binding = Binding(
        encoder=ENCODER,
        reference_set=reference_set.digest if reference_set else "r" * 12,
        recipe=reference_set.recipe.digest if reference_set else "c" * 12,
    )
    scores = np.linspace(0.7, 0.95, good)
    if provisional:
        made = provisional_calibration(scores, binding=binding)
    else:
        made = calibrate_scores(scores, np.linspace(0.1, 0.5, 10), policy=Policy(), binding=binding)
    if created_at:
        object.__setattr__(made, "created_at", created_at)
    return made


def calibration_log(*, calibration=None, bundle=None, pictures=(), product="board", make_champion=True):
    """A calibration of 40 good and 10 scratched parts."""
    labels = ["good"] * 40 + ["scratch"] * 10
    labelled = [
        LabelledFile(name=f"{label}/{n}.png", sha256=f"{n:064x}", label=label) for n, label in enumerate(labels)
    ]
    return CalibrationLog(
        product=product,
        view="default",
        calibration=calibration or calibration_of(),
        goldens=4,
        labelled=labelled,
        pictures=pictures,
        bundle=bundle,
        make_champion=make_champion,
        seconds=3.0,
    )


def batch_log(folder: Path, *, batch="night-1", frames=12, settings=None):
    """A batch in which frames 0 and 1 are flagged (1 is worse) and 2 can't be inspected."""
    return BatchLog(
        product="board",
        view="default",
        batch=batch,
        started_at=datetime(2026, 11, 23, 2, 0, tzinfo=UTC),
        seconds=6.0,
        provenance=Provenance(encoder=ENCODER, reference_set="r" * 12, recipe="c" * 12, calibration="d" * 12),
        provisional=False,
        rows=[_row(n) for n in range(frames)],
        picture_of=lambda name: (folder / name).read_bytes() if (folder / name).is_file() else None,
        contact_sheet=picture(folder / "sheet.jpg"),
        settings=settings or {},
    )


def picture(path: Path) -> Path:
    """Draw a small picture, with the flagged strips `0.jpg` and `1.jpg` beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in (path.name, "0.jpg", "1.jpg"):
        cv2.imwrite(str(path.with_name(name)), np.full((8, 24, 3), 90, np.uint8))
    return path


def enrolled(references: Path, product="board"):
    """Two goldens, written in the layout of the store."""
    folder = references / product / "default"
    (folder / "goldens").mkdir(parents=True)
    (folder / "versions").mkdir()
    goldens = [_golden(folder, shade) for shade in (60, 180)]
    (folder / "recipe.json").write_text(Recipe(image_size=64).to_json())
    (folder / "versions" / "0001.json").write_text(json.dumps({"goldens": goldens}))
    (folder / "current.json").write_text(json.dumps({"version": 1}))
    return load_reference_set(references, product)


class StubInspector:
    """Flags what is darker than the threshold (grey value / 255), with the constructor of the real one."""

    def __init__(self, reference_set, *, calibration, cache=None, engine="auto") -> None:
        """Keep what is asked for."""
        self.reference_set, self.calibration, self.cache, self.engine = reference_set, calibration, cache, engine
        self.provenance = Provenance(
            encoder=ENCODER,
            reference_set=reference_set.digest,
            recipe=reference_set.recipe.digest,
            calibration=calibration.digest,
        )

    def judge(self, images):
        """Similarity is the mean grey value."""
        return [self._judge(float(image.mean()) / 255.0) for image in images]

    def _judge(self, similarity):
        threshold = self.calibration.threshold
        return Judgement(
            verdict=Verdict.FLAG if similarity < threshold else Verdict.PASS,
            reason=None,
            similarity=similarity,
            distance=1.0 - similarity,
            threshold=threshold,
            provisional=self.calibration.provisional,
            regions=(),
            provenance=self.provenance,
            milliseconds=1.0,
        )


def _row(number: int) -> dict:
    verdict = {0: "FLAG", 1: "FLAG", 2: "CANNOT_INSPECT"}.get(number, "PASS")
    return {
        "frame": f"shift 1/{number}.png",
        "part_id": f"{number}",
        "verdict": verdict,
        "similarity": {0: 0.4, 1: 0.2, 2: None}.get(number, 0.9),
        "distance": None,
        "threshold": 0.6,
        "reason": "blurred: focus 3.1 below 7.0" if number == 2 else None,
        "provisional": False,
        "frame_sha256": f"{number:064x}",
        "evidence": f"{number}.jpg" if number < 2 else None,
    }


def _golden(folder: Path, shade: int) -> dict:
    data = cv2.imencode(".png", np.full((32, 48, 3), shade, np.uint8))[1].tobytes()
    digest = hashlib.sha256(data).hexdigest()
    (folder / "goldens" / f"{digest[:16]}.png").write_bytes(data)
    return {
        "name": f"{shade}.png",
        "sha256": digest,
        "width": 48,
        "height": 32,
        "file": f"goldens/{digest[:16]}.png",
        "added_at": "2026-11-01T00:00:00+00:00",
        "added_by": "test",
    }


@functools.cache
def _empty_store() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="goldentwin-store-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    workspace = Workspace(home=folder, references=folder)
    with connected(workspace) as client:
        client.search_experiments()
    return workspace.mlflow / "mlflow.db"
