"""Which registered version is champion, which challenger: aliases of MLflow's registry, in the order of decisions."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER = "champion", "challenger"
DECIDED_AT = "goldentwin.champion_decided_at"


def crown(client: MlflowClient, version: ModelVersion, decided_at: str) -> None:
    """Make a version the champion, and challenger no more; a decision that was delivered late changes nothing.

    `decided_at` is ISO 8601. Which decision is the latest is kept as a tag of the registered model: a job may wait for
    days, and a rollback makes an older version champion.
    """
    name = version.name
    champion = version_at(client, name, CHAMPION)
    challenger = version_at(client, name, CHALLENGER)
    if challenger is not None and challenger.version == version.version:
        client.delete_registered_model_alias(name, CHALLENGER)
    if champion is not None:
        since = client.get_registered_model(name).tags.get(DECIDED_AT) or champion.tags.get("created_at", "")
        if not _not_after(since, decided_at):
            return
    client.set_registered_model_alias(name, CHAMPION, str(version.version))
    client.set_registered_model_tag(name, DECIDED_AT, decided_at)


def challenge(client: MlflowClient, version: ModelVersion) -> None:
    """Make a version the challenger, unless the one there is was calibrated later, or it is champion already."""
    name = version.name
    holders = [version_at(client, name, alias) for alias in (CHAMPION, CHALLENGER)]
    champion, challenger = holders
    if champion is not None and champion.version == version.version:
        return
    if challenger is None or _not_after(challenger.tags.get("created_at", ""), version.tags.get("created_at", "")):
        client.set_registered_model_alias(name, CHALLENGER, str(version.version))


def version_at(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    """The version with this alias; None where there is none."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - MLflow is imported only once it is needed

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise
        return None


def _not_after(earlier: str, later: str) -> bool:
    """Whether the first moment is not after the second; what is no moment is before all."""
    return _moment(earlier) <= _moment(later)


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
