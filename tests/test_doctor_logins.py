"""The doctor's look at servers that let nobody in, at addresses that are none, and at settings that say nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from answering_server import answering

from pipeline.doctor import machine, services
from pipeline.doctor.finding import Finding, Status
from pipeline.workspace import Workspace

LOGIN = "plant:geheim"


@pytest.fixture
def closed_server() -> Iterator[str]:
    """A server that is well, and answers nobody but `LOGIN`."""
    wanted = f"Basic {base64.b64encode(LOGIN.encode()).decode()}"

    def answer(path: str, login: str) -> tuple[int, bytes]:
        well = path.endswith("/health") or login == wanted
        return (200, b'"3.8"') if well else (401, b"You are not authenticated.")

    with answering(answer) as address:
        yield address


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
