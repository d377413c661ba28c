"""Retention of what a real MLflow holds: traces with their files, and the files of batches' runs; no other run."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import mlflow
import pytest
from aged_home import Ageing, by_kind, part, tonight
from drawn_night import PRODUCT
from mlflow.entities import AssessmentSource
from reviewed_night import PARTS, judged_night, recipe_with
from verdict_samples import GROUNDS

from inspection.recipe import ReviewSettings
from pipeline.batch import summarise_batch
from pipeline.evidence import read_evidence
from pipeline.outbox import enqueue
from pipeline.records import ReviewRecords
from pipeline.records.later_tables import AGED_OUT
from pipeline.retention.retaining import retain
from pipeline.review.pulling import pull_reviews
from pipeline.servers import Server, free_port, wait_until_healthy
from pipeline.tracking.ageing import AgeingRoom
from pipeline.tracking.batch_log import BatchLog
from pipeline.tracking.connection import connected
from pipeline.tracking.review_room import review_room


def later(days):
    """The moment so many days from now: by then all that is here is so old."""
    return datetime.now(UTC) + timedelta(days=days)


@pytest.fixture
def line(plates, home, tmp_path):
    """A night of ten pushed parts, with its run in MLflow, and a newer one of a single part."""
    line = plates.copy(home)
    recipe_with(line, ReviewSettings(share=1.0))
    summarise_batch(judged_night(line, tmp_path / "night").plan, 1.0)
    judged_night(line, tmp_path / "newest", parts=1, first=900)
    return line


def traces(line):
    """All traces by id."""
    with review_room(line, PRODUCT, "default") as room:
        found = room._client.search_traces(locations=[room._experiment], max_results=500)
        return {trace.info.trace_id: trace for trace in found}


def runs(line):
    """All runs of the product."""
    with connected(line) as client:
        experiment = client.get_experiment_by_name(f"goldentwin/{PRODUCT}/default")
        return client.search_runs([experiment.experiment_id])


def trace_files(line):
    """The files of traces on the disk."""
    return [path for path in (line.mlflow / "artifacts").rglob("traces/*/**/*") if path.is_file()]


def say(line, trace):
    """A reviewer's word."""
    source = AssessmentSource(source_type="HUMAN", source_id="anna")
    with connected(line):
        mlflow.log_feedback(trace_id=trace, name="verdict", value=True, source=source)


def test_traces_go_with_their_files_and_reviewed_ones_stay(line):
    """A dry run says the same; an answer that was not pulled yet holds its trace; the queue's places go too."""
    with ReviewRecords(line.records_url) as records:
        pushed = [one.trace for one in records.items() if one.trace]
    assert len(pushed) == PARTS
    say(line, pushed[0])
    pull_reviews(line)
    say(line, pushed[1])
    assert Ageing.TRACES not in by_kind(retain(line, dry_run=True, now=later(179)))
    told = retain(line, dry_run=True, now=later(181))
    assert len(traces(line)) == PARTS
    done = retain(line, now=later(181))
    assert (done.kinds, done.problems) == (told.kinds, ())
    assert by_kind(done)[Ageing.TRACES] == PARTS - 2
    assert set(traces(line)) == set(pushed[:2])
    assert {path.parents[2].name for path in trace_files(line)} == set(pushed[:2])
    assert sorted(path.name for path in (line.mlflow / "artifacts").rglob("traces/*")) == sorted(pushed[:2])
    with review_room(line, PRODUCT, "default") as room, ReviewRecords(line.records_url) as records:
        items = {one.trace for one in records.items()}
        assert items == {*pushed[:2], AGED_OUT, ""}
        assert room.counts(room.queue(next(one.queue for one in records.items() if one.queue), ())) == (0, 2)
    assert Ageing.TRACES not in by_kind(retain(line, now=later(181)))
    pull_reviews(line)
    assert by_kind(retain(line, now=later(1826)))[Ageing.TRACES] == 2
    assert trace_files(line) == []


