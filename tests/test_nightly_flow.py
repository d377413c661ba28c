"""The nightly flow on a real Prefect API: names, states, retries, artifacts, and runs that were killed."""

from __future__ import annotations

from types import SimpleNamespace
from uuid import uuid4

import pytest
from night_samples import night_plan, night_summary, portion_result

from inspection.errors import NotEnrolledError, RecordsError

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.usefixtures("prefect_api")]


@pytest.fixture
def nightly(monkeypatch, workspace):
    """The flow's module, with two made-up portions that all pass, and no waiting between retries."""
    from flows import night_tasks, nightly

    monkeypatch.setattr(nightly.Night, "plan", lambda _night: night_plan(workspace))
    monkeypatch.setattr(night_tasks, "judge_chunk", portion_result)
    monkeypatch.setattr(night_tasks, "summarise_batch", lambda _plan, seconds: night_summary(seconds=seconds))
    monkeypatch.setattr(night_tasks, "keep_inspector", lambda *_args, **_options: SimpleNamespace(on_gpu=False))
    for step in (nightly.plan_night, night_tasks.judge_frames, nightly.summarise_night):
        monkeypatch.setattr(step, "retry_delay_seconds", [0, 0])
    return nightly


@pytest.fixture
def run(nightly, workspace, tmp_path):
    """Run the flow and give its final state."""
    return lambda: nightly.nightly_inspection("bottle", str(tmp_path), home=str(workspace.home), return_state=True)


def failing(times, error, then=portion_result):
    """A `judge_chunk` that fails so many times before it works; `calls` counts."""

    def judge(plan, chunk):
        judge.calls += 1
        if judge.calls <= times:
            raise error
        return then(plan, chunk)

    judge.calls = 0
    return judge


def client():
    """The test server's own client."""
    from prefect.client.orchestration import get_client

    return get_client(sync_client=True)


def artifacts_of(state, key):
    """The artifacts of the run that ended in `state`, by their key."""
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
    from prefect.client.schemas.sorting import ArtifactSort

    with client() as api:
        return api.read_artifacts(
            artifact_filter=ArtifactFilter(
                flow_run_id=ArtifactFilterFlowRunId(any_=[state.state_details.flow_run_id]),
                key=ArtifactFilterKey(any_=[key]),
            ),
            sort=ArtifactSort.CREATED_DESC,
            limit=10,
        )


def test_night_ends_completed_and_says_what_was_found(run):
    """Frames that can't be inspected are data: the run is Completed, and its message has the counts."""
    state = run()
    assert state.is_completed()
    assert "7 PASS, 2 FLAG, 1 CANNOT_INSPECT" in state.message
    assert state.result().counts == night_summary().counts


def test_run_is_named_for_product_view_and_day(run):
    """In a list of runs the name alone says what was judged and when."""
    state = run()
    with client() as api:
        name = api.read_flow_run(state.state_details.flow_run_id).name
    assert name.startswith("bottle/default night 20")


def test_night_leaves_its_page_and_a_full_progress_bar(run):
    """The Prefect UI shows how far the run is, and at its end the page."""
    state = run()
    (page,) = artifacts_of(state, "bottle-default-night")
    assert "2 of 10 frames flagged" in page.data
    (bar,) = artifacts_of(state, "bottle-default-progress")
    assert float(bar.data) == 100.0


@pytest.mark.parametrize("error", [OSError("the share is away"), RecordsError("the database is locked")])
def test_portion_is_tried_again_when_waiting_may_help(run, monkeypatch, error):
    """A share that is away or a locked database costs a retry, not the night."""
    judge = failing(2, error)
    monkeypatch.setattr("flows.night_tasks.judge_chunk", judge)
    assert run().is_completed()
    assert judge.calls == 4


def test_usage_error_fails_the_run_at_once_with_its_remedy(run, nightly, monkeypatch):
    """A missing golden stays missing: no retry, and the run's message says what to do."""
    calls = []

    def refuse(_night):
        calls.append(1)
        message = "bottle has no goldens: run `goldentwin enrol bottle --from DIR`"
        raise NotEnrolledError(message)

    monkeypatch.setattr(nightly.Night, "plan", refuse)
    state = run()
    assert state.is_failed()
    assert "goldentwin enrol bottle" in state.message
    assert len(calls) == 1


def test_dead_artifacts_do_not_stop_the_night(run, monkeypatch):
    """Where Prefect takes neither bar nor page, the frames are judged all the same."""

    def refuse(**_given):
        message = "Prefect is away"
        raise RuntimeError(message)

    monkeypatch.setattr("flows.artifacts.create_progress_artifact", refuse)
    monkeypatch.setattr("flows.artifacts.create_markdown_artifact", refuse)
    assert run().is_completed()


def test_run_whose_process_was_killed_is_closed_by_the_next(run, nightly):
    """Prefect would believe a killed run to be running for ever; the next run on the machine says it crashed."""
    from prefect.states import Running

    from flows.killed_runs import machine_tag, process_tag

    gone = 2**22 + 1  # above Linux's largest process number
    with client() as api:
        killed, alive = (
            api.create_flow_run(
                nightly.nightly_inspection, state=Running(), tags=[machine_tag(), process], name=str(uuid4())
            ).id
            for process in (f"process:{gone}", process_tag())
        )
        run()
        assert api.read_flow_run(killed).state.is_crashed()
        assert api.read_flow_run(alive).state.is_running()
