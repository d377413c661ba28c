"""A calibration is one MLflow run, a batch is one, and both show a reviewer what was decided and why."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlparse

import pytest
from tracking_inputs import batch_log, calibration_log, calibration_of, picture, workspace_in

from inspection.errors import TrackingError
from inspection.verdicts import Provenance
from pipeline import outbox
from pipeline.tracking import connection
from pipeline.tracking.connection import connected, prepare_environment, tracking_uri
from pipeline.tracking.logs import EvaluationLog
from pipeline.tracking.run_link import RunLink, find_run
from pipeline.tracking.runs import experiment_name, log_batch, log_calibration, log_evaluation


@pytest.fixture
def workspace(home, tmp_path, monkeypatch):
    """A workspace with an empty store, seen from an empty current folder."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return workspace_in(home)


def _run(workspace, run_id):
    with connected(workspace) as client:
        return client.get_run(run_id)


def _runs(workspace):
    with connected(workspace) as client:
        experiment = client.get_experiment_by_name(experiment_name("board", "default"))
        return client.search_runs([experiment.experiment_id])


def _artifacts(run):
    root = Path(urlparse(run.info.artifact_uri).path)
    return {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}


def test_everything_lies_in_the_home_folder(workspace, tmp_path):
    """Nothing is written into the current folder, and MLflow's global address is as it was."""
    log_batch(workspace, batch_log(tmp_path / "evidence"))
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (workspace.mlflow / "artifacts" / "board" / "default").is_dir()
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_calibration_run_says_what_was_proven(workspace, tmp_path):
    """A calibration's run holds its policy and hashes, its rates with intervals, its data and its pictures."""
    calibration = calibration_of()
    drawn = picture(tmp_path / "calibration.jpg")
    run = _run(workspace, log_calibration(workspace, calibration_log(calibration=calibration, pictures=[drawn])))
    assert run.data.params["encoder"] == calibration.binding.encoder
    assert run.data.params["calibration"] == calibration.digest
    assert run.data.params["goldens"] == "4"
    assert run.data.metrics["threshold"] == calibration.threshold
    assert run.data.metrics["escape"] == 0.0
    assert run.data.metrics["escape_high"] == pytest.approx(calibration.escape.high)
    assert run.data.metrics["overkill_n"] == 40
    assert calibration.statement in run.data.tags["mlflow.note.content"]
    assert {"calibration.jpg", "calibration.json", "labelled.csv"} == set(_artifacts(run))
    assert run.info.status == "FINISHED"


def test_data_set_is_an_input_with_its_digest(workspace):
    """The labelled data is the run's input, its digest over names, contents and labels: another label, another one."""
    log = calibration_log()
    (given,) = _run(workspace, log_calibration(workspace, log)).inputs.dataset_inputs
    assert given.dataset.digest == log.entry().note.dataset.digest
    assert json.loads(given.dataset.profile)["num_rows"] == 50
    assert given.tags[0].value == "calibration"
    object.__setattr__(log.labelled[0], "label", "scratch")
    assert log.entry().note.dataset.digest != given.dataset.digest


def test_batch_run_counts_and_shows_the_worst_first(workspace, tmp_path):
    """A batch's run counts verdicts, and its flagged pictures sort by how bad they are."""
    run = _run(workspace, log_batch(workspace, batch_log(tmp_path / "evidence")))
    expected = {"frames": 12, "pass": 9, "flag": 2, "cannot_inspect": 1, "frames_per_second": 2}
    assert {name: run.data.metrics[name] for name in expected} == expected
    assert run.data.metrics["share_flagged"] == pytest.approx(2 / 11)
    assert run.data.metrics["similarity_q50"] == pytest.approx(0.9)
    assert run.data.tags["goldentwin.batch"] == "night-1"
    pictures = [name for name in _artifacts(run) if name.startswith("flagged/")]
    assert [name[8:14] for name in pictures] == ["0.2000", "0.4000"]
    assert run.info.end_time - run.info.start_time == 6000


def test_batch_table_has_a_row_per_frame(workspace, tmp_path):
    """`verdicts.csv` names every frame of the batch with its verdict and hash."""
    run = _run(workspace, log_batch(workspace, batch_log(tmp_path / "evidence")))
    rows = list(csv.DictReader(io.StringIO(_artifacts(run)["verdicts.csv"].read_text())))
    assert len(rows) == 12
    assert rows[0]["frame"] == "shift 1/1.png"
    assert rows[2]["verdict"] == "CANNOT_INSPECT"
    assert all(row["frame_sha256"] for row in rows)


def test_first_page_shows_result_reasons_and_contact_sheet(workspace, tmp_path):
    """The description has the counts, the worst parts, why a frame could not be inspected, and the contact sheet."""
    run = _run(workspace, log_batch(workspace, batch_log(tmp_path / "evidence")))
    text = run.data.tags["mlflow.note.content"]
    assert text.startswith("**12 verdicts: 9 PASS, 2 FLAG, 1 CANNOT_INSPECT**, in 6.0 s")
    assert text.index("0.2000") < text.index("0.4000")
    assert "blurred" in text
    assert f"get-artifact?path=contact_sheet.jpg&run_uuid={run.info.run_id}" in text


