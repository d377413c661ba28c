"""MLflow, Prefect and S3: installed in versions that fit, and the servers that the environment names."""

from __future__ import annotations

import base64
import os
import re
import urllib.error
import urllib.request
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

from inspection.errors import EvidenceError, TrackingError
from pipeline.doctor.finding import Finding, fail, ok, warn, with_remedy
from pipeline.doctor.libraries import REINSTALL
from pipeline.evidence_store import URL_VARIABLE, evidence_store
from pipeline.secret_files import without_password
from pipeline.workspace import Workspace

ANSWER_SECONDS = 5.0
FASTAPI_WITH_PREFECT_3_8 = ((0, 150), (0, 151))  # from, before
SERVER_ERROR = 500
REFUSED = frozenset({401, 403})


def examine_mlflow(workspace: Workspace) -> list[Finding]:
    """Whether MLflow is installed and its store answers. Inspection goes on without it."""
    installed = _installed("mlflow")
    if installed is None:
        return [fail("mlflow", "not installed", REINSTALL)]
    from pipeline.tracking.connection import is_server, is_tracking_uri, require_login, tracking_uri  # noqa: PLC0415 - may be broken

    uri = tracking_uri(workspace)
    if not is_tracking_uri(uri):
        detail = f"MLflow knows no address like {without_password(uri)}: what is logged waits in the outbox"
        return [warn("mlflow", detail, "mend MLFLOW_TRACKING_URI, as http://host:5000")]
    try:
        require_login(workspace)
    except TrackingError as error:
        detail, remedy = with_remedy(error, "mend MLFLOW_TRACKING_URI")
        return [warn("mlflow", f"{without_password(detail)}: what is logged waits in the outbox", remedy)]
    if is_server(uri):
        return [ok("mlflow", f"{installed}, server at {without_password(uri)} answers")]
    there = "" if workspace.mlflow.exists() or os.environ.get("MLFLOW_TRACKING_URI") else ", made when first used"
    return [ok("mlflow", f"{installed}, store {without_password(uri)}{there}")]


def examine_prefect(_workspace: Workspace) -> list[Finding]:
    """Whether Prefect is installed beside a FastAPI that fits, and the server named by PREFECT_API_URL answers."""
    installed = _installed("prefect")
    if installed is None:
        return [fail("prefect", "not installed", REINSTALL)]
    if problem := _fastapi_problem(installed):
        return [problem]
    url = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    if not url:
        return [ok("prefect", f"{installed}, ephemeral: a server is started for each run")]
    problem_there = _prefect_server_problem(url)
    if problem_there:
        detail, remedy = problem_there
        return [fail("prefect", f"{installed}, but the server at {without_password(url)}: {detail}", remedy)]
    return [ok("prefect", f"{installed}, server at {without_password(url)} answers")]


def examine_evidence(workspace: Workspace) -> list[Finding]:
    """Whether the store for evidence answers: the home, or S3. Batches wait for it."""
    try:
        return [ok("evidence", evidence_store(workspace).examine())]
    except EvidenceError as error:
        detail, remedy = with_remedy(error, f"mend {URL_VARIABLE}")
        return [fail("evidence", detail, remedy)]


def _fastapi_problem(prefect: str) -> Finding | None:
    """Prefect 3.8's server refuses its own client from FastAPI 0.151 on, and does not start from 0.155 on."""
    fastapi = _installed("fastapi")
    remedy = "pip install 'fastapi>=0.150,<0.151'"
    if fastapi is None:
        return fail("prefect", f"{prefect}, but FastAPI is not installed", remedy)
    low, high = FASTAPI_WITH_PREFECT_3_8
    if prefect.startswith("3.8.") and not low <= _major_minor(fastapi) < high:
        return fail("prefect", f"the server of Prefect {prefect} does not work with FastAPI {fastapi}", remedy)
    return None


def _prefect_server_problem(url: str) -> tuple[str, str] | None:
    """What is wrong, and the remedy."""
    if urlsplit(url).scheme not in {"http", "https"}:
        return "no http address", "mend PREFECT_API_URL, as http://host:4200/api"
    if not url.endswith("/api"):
        return "the address must end in /api", "mend PREFECT_API_URL"
    login = os.environ.get("PREFECT_API_AUTH_STRING", "")
    basic = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if login else {}
    start = "start it with `goldentwin ui` or `prefect server start`, or mend or unset PREFECT_API_URL"
    try:
        request = urllib.request.Request(f"{url}/admin/version", headers=basic)  # noqa: S310 - http(s) only
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - the same
            answer.read(1)
    except urllib.error.HTTPError as error:
        if error.code in REFUSED:
            return f"it refuses this login ({error.code})", "set PREFECT_API_AUTH_STRING to what the server has"
        return (f"status {error.code}", start) if error.code >= SERVER_ERROR else None
    except (OSError, ValueError) as error:
        return f"no answer ({getattr(error, 'reason', error)})", start
    return None


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _major_minor(text: str) -> tuple[int, int]:
    numbers = [int(number) for number in re.findall(r"\d+", text)[:2]]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (0, 0)  # noqa: PLR2004 - major and minor
