"""The judged model in MLflow's registry: versions made from bundles, fetched back again."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import requires, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from packaging.requirements import Requirement

from inspection.errors import TrackingError
from inspection.recipe import digest_of
from pipeline.bundle import Bundle, read_bundle
from pipeline.champions import keep_champion, read_champion
from pipeline.tracking.aliases import CHAMPION, challenge, crown, version_at
from pipeline.tracking.connection import connected
from pipeline.tracking.entry import BUNDLE_FOLDER, RunNote

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.types import Schema

    from pipeline.champions import Shelf
    from pipeline.workspace import Workspace

_MODEL_TAG = "goldentwin.model_id"


def registered_name(product: str, view: str) -> str:
    """The name in the registry: `goldentwin.<product>.<view>`, told apart where a dot inside a name would mislead."""
    name = f"goldentwin.{product}.{view}"
    return f"{name}-{digest_of([product, view])[:6]}" if "." in product + view else name


def register_model(client: MlflowClient, run: Run, note: RunNote, folder: Path) -> str:
    """Register the bundle in `folder` as a model version and give its number; the same entry gives the same version.

    A bundle that was registered before keeps its version. With `note.make_champion` or `note.make_challenger` it
    becomes that, unless another was decided on later.
    """
    found = register_version(
        client,
        run,
        note,
        Registering(
            name=registered_name(note.product, note.view),
            description=(
                f"Judges frames of {note.product}, view {note.view}: encoder, goldens, recipe and calibration in one. "
                "Takes uint8 RGB images (N, H, W, 3), gives an object per image as `goldentwin inspect --json` does."
            ),
            digest=read_bundle(folder / BUNDLE_FOLDER).digest,
            write=lambda model: write_model(folder / BUNDLE_FOLDER, model),
        ),
    )
    decided_at = note.decided_at or note.version_tags["created_at"]
    if note.make_champion:
        crown(client, found, decided_at)
    elif note.make_challenger:
        challenge(client, found)
    return str(found.version)


@dataclass(frozen=True, kw_only=True)
class Registering:
    """What is registered: its name in the registry, words for people, its digest, and what writes it into a folder."""

    name: str
    description: str
    digest: str
    write: Callable[[Path], None]


def register_version(client: MlflowClient, run: Run, note: RunNote, what: Registering) -> ModelVersion:
    """The version of a model, found again by the entry's key or the model's digest, or made."""
    found = next((each for each in _versions(client, what.name) if each.tags.get("goldentwin.key") == note.key), None)
    return found or version_with(client, what.name, what.digest) or _new_version(client, run, note, what)


def set_champion(workspace: Workspace, product: str, view: str, version_number: str) -> None:
    """Make one version the champion: the only one that judges parts.

    Raises:
        TrackingError: no such version, or a provisional one, which can't become champion.
    """
    name = registered_name(product, view)
    with connected(workspace) as client:
        found = [each for each in _versions(client, name) if str(each.version) == version_number]
        if not found:
            message = f"{name} has no version {version_number}; `goldentwin calibrate {product}` registers one"
            raise TrackingError(message)
        if found[0].tags.get("provisional") != "false":
            message = f"version {version_number} of {name} is provisional; calibrate {product} with labelled parts"
            raise TrackingError(message)
        crown(client, found[0], datetime.now(UTC).isoformat())


def pull_champion(workspace: Workspace, product: str, view: str) -> Bundle | None:
    """Fetch the registry's champion, keep it locally and give it; nothing is fetched that is kept already.

    None where the registry has no champion. When MLflow is down, `pipeline.champions.read_champion` gives the last.

    Raises:
        TrackingError: MLflow does not answer, or the model it gave is damaged.
    """
    kept = read_champion(workspace, product, view)
    with connected(workspace) as client:
        champion = version_at(client, registered_name(product, view), CHAMPION)
        if champion is None or (kept is not None and kept.digest == champion.tags.get("bundle")):
            return kept if champion is not None else None
        with tempfile.TemporaryDirectory(prefix="goldentwin-") as folder:
            return keep_champion(workspace, _downloaded(champion, folder))


def fetch_bundle(workspace: Workspace, product: str, view: str, digest: str, shelf: Shelf) -> Bundle:
    """Fetch the bundle with this digest from the registry onto a shelf, without pointing to it.

    Raises:
        TrackingError: MLflow does not answer, or has no version of it.
        ReferenceSetError: what it gave is damaged.
    """
    with connected(workspace) as client:
        found = version_with(client, registered_name(product, view), digest)
        if found is None:
            message = f"the bundle {digest} of {product}/{view} is neither kept here nor registered in MLflow"
            raise TrackingError(message)
        with tempfile.TemporaryDirectory(prefix="goldentwin-") as folder:
            fetched = shelf.put(_downloaded(found, folder))
    if fetched.digest != digest:
        message = f"version {found.version} of {found.name} is not the bundle {digest} that it names; calibrate anew"
        raise TrackingError(message)
    return fetched


def model_requirements() -> list[str]:
    """Goldentwin and its main dependencies, pinned to what is installed, as pip requirements."""
    named = [Requirement(line) for line in requires("goldentwin") or []]
    names = sorted(each.name for each in named if each.marker is None)  # a marker stands for an optional extra
    return [f"goldentwin=={version('goldentwin')}", *(f"{name}=={version(name)}" for name in names)]


def write_model(bundle: Path, folder: Path) -> None:
    """Write an MLflow pyfunc model of `bundle` into `folder`: a script and files, no pickle."""
    from mlflow.types import Schema, TensorSpec  # noqa: PLC0415 - MLflow is imported only once it is needed

    images = Schema([TensorSpec(np.dtype("uint8"), (-1, -1, -1, 3))])
    write_pyfunc(folder, bundle, script="served_model.py", inputs=images)


def write_pyfunc(folder: Path, bundle: Path, *, script: str, inputs: Schema) -> None:
    """Write a pyfunc model into `folder` that is `script` of this package over the files of `bundle`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow misses type hints and an input example; the signature says it all
        import mlflow.pyfunc  # noqa: PLC0415 - MLflow is imported only once it is needed
        from mlflow.models import ModelSignature  # noqa: PLC0415

        mlflow.pyfunc.save_model(
            path=str(folder),
            python_model=str(Path(__file__).with_name(script)),
            artifacts={"bundle": str(bundle)},
            signature=ModelSignature(inputs=inputs),
            model_config={"engine": "auto"},
            pip_requirements=model_requirements(),
        )