@pytest.mark.parametrize("where", ["_remove_files", "delete_traces"])
def test_a_kill_while_traces_go_leaves_no_files_behind(line, monkeypatch, where):
    """The trace goes last, for it alone knows where its files are."""
    calls = []
    owner = AgeingRoom if where == "_remove_files" else mlflow.MlflowClient
    whole = getattr(owner, where)

    def killed_at_the_third(self, *given, **named):
        calls.append(given)
        if len(calls) == (3 if where == "_remove_files" else 1):
            raise KeyboardInterrupt
        return whole(self, *given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(owner, where, killed_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            retain(line, now=later(181))
    assert len(traces(line)) == PARTS
    assert by_kind(retain(line, now=later(181)))[Ageing.TRACES] == PARTS
    assert (traces(line), trace_files(line)) == ({}, [])


def test_files_of_batch_runs_go_and_the_runs_stay(line):
    """With their figures and a word on their page; other runs keep all, however old."""
    with connected(line) as client:
        experiment = client.get_experiment_by_name(f"goldentwin/{PRODUCT}/default").experiment_id
        others = [
            client.create_run(experiment, tags={"goldentwin.kind": kind, "goldentwin.key": kind})
            for kind in ("calibration", "promotion", "training", "evaluation")
        ]
        for other in others:
            client.log_text(other.info.run_id, "kept", "kept.txt")
    (batch,) = [run for run in runs(line) if run.data.tags["goldentwin.kind"] == "batch"]
    folder = Path(batch.info.artifact_uri.removeprefix("file://"))
    assert (folder / "verdicts.csv").is_file()
    assert Ageing.BATCH_ARTIFACTS not in by_kind(retain(line, now=later(364)))
    told = retain(line, dry_run=True, now=later(366))
    assert (folder / "verdicts.csv").is_file()
    done = retain(line, now=later(366))
    assert done.kinds == told.kinds
    assert by_kind(done)[Ageing.BATCH_ARTIFACTS] == 1
    assert not folder.exists()
    (left,) = [run for run in runs(line) if run.data.tags["goldentwin.kind"] == "batch"]
    assert left.data.metrics == batch.data.metrics
    note = left.data.tags["mlflow.note.content"]
    assert "aged out" in note
    assert "get-artifact" not in note
    for other in others:
        assert (Path(other.info.artifact_uri.removeprefix("file://")) / "kept.txt").is_file()
    assert Ageing.BATCH_ARTIFACTS not in by_kind(retain(line, now=later(9999)))


def test_a_batch_in_the_outbox_keeps_everything(line):
    """MLflow is still to be told of it."""
    with ReviewRecords(line.records_url) as records:
        batch = next(one.batch for one in records.items() if one.trace)
    log = BatchLog(
        product=PRODUCT,
        view="default",
        batch=batch,
        started_at=datetime.now(UTC),
        seconds=1.0,
        provenance=GROUNDS,
        provisional=False,
        rows=[],
        picture_of=partial(read_evidence, line),
    )
    enqueue(line, log)
    assert by_kind(retain(line, now=later(5000))) == {}


def test_while_mlflow_is_away_parts_with_a_trace_keep_their_records(line, monkeypatch):
    """Nobody would know any more whose the traces are; all else ages, and it is said."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port(1)}")
    done = retain(line, now=later(2000))
    assert ["can't be reached" in problem for problem in done.problems] == [True]
    assert set(by_kind(done)) == {Ageing.EVIDENCE, Ageing.FRAMES, Ageing.BATCH_REPORTS}
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert by_kind(retain(line, now=later(2000)))[Ageing.RECORDS] == PARTS


@pytest.mark.server
@pytest.mark.slow
def test_a_server_that_serves_artifacts_removes_them_by_its_api(plates, home, tmp_path, monkeypatch):
    """And traces of parts that these records do not know are somebody else's: they stay."""
    port = free_port(5001)
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--backend-store-uri",
        f"sqlite:///{tmp_path / 'store.db'}",
        "--serve-artifacts",
        "--artifacts-destination",
        str(tmp_path / "served"),
    ]
    process = subprocess.Popen(command, env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})
    try:
        _serve(plates, home, tmp_path, monkeypatch, f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(30)


def _serve(plates, home, tmp_path, monkeypatch, address):
    wait_until_healthy(Server(name="MLflow", address=address))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    line = plates.copy(home)
    recipe_with(line, ReviewSettings(share=1.0))
    summarise_batch(judged_night(line, tmp_path / "night", parts=5).plan, 1.0)
    judged_night(line, tmp_path / "newest", parts=1, first=900)
    served = tmp_path / "served"
    there = [path for path in served.rglob("*") if path.is_file()]
    assert there
    with ReviewRecords(line.records_url) as records:
        stranger, *ours = [one for one in records.items() if one.trace]
        with records._database.writing() as connection:
            connection.exec_driver_sql(f"DELETE FROM review_items WHERE key = '{stranger.key}'")  # noqa: S608 - hex
    told = retain(line, dry_run=True, now=later(370))
    done = retain(line, now=later(370))
    assert (done.kinds, done.problems) == (told.kinds, ())
    assert (by_kind(done)[Ageing.TRACES], by_kind(done)[Ageing.BATCH_ARTIFACTS]) == (len(ours), 1)
    assert set(traces(line)) == {stranger.trace}
    left = [path for path in served.rglob("*") if path.is_file()]
    assert all(stranger.trace in path.parts for path in left)
    assert sum(one.bytes_gone for one in done.kinds if one.kind in {Ageing.TRACES, Ageing.BATCH_ARTIFACTS}) > 0


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.usefixtures("prefect_api")
def test_the_flow_says_what_went(workspace):
    """A line for the run's page; a second run finds nothing."""
    from flows.retaining import retain_home

    tonight(workspace)
    part(workspace, "old.png", days=200)
    given = {"home": str(workspace.home), "return_state": True}
    assert "1 evidence" in retain_home(**given, dry_run=True).message
    assert retain_home(**given).message.endswith("gone")
    assert retain_home(**given).message == "nothing has had its days"
