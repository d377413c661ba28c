"""Users of an MLflow server with passwords: reviewers, who read and answer, and workers, who log."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from inspection.errors import TrackingError
from pipeline.tracking.connection import access_refused, connected, is_server, tracking_uri

if TYPE_CHECKING:
    from pipeline.workspace import Workspace

ROLE: Final = "goldentwin-reviewers"
_WORKSPACE: Final = "default"
_GRANTS: Final = (
    ("trace", "EDIT"),  # to answer for a part
    ("assessment", "EDIT"),  # to change an answer
    ("review_queue", "EDIT"),  # to tick a part off
    ("registered_model", "DENY"),  # without it any user may register models
    ("prompt", "DENY"),
)
_USERS: Final = "/api/2.0/mlflow/users"
_ROLES: Final = "/api/3.0/mlflow/roles"


class UserKind(StrEnum):
    """What a user of MLflow is for."""

    REVIEWER = "reviewer"
    WORKER = "worker"


def add_user(workspace: Workspace, name: str, password: str, kind: UserKind) -> bool:
    """Make a user, or give one that there is the role and a new password; whether it was made. Needs an administrator.

    A reviewer reads runs and parts, answers, and can neither delete, log nor register anything. A worker logs, and owns
    what it made.

    Raises:
        TrackingError: MLflow is no server with passwords, does not answer, or refuses.
    """
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - MLflow is imported only once it is needed

    uri = tracking_uri(workspace)
    if not is_server(uri):
        message = "the embedded MLflow knows no users; set MLFLOW_TRACKING_URI to a server, see mlflow/README.md"
        raise TrackingError(message)
    with connected(workspace):
        try:
            made = _Server(uri).add(name, password)
            if kind is UserKind.REVIEWER:
                _Server(uri).make_reviewer(name)
        except MlflowException as error:
            if refused := access_refused(error, uri):
                raise refused from error
            message = f"MLflow did not take the user {name!r} ({_said(error)}); mend name or password, or see its log"
            raise TrackingError(message) from error
        return made


class _Server:
    """MLflow's REST API of users, by the client's own credentials."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def add(self, name: str, password: str) -> bool:
        """Make the user, or change the password of the one that there is."""
        known = {one["username"] for one in self._ask("GET", f"{_USERS}/list")["users"]}
        if name in known:
            self._ask("PATCH", f"{_USERS}/update-password", username=name, password=password)
        else:
            self._ask("POST", f"{_USERS}/create", username=name, password=password)
        return name not in known

    def make_reviewer(self, name: str) -> None:
        """Give the user the role, which is made with its grants where it is missing."""
        roles = self._ask("GET", f"{_ROLES}/list", workspace=_WORKSPACE)["roles"]
        role = next((one["id"] for one in roles if one["name"] == ROLE), None)
        if role is None:
            told = "reads, and answers for parts"
            made = self._ask("POST", f"{_ROLES}/create", workspace=_WORKSPACE, name=ROLE, description=told)
            role = made["role"]["id"]
        there = {
            one["resource_type"]
            for one in self._ask("GET", f"{_ROLES}/permissions/list", role_id=role)["role_permissions"]
        }
        for kind, permission in _GRANTS:
            if kind not in there:
                granted = {"resource_type": kind, "resource_pattern": "*", "permission": permission}
                self._ask("POST", f"{_ROLES}/permissions/add", role_id=role, **granted)
        mine = self._ask("GET", f"{_USERS.replace('2.0', '3.0')}/roles/list", username=name)["roles"]
        if role not in {one["id"] for one in mine}:
            self._ask("POST", f"{_ROLES}/assign", username=name, role_id=role)

    def _ask(self, method: str, endpoint: str, **values: str | int) -> dict[str, Any]:
        from mlflow.utils.credentials import get_default_host_creds  # noqa: PLC0415 - only once it is needed
        from mlflow.utils.rest_utils import http_request, verify_rest_response  # noqa: PLC0415

        given: dict[str, Any] = {"params" if method == "GET" else "json": values} if values else {}
        creds = get_default_host_creds(self._uri)  # type: ignore[no-untyped-call]
        answer = http_request(creds, endpoint, method, **given)  # type: ignore[no-untyped-call]
        verify_rest_response(answer, endpoint)
        return dict(answer.json()) if answer.content else {}


def _said(error: Exception) -> str:
    """MLflow's own words, in one line."""
    try:
        return str(json.loads(str(error))["message"])
    except (ValueError, KeyError, TypeError):
        return (str(error).splitlines() or [""])[0][:300]
