"""The connection to MLflow: where it is, whether it answers, and a client for it. Quick to say that it is down."""

from __future__ import annotations

import logging
import os
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

from inspection.errors import TrackingError
from pipeline.secret_files import without_password, without_user

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    from pipeline.workspace import Workspace

PROBE_SECONDS = 2.0
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "60",
}
_REFUSED = {
    401: "does not know {user} by this password (401); set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    403: "does not allow {user} to do this (403); ask its administrator, or set another MLFLOW_TRACKING_USERNAME",
}


def prepare_environment() -> None:
    """Set MLflow's switches before it is imported: no telemetry, no chatter, few retries. The user's own win."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def tracking_uri(workspace: Workspace) -> str:
    """`MLFLOW_TRACKING_URI`, else the embedded SQLite store in the home folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or embedded_uri(workspace)


def embedded_uri(workspace: Workspace) -> str:
    """The SQLite store that needs no server."""
    return f"sqlite:///{(workspace.mlflow / 'mlflow.db').as_posix()}"


def artifact_root(workspace: Workspace) -> str:
    """The folder of the embedded store's artifacts, as a `file:` URI."""
    return (workspace.mlflow / "artifacts").as_uri()


def is_server(uri: str) -> bool:
    """Whether `uri` names an MLflow server rather than a database that we open ourselves."""
    return uri.startswith(("http://", "https://"))


def is_tracking_uri(uri: str) -> bool:
    """Whether `uri` is of a kind that MLflow has: a server, a folder, a database by any driver, or Databricks."""
    from mlflow.store.db.db_types import DATABASE_ENGINES  # noqa: PLC0415 - takes seconds

    kind = uri.partition(":")[0] if ":" in uri else "file"
    return kind.partition("+")[0] in {"http", "https", "file", "databricks", *DATABASE_ENGINES}


def require_reachable(uri: str) -> None:
    """Ask an MLflow server for a sign of life, for `PROBE_SECONDS` at most; a database is taken to be there.

    Raises:
        TrackingError: the server does not answer in time.
    """
    if not is_server(uri):
        return
    problems: list[str] = ["no answer"]
    # a thread, because neither name resolution nor a server that sends byte by byte heeds a socket's timeout
    probe = threading.Thread(target=_probe, args=(f"{without_user(uri).rstrip('/')}/health", problems), daemon=True)
    probe.start()
    probe.join(PROBE_SECONDS)
    if problem := next(iter(problems[-1:]), None):
        told = without_password(f"MLflow at {uri} can't be reached ({problem})")
        message = f"{told}; start it, or mend MLFLOW_TRACKING_URI"
        raise TrackingError(message)


def require_login(workspace: Workspace) -> None:
    """Ask an MLflow server for something that only its users get; a database is taken to be there.

    Raises:
        TrackingError: the server does not answer, or does not let this user in.
    """
    uri = tracking_uri(workspace)
    if not is_server(uri):
        return
    with connected(workspace) as client:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - see `connected`

        try:
            client.search_experiments(max_results=1)
        except MlflowException as error:
            if refused := access_refused(error, uri):
                raise refused from None
            message = f"MLflow at {without_password(uri)} does not answer as MLflow does; mend MLFLOW_TRACKING_URI"
            raise TrackingError(message) from None


def access_refused(error: MlflowException, uri: str) -> TrackingError | None:
    """What to say where MLflow did not let this user in, or not do that; None where the error is another one."""
    status = error.get_http_status_code()  # type: ignore[no-untyped-call]
    if not is_server(uri) or status not in _REFUSED:
        return None
    named, user = without_password(uri), os.environ.get("MLFLOW_TRACKING_USERNAME") or "nobody in particular"
    return TrackingError(f"MLflow at {named} {_REFUSED[status].format(user=user)}")


@contextmanager
def connected(workspace: Workspace) -> Iterator[MlflowClient]:
    """Give a client for the workspace's MLflow, and make it the one that MLflow's own functions use meanwhile.

    The first use in a process imports MLflow (seconds), the first in a home creates its database (seconds more).

    Raises:
        TrackingError: the server does not answer.
    """
    uri = tracking_uri(workspace)
    require_reachable(uri)
    prepare_environment()
    if uri == embedded_uri(workspace):
        (workspace.mlflow / "artifacts").mkdir(parents=True, exist_ok=True)
    import mlflow  # noqa: PLC0415 - takes seconds, and must see the environment set above

    outside = os.environ.get("MLFLOW_TRACKING_URI")
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None  # type: ignore[no-untyped-call]
    mlflow.set_tracking_uri(uri)
    try:
        yield mlflow.MlflowClient(tracking_uri=uri)
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type] # None unsets it
        if outside is None:
            os.environ.pop("MLFLOW_TRACKING_URI", None)
        else:
            os.environ["MLFLOW_TRACKING_URI"] = outside


def _probe(url: str, problems: list[str]) -> None:
    try:
        with urllib.request.urlopen(url, timeout=PROBE_SECONDS) as answer:  # noqa: S310 - http(s) only, see is_server
            answer.read(1)
    except urllib.error.HTTPError as error:
        if error.code >= 500:  # noqa: PLR2004 - a 4xx is a server that lives
            problems.append(f"status {error.code}")
            return
    except (OSError, ValueError) as error:
        problems.append(str(getattr(error, "reason", error)) or type(error).__name__)
        return
    problems.clear()