def test_resumed_batch_has_one_run(workspace, tmp_path):
    """The same batch logged again, with more frames, updates its run; another batch has its own."""
    first = log_batch(workspace, batch_log(tmp_path / "evidence", frames=4))
    again = log_batch(workspace, batch_log(tmp_path / "evidence", frames=12))
    assert first == again
    assert _run(workspace, again).data.metrics["frames"] == 12
    assert log_batch(workspace, batch_log(tmp_path / "evidence", batch="night-2")) != first
    assert len(_runs(workspace)) == 2


def test_delivered_batch_has_a_page_to_go_to(workspace, tmp_path):
    """The batch's run is found again by its key, with the address of its page; before it is delivered there is none."""
    log = batch_log(tmp_path)
    assert find_run(workspace, "board", "default", log.key) is None
    run_id = log_batch(workspace, log)
    experiment = _run(workspace, run_id).info.experiment_id
    address = f"http://127.0.0.1:5000/#/experiments/{experiment}/runs/{run_id}"
    assert find_run(workspace, "board", "default", log.key) == RunLink(run_id=run_id, address=address)


def test_job_delivered_twice_is_one_run(workspace, tmp_path):
    """A kill between delivery and removal of the job makes no second run and no second point of a metric."""
    for _ in range(2):
        outbox.enqueue(workspace, batch_log(tmp_path / "evidence"))
    assert outbox.deliver(workspace) == outbox.DeliveryReport(delivered=2, waiting=0)
    (run,) = _runs(workspace)
    with connected(workspace) as client:
        assert len(client.get_metric_history(run.info.run_id, "frames")) == 1


def test_changed_parameter_is_kept_beside_the_first(workspace, tmp_path):
    """MLflow can't change a parameter: a resumed batch from another folder says so in a tag."""
    log_batch(workspace, batch_log(tmp_path / "evidence", settings={"frames": "/a"}))
    run = _run(workspace, log_batch(workspace, batch_log(tmp_path / "evidence", settings={"frames": "/b"})))
    assert run.data.params["frames"] == "/a"
    assert run.data.tags["latest.frames"] == "/b"


def test_provisional_is_said_at_once(workspace):
    """A provisional calibration's run says so in name, tag and description."""
    run = _run(workspace, log_calibration(workspace, calibration_log(calibration=calibration_of(provisional=True))))
    assert run.info.run_name.startswith("provisional")
    assert run.data.tags["goldentwin.provisional"] == "true"
    assert run.data.tags["mlflow.note.content"].startswith("> **Provisional**")


def test_evaluation_run_holds_the_figures(workspace):
    """Nested figures become metrics, null ones are left out."""
    log = EvaluationLog(
        product="board",
        view="default",
        provenance=Provenance(encoder="e" * 12, reference_set="r" * 12, recipe="c" * 12, calibration=None),
        figures={"image_auroc": 0.99, "escape": {"rate": 0.1, "low": 0.0, "high": 0.3, "n": 20}, "aupro": None},
        labelled=calibration_log().labelled,
        started_at=batch_log(workspace.home / "evidence").started_at,
    )
    run = _run(workspace, log_evaluation(workspace, log))
    assert run.data.metrics == {
        "image_auroc": 0.99,
        "escape": 0.1,
        "escape_low": 0.0,
        "escape_high": 0.3,
        "escape_n": 20,
    }


def test_experiment_that_was_deleted_comes_back(workspace, tmp_path):
    """A reviewer who deletes the experiment does not stop the nights after it."""
    log_batch(workspace, batch_log(tmp_path / "evidence"))
    with connected(workspace) as client:
        client.delete_experiment(client.get_experiment_by_name(experiment_name("board", "default")).experiment_id)
    log_batch(workspace, batch_log(tmp_path / "evidence", batch="night-2"))
    assert len(_runs(workspace)) == 2


def test_telemetry_is_off_unless_the_user_says_otherwise(monkeypatch):
    """Our defaults switch telemetry off and retries down; what the user set stays."""
    for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "7")
    for name in connection._DEFAULTS:
        monkeypatch.setenv(name, os.environ.get(name, ""))
        if not os.environ[name]:
            monkeypatch.delenv(name)
    prepare_environment()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["DO_NOT_TRACK"] == "1"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "7"


def test_posting_to_a_dead_server_does_not_import_mlflow(tmp_path):
    """The seconds that MLflow takes to import are not spent where nobody listens."""
    program = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[2])\n"
        "from tracking_inputs import batch_log\n"
        "from pipeline import outbox\n"
        "from pipeline.workspace import Workspace\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "assert not outbox.post(Workspace(home=folder, references=folder), batch_log(folder))\n"
        "assert 'mlflow' not in sys.modules\n"
    )
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    command = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path), str(Path(__file__).parent)]
    subprocess.run(command, env=environment, check=True, timeout=60)


def test_address_is_the_home_unless_the_environment_names_one(workspace, monkeypatch):
    """`MLFLOW_TRACKING_URI` wins over the embedded store."""
    assert tracking_uri(workspace) == f"sqlite:///{workspace.mlflow}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert tracking_uri(workspace) == "http://mlflow:5000"


def test_dead_server_is_a_typed_error(workspace, tmp_path, monkeypatch):
    """Logging directly, without the outbox, names the address and what to do."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(TrackingError, match=r"127\.0\.0\.1:9 can't be reached .* MLFLOW_TRACKING_URI"):
        log_batch(workspace, batch_log(tmp_path / "evidence"))
