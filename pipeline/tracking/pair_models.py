"""Pair networks in MLflow's registry: `goldentwin.<product>.<view>.pairs`, a version for each training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.pair_bundle import read_pair_bundle
from pipeline.tracking.aliases import crown
from pipeline.tracking.entry import BUNDLE_FOLDER, RunNote
from pipeline.tracking.models import Registering, register_version, registered_name, write_pyfunc

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow import MlflowClient
    from mlflow.entities import Run


def pair_model_name(product: str, view: str) -> str:
    """The name in the registry, beside that of the judged model of the same product and view."""
    return f"{registered_name(product, view)}.pairs"


def register_pair_model(client: MlflowClient, run: Run, note: RunNote, folder: Path) -> str:
    """Register the pair network in `folder` as a version and give its number; the same network keeps its version.

    The one trained last is `champion`, as it is the one that judges.
    """
    found = register_version(
        client,
        run,
        note,
        Registering(
            name=pair_model_name(note.product, note.view),
            description=(
                f"Judges frames of {note.product}, view {note.view}, each against a golden of its own. Takes `frame` "
                "and `golden`, uint8 RGB images (N, H, W, 3), gives an object per pair, as `inspect --json` does."
            ),
            digest=read_pair_bundle(folder / BUNDLE_FOLDER).digest,
            write=lambda model: write_pair_model(folder / BUNDLE_FOLDER, model),
        ),
    )
    crown(client, found, note.created_at)
    return str(found.version)


def write_pair_model(bundle: Path, folder: Path) -> None:
    """Write an MLflow pyfunc model of a pair network into `folder`: a script and files, no pickle."""
    from mlflow.types import Schema, TensorSpec  # noqa: PLC0415 - MLflow is imported only once it is needed

    two = Schema([TensorSpec(np.dtype("uint8"), (-1, -1, -1, 3), name) for name in ("frame", "golden")])
    write_pyfunc(folder, bundle, script="served_pair_model.py", inputs=two)
