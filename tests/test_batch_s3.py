"""`goldentwin batch` and MLflow with S3 for real: stopped in the middle, artifacts and review pictures in it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from drawn_night import PRODUCT, environment, missing_and_doubled, recorded_frames, start_batch, write_frames
from reviewed_night import judged_night
from s3_server import BUCKET, S3Server, running_s3
from signal_receivers import free_port, wait_for

from pipeline.batch import summarise_batch
from pipeline.records import ReviewRecords, VerdictRecords
from pipeline.records.reviews import trace_of
from pipeline.servers import Server, wait_until_healthy
from pipeline.tracking.connection import connected
from pipeline.tracking.runs import experiment_name
from pipeline.workspace import Workspace

FRAMES = 64


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_batch_goes_on_when_s3_is_back(plates, tmp_path, monkeypatch):
    """Stopped while portions are judged and started again: the command ends well, each frame has one row."""
    home = plates.copy(tmp_path / "home").home
    frames = write_frames(tmp_path / "frames", FRAMES, scratched_every=4)
    with running_s3(tmp_path) as s3:
        for name, value in s3.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("GOLDENTWIN_EVIDENCE_URL", f"s3://{BUCKET}/night")
        running = start_batch(home, frames, tmp_path / "batch.log")
        wait_for(lambda: recorded_frames(home), 150)
        held = s3.stop()
        time.sleep(4)  # portions meet the lost store
        assert len(recorded_frames(home)) < FRAMES
        assert running.poll() is None
        s3.start_again(held)
        assert running.wait(200) == 0, (tmp_path / "batch.log").read_text()
        assert missing_and_doubled(recorded_frames(home), frames) == (set(), set())
        with VerdictRecords(Workspace.locate(home).records_url) as records:
            named = {row["evidence"].removeprefix("evidence/") for row in records.rows() if row["evidence"]}
        assert len(named) == FRAMES // 4
        assert named <= {key.removeprefix("night/") for key in s3.objects("night/")}


@contextmanager
def mlflow_on_s3(folder: Path, s3: S3Server) -> Iterator[Server]:
    """As mlflow/README.md says: artifacts through the server, which keeps them in S3."""
    address = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", address.rpartition(":")[2]]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1"]
    command += ["--artifacts-destination", f"s3://{BUCKET}/mlflow"]
    given = environment(folder) | s3.environment | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=given, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    server = Server(name="MLflow", address=address, process=process, log=folder / "mlflow.log")
    try:
        wait_until_healthy(server)
        yield server
    finally:
        server.stop()


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_mlflow_keeps_artifacts_and_review_pictures_in_s3(plates, tmp_path, monkeypatch):
    """Evidence and MLflow's artifacts in one bucket: a night's run and a part's picture are read back."""
    line = plates.copy(tmp_path / "home")
    with running_s3(tmp_path) as s3, mlflow_on_s3(tmp_path, s3) as server:
        for name, value in s3.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("GOLDENTWIN_EVIDENCE_URL", f"s3://{BUCKET}/evidence")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
        summary = summarise_batch(judged_night(line, tmp_path / "night").plan, 1.0)
        assert summary.tracked
        evidence = s3.objects("evidence/")
        kept = s3.objects("mlflow/")
        assert summary.contact_sheet.read_bytes() in kept.values()
        with connected(line) as client:
            experiment = client.get_experiment_by_name(experiment_name(PRODUCT, "default"))
            (found,) = client.search_runs([experiment.experiment_id])
            flagged = client.list_artifacts(found.info.run_id, "flagged")
            assert len(flagged) == 2
            for one in flagged:
                path = client.download_artifacts(found.info.run_id, one.path, str(tmp_path))
                assert Path(path).read_bytes() in evidence.values()
        with ReviewRecords(line.records_url) as records:
            item = next(one for one in records.items() if one.kind == "flagged")
        with connected(line) as client:
            trace = client.get_trace(trace_of(item.key))
            from mlflow.tracing.client import TracingClient

            store = TracingClient()._get_artifact_repo_for_trace(trace.info)
            shown = json.loads(trace.data.spans[0].to_dict()["attributes"]["mlflow.spanInputs"])["review"]
            attachment = shown.removeprefix("mlflow-attachment://").partition("?")[0]
            picture = store.download_trace_attachment(attachment)
        assert picture == evidence[item.picture]