def version_with(client: MlflowClient, name: str, digest: str) -> ModelVersion | None:
    """The latest version made from the bundle with this digest; None where there is none."""
    found = [each for each in _versions(client, name) if each.tags.get("bundle") == digest]
    return max(found, key=lambda each: int(each.version), default=None)


def _downloaded(version: ModelVersion, folder: str) -> Path:
    from mlflow.artifacts import download_artifacts  # noqa: PLC0415 - MLflow is imported only once it is needed

    model = download_artifacts(artifact_uri=f"models:/{version.name}/{version.version}", dst_path=folder)
    return Path(model) / "artifacts" / BUNDLE_FOLDER


def _new_version(client: MlflowClient, run: Run, note: RunNote, what: Registering) -> ModelVersion:
    tags = {**note.version_tags, "bundle": what.digest, "goldentwin.key": note.key}
    model_id = _logged_model(client, run, tags)
    with tempfile.TemporaryDirectory(prefix="goldentwin-") as temporary:
        model = Path(temporary) / "model"
        what.write(model)
        client.log_model_artifacts(model_id, str(model))
    client.finalize_logged_model(model_id, "READY")
    _ensure_registered(client, what, note)
    return client.create_model_version(
        what.name,
        source=f"models:/{model_id}",
        run_id=str(run.info.run_id),
        model_id=model_id,
        tags=tags,
        description=note.description,
    )


def _logged_model(client: MlflowClient, run: Run, tags: dict[str, str]) -> str:
    """The id of the run's model; the one begun before a kill is used again."""
    begun = run.data.tags.get(_MODEL_TAG)
    if begun:
        return str(begun)
    from mlflow.entities import LoggedModelOutput  # noqa: PLC0415 - MLflow is imported only once it is needed

    run_id = str(run.info.run_id)
    model = client.create_logged_model(
        run.info.experiment_id, name="judged_model", source_run_id=run_id, tags=tags, model_type="goldentwin"
    )
    client.set_tag(run_id, _MODEL_TAG, model.model_id)
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
    return str(model.model_id)


def _ensure_registered(client: MlflowClient, what: Registering, note: RunNote) -> None:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - MLflow is imported only once it is needed

    tags = {"product": note.product, "view": note.view}
    try:
        client.create_registered_model(what.name, tags=tags, description=what.description)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _versions(client: MlflowClient, name: str) -> list[ModelVersion]:
    found: list[ModelVersion] = []
    token = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", page_token=token)
        found += page
        token = page.token
        if not token:
            return found
