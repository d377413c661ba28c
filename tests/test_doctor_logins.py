"""The doctor's look at servers that let nobody in, at addresses that are none, and at settings that say nothing."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.doctor import machine, services
from pipeline.doctor.finding import Finding, Status
from pipeline.workspace import Workspace

LOGIN = "plant:geheim"


@pytest.fixture
def closed_server() -> Iterator[str]:
    """A server that is well, and answers nobody but `LOGIN`."""
    wanted = f"Basic {base64.b64encode(LOGIN.encode()).decode()}"

    class Closed(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            well = self.path.endswith("/health") or self.headers.get("Authorization") == wanted
            self.send_response(200 if well else 401)
            self.end_headers()
            self.wfile.write(b'"3.8"' if well else b"You are not authenticated.")

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Closed) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def the_only(findings: list[Finding]) -> Finding:
    """There is one."""
    (finding,) = findings
    return finding


@pytest.mark.parametrize(("login", "status"), [("", Status.FAIL), ("plant:wrong", Status.FAIL), (LOGIN, Status.OK)])
def test_prefect_that_refuses_the_login(
    login: str, status: Status, closed_server: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it is well is not enough: this machine has to be let in."""
    monkeypatch.setenv("PREFECT_API_URL", f"{closed_server}/api")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", login)
    finding = the_only(services.examine_prefect(workspace))
    assert finding.status is status
    assert ("PREFECT_API_AUTH_STRING" in finding.remedy) == (status is Status.FAIL)
    assert "geheim" not in finding.detail + finding.remedy


def test_mlflow_that_refuses_the_login(
    closed_server: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is logged would wait for ever."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", closed_server)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "night")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "geheim")
    finding = the_only(services.examine_mlflow(workspace))
    assert finding.status is Status.WARN
    assert "MLFLOW_TRACKING_USERNAME" in finding.remedy
    assert "geheim" not in finding.detail + finding.remedy


@pytest.mark.parametrize("address", ["htps://mlflow.plant.example", "mlflow.plant.example:5000"])
def test_an_address_that_mlflow_does_not_know(
    address: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be taken for a store of some other kind."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    finding = the_only(services.examine_mlflow(workspace))
    assert finding.status is Status.WARN
    assert "MLFLOW_TRACKING_URI" in finding.remedy


@pytest.mark.parametrize("wish", ["four", "0", "-1", "1.5"])
def test_cores_that_are_no_number(wish: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """All cores are used then, and it is said."""
    for name in machine.THREAD_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOLDENTWIN_CORES", wish)
    finding = the_only(machine.examine_processor(workspace))
    assert finding.status is Status.WARN
    assert "GOLDENTWIN_CORES" in finding.remedy
