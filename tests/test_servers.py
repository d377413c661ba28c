"""The local MLflow and Prefect servers show what was logged without them, and end with the command."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlparse

import pytest
from tracking_inputs import batch_log, workspace_in

from pipeline import servers
from pipeline.servers import free_port, running_servers, start_mlflow_server, wait_until_healthy
from pipeline.tracking.connection import connected
from pipeline.tracking.runs import experiment_name, log_batch


@pytest.fixture
def workspace(home, tmp_path, monkeypatch):
    """A workspace with an empty store, seen from an empty current folder."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return workspace_in(home)


def _run(workspace, run_id):
    with connected(workspace) as client:
        return client.get_run(run_id)


def _get(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read()


def _running(groups):
    """Processes of these groups that still run; one that ended and was not asked for its status yet is none."""
    table = subprocess.run(["ps", "-A", "-o", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in table.splitlines()]
    return [row for row in rows if int(row[0]) in groups and not row[1].startswith("Z")]


def _soon(holds, seconds=30):
    """Whether it holds before long."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.2)
    return holds()


def _closed(address):
    """Whether nobody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex((urlparse(address).hostname, urlparse(address).port)) != 0


def _runs(workspace):
    with connected(workspace) as client:
        experiment = client.get_experiment_by_name(experiment_name("board", "default"))
        return client.search_runs([experiment.experiment_id])


def _artifacts(run):
    root = Path(urlparse(run.info.artifact_uri).path)
    return {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_servers_end_with_the_command(tmp_path, number):
    """Told to end, its terminal closed, or killed, `goldentwin ui` takes its servers and their children along."""
    program = (
        "import pathlib, sys, time\n"
        "from pipeline import servers\n"
        "from pipeline.workspace import Workspace\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "def start(*_):\n"
        "    command = ['sh', '-c', 'sleep 300 & wait']\n"
        "    return servers._start('none', 'http://127.0.0.1:9', command, folder=folder, environment={})\n"
        "servers.start_mlflow_server = servers.start_prefect_server = start\n"
        "servers.wait_until_healthy = lambda _server: None\n"
        "with servers.running_servers(Workspace(home=folder, references=folder)) as both:\n"
        "    print(*(server.process.pid for server in both), flush=True)\n"
        "    time.sleep(300)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        groups = [int(word) for word in process.stdout.readline().split()]
        process.send_signal(number)
        process.wait(60)
    assert len(groups) == 2
    if number == signal.SIGKILL:  # nobody is left who could wait for them
        assert _soon(lambda: not _running(groups))
    assert not _running(groups)


def test_server_that_does_not_start_says_why(tmp_path):
    """A server that ends at once is an error with the last lines of its log."""
    command = [sys.executable, "-c", "print('port is haunted')"]
    server = servers._start("MLflow", "http://127.0.0.1:9", command, folder=tmp_path, environment={})
    with pytest.raises(servers.ServerError, match=r"(?s)ended.*port is haunted"):
        wait_until_healthy(server, 20)
    server.stop()


def test_taken_port_is_passed_over():
    """The next free port is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert free_port(taken.getsockname()[1]) != taken.getsockname()[1]


@pytest.mark.server
@pytest.mark.slow
def test_server_shows_what_was_logged_without_it(workspace, tmp_path, monkeypatch):
    """Runs and pictures logged into the store are those of the server, and the other way round."""
    evidence = tmp_path / "evidence"
    without = log_batch(workspace, batch_log(evidence))
    server = start_mlflow_server(workspace, 5000)
    try:
        wait_until_healthy(server)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
        through = log_batch(workspace, batch_log(evidence, batch="night-2"))
        assert {run.info.run_id for run in _runs(workspace)} == {without, through}
        for run_id in (without, through):
            url = f"{server.address}/get-artifact?path=contact_sheet.jpg&run_uuid={run_id}"
            assert _get(url) == (evidence / "sheet.jpg").read_bytes()
        monkeypatch.delenv("MLFLOW_TRACKING_URI")
    finally:
        server.stop()
    assert {run.info.run_id for run in _runs(workspace)} == {without, through}
    assert "contact_sheet.jpg" in _artifacts(_run(workspace, through))


@pytest.mark.server
@pytest.mark.slow
def test_ui_servers_start_and_leave_nothing_running(workspace, monkeypatch):
    """Both servers answer, beside a port that is taken, and are gone afterwards with their children."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with running_servers(workspace) as (mlflow, prefect):
        assert _get(f"{mlflow.address}/health") == b"OK"
        assert _get(f"{prefect.address}/api/health") == b"true"
        groups = [mlflow.process.pid, prefect.process.pid]
    assert not _running(groups)


@pytest.mark.server
@pytest.mark.slow
def test_killed_ui_leaves_no_server_behind(workspace, tmp_path):
    """After kill -9 of `goldentwin ui` both ports are closed before long."""
    command = [sys.executable, "-c", "from flows.commands import main; main()", "ui", "--json"]
    command += ["--home", str(workspace.home), "--mlflow-port", "5310", "--prefect-port", "4310"]
    environment = {k: v for k, v in os.environ.items() if k not in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI")}
    with (
        (tmp_path / "said").open("w") as said,
        subprocess.Popen(command, stdout=said, stderr=subprocess.DEVNULL, env=environment) as process,
    ):
        assert _soon(lambda: (tmp_path / "said").read_text().strip().endswith("}"), 240)
        addresses = json.loads((tmp_path / "said").read_text())
        assert not any(map(_closed, addresses.values()))
        process.kill()
    assert len(addresses) == 2
    assert _soon(lambda: all(map(_closed, addresses.values())))
