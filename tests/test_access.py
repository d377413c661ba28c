"""Who may do what: MLflow with named reviewers, Prefect with a password; every other request is refused."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest
from drawn_night import PRODUCT
from mlflow_server import ADMIN, ADMIN_PASSWORD, KEY, asked, running_mlflow
from reviewed_night import judged_night

from flows.commands import run
from inspection.errors import TrackingError
from pipeline.batch import summarise_batch
from pipeline.outbox import deliver, waiting
from pipeline.records import ReviewRecords
from pipeline.records.reviews import trace_of
from pipeline.review.pulling import pull_reviews
from pipeline.review.pushing import push_reviews
from pipeline.secret_files import SecretFileError, read_secret_files
from pipeline.tracking.connection import connected

API, API3 = "/api/2.0/mlflow", "/api/3.0/mlflow"
EVE = {"username": "eve", "password": "a-long-enough-password"}
ANNA, WORKER = "anna", "worker"
PASSWORDS = {ANNA: "annas-password-of-the-test", WORKER: "workers-password-of-the-test"}

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory):
    """A server with passwords, and a reviewer and a worker made by command."""
    with running_mlflow(tmp_path_factory.mktemp("mlflow"), "--allowed-hosts", "127.0.0.1:*") as server:
        with pytest.MonkeyPatch.context() as patch:
            log_in(patch, server, ADMIN)
            make_user(patch, ANNA)
            make_user(patch, WORKER, "--worker")
        yield server


def log_in(monkeypatch, server, user, password=None):
    """As a client of ours does."""
    server.passwords.update(PASSWORDS)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password or server.passwords[user])


def make_user(monkeypatch, name, *options):
    """By the command, with the password on standard input."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORDS.get(name, 'a-long-enough-password')}\n"))
    return run(["review", "user", name, *options])


@pytest.fixture(scope="module")
def night(mlflow, plates, tmp_path_factory):
    """A night that the worker logged and pushed for Anna: its workspace, a flagged part, and the experiment."""
    line = plates.copy(tmp_path_factory.mktemp("night") / "home")
    with pytest.MonkeyPatch.context() as patch:
        log_in(patch, mlflow, WORKER)
        patch.setenv("GOLDENTWIN_REVIEWERS", f"{ANNA}, ")
        summary = summarise_batch(judged_night(line, tmp_path_factory.mktemp("frames") / "night").plan, 1.0)
    assert summary.tracked
    assert summary.queues
    with ReviewRecords(line.records_url) as records:
        item = next(one for one in records.items() if one.kind == "flagged")
    _, found = mlflow.ask(
        "GET", f"{API}/experiments/get-by-name?experiment_name=goldentwin%2F{PRODUCT}%2Fdefault", user=ANNA
    )
    return line, item, found["experiment"]["experiment_id"]


def run_of(mlflow, night):
    """The id of the night's run."""
    status, found = mlflow.ask("POST", f"{API}/runs/search", {"experiment_ids": [night[2]]}, user=ANNA)
    assert status == 200
    return found["runs"][0]["info"]["run_id"]


def answer(mlflow, night, user, **changes):
    """Answer for a part, as the Review tab does."""
    trace = trace_of(night[1].key)
    assessment = {
        "assessment_name": "verdict",
        "trace_id": trace,
        "source": {"source_type": "HUMAN", "source_id": user},
        "feedback": {"value": True},
        **changes,
    }
    return mlflow.ask("POST", f"{API3}/traces/{trace}/assessments", {"assessment": assessment}, user=user)


@pytest.mark.parametrize(("user", "password"), [("", ""), (ANNA, "wrong"), ("nobody", "wrong"), (ADMIN, ANNA)])
def test_nobody_gets_in_without_the_password(mlflow, user, password):
    """No page, no run, no picture, no user: 401 for all of them."""
    for path in (
        "/",
        f"{API}/experiments/search?max_results=5",
        f"{API}/users/list",
        "/get-artifact?path=a&run_uuid=b",
    ):
        status, said = mlflow.ask("GET", path, user=user, password=password)
        assert status == 401
        assert "experiments" not in said


def test_a_reviewer_reads_and_answers(mlflow, night, monkeypatch):
    """Anna sees run, queue and pictures, answers for a part and ticks it off; her answer comes back under her name."""
    assert mlflow.ask("GET", f"{API}/runs/get?run_id={run_of(mlflow, night)}", user=ANNA)[0] == 200
    status, found = mlflow.ask("GET", f"{API3}/review-queues/list?experiment_id={night[2]}", user=ANNA)
    assert (status, len(found["review_queues"])) == (200, 1), found
    queue = found["review_queues"][0]["queue_id"]
    trace = trace_of(night[1].key)
    assert mlflow.ask("GET", f"{API3}/traces/{trace}", user=ANNA)[0] == 200
    status, said = answer(mlflow, night, ANNA)
    assert status == 200, said
    log_in(monkeypatch, mlflow, ANNA)
    from mlflow.genai import review_queues

    with connected(night[0]):
        review_queues.set_review_queue_item_status(queue, item_id=trace, status="complete")
    log_in(monkeypatch, mlflow, WORKER)
    assert pull_reviews(night[0]).new == 1
    with ReviewRecords(night[0].records_url) as records:
        assert {one.reviewer for one in records.answers(product=PRODUCT, view="default")} == {ANNA}


def test_a_reviewer_changes_nothing_else(mlflow, night):
    """No run or part is deleted or logged, no model registered, no user managed: 403, and all is as it was."""
    run_id, trace = run_of(mlflow, night), trace_of(night[1].key)
    refused = [
        ("POST", f"{API}/runs/delete", {"run_id": run_id}),
        ("POST", f"{API}/runs/create", {"experiment_id": night[2]}),
        ("POST", f"{API}/runs/set-tag", {"run_id": run_id, "key": "a", "value": "b"}),
        ("POST", f"{API}/experiments/delete", {"experiment_id": night[2]}),
        ("POST", f"{API3}/traces/delete-traces", {"experiment_id": night[2], "request_ids": [trace]}),
        ("POST", f"{API}/registered-models/create", {"name": "annas"}),
        ("POST", f"{API}/model-versions/create", {"name": "annas", "source": "/etc"}),
        ("POST", f"{API}/users/create", EVE),
        ("PATCH", f"{API}/users/update-admin", {"username": ANNA, "is_admin": True}),
        ("PATCH", f"{API}/users/update-password", {"username": ADMIN, "password": "a-long-enough-password"}),
        ("DELETE", f"{API}/users/delete", {"username": WORKER}),
        ("POST", f"{API3}/roles/create", {"workspace": "default", "name": "more"}),
    ]
    told = {path: mlflow.ask(method, path, body, user=ANNA)[0] for method, path, body in refused}
    assert set(told.values()) == {403}, told
    assert (
        mlflow.ask("GET", f"{API}/runs/get?run_id={run_id}", user=ANNA)[1]["run"]["info"]["lifecycle_stage"] == "active"
    )
    assert mlflow.ask("GET", f"{API3}/traces/{trace}", user=ANNA)[0] == 200
    assert mlflow.ask("GET", f"{API}/registered-models/search", user=ADMIN)[1].get("registered_models", []) == []


def test_a_reviewer_moves_no_answer_to_another_part(mlflow, night, monkeypatch):
    """MLflow lets her change a trace's tags: an answer to a part that says it is another one counts for neither."""
    line, first, _ = night
    with ReviewRecords(line.records_url) as records:
        other = next(one for one in records.items() if one.kind == "flagged" and one.key != first.key)
    tags = f"{API3}/traces/{trace_of(other.key)}/tags"
    assert mlflow.ask("PATCH", tags, {"key": "goldentwin.key", "value": first.key}, user=ANNA)[0] == 200
    answered = {
        "assessment_name": "verdict",
        "trace_id": trace_of(other.key),
        "source": {"source_type": "HUMAN", "source_id": "mallory"},
        "feedback": {"value": False},
    }
    path = f"{API3}/traces/{trace_of(other.key)}/assessments"
    assert mlflow.ask("POST", path, {"assessment": answered}, user=ANNA)[0] == 200
    log_in(monkeypatch, mlflow, WORKER)
    pull_reviews(line)
    with ReviewRecords(line.records_url) as records:
        assert "mallory" not in {one.reviewer for one in records.answers(product=PRODUCT, view="default")}
    assert mlflow.ask("PATCH", tags, {"key": "goldentwin.key", "value": other.key}, user=ADMIN)[0] == 200
    assert pull_reviews(line).new == 1


def test_a_worker_owns_only_what_it_made(mlflow):
    """It manages no users, and deletes nothing of another's."""
    made = mlflow.ask("POST", f"{API}/experiments/create", {"name": "the administrator's"}, user=ADMIN)[1]
    told = [
        mlflow.ask("POST", f"{API}/experiments/delete", made, user=WORKER)[0],
        mlflow.ask(
            "POST", f"{API}/users/create", {"username": "eve", "password": "a-long-enough-password"}, user=WORKER
        )[0],
    ]
    assert told == [403, 403]


def test_a_wrong_password_loses_nothing(mlflow, plates, tmp_path, monkeypatch, caplog):
    """The night is judged, its job waits, the word says which variables to mend; with the password it is delivered."""
    line = plates.copy(tmp_path / "home")
    log_in(monkeypatch, mlflow, WORKER, "a-wrong-password-of-the-test")
    summary = summarise_batch(judged_night(line, tmp_path / "night").plan, 1.0)
    assert not summary.tracked
    assert len(waiting(line)) == 1
    assert "does not know worker by this password (401); set MLFLOW_TRACKING_USERNAME" in caplog.text
    assert "a-wrong-password-of-the-test" not in caplog.text
    with pytest.raises(TrackingError, match=r"\(401\)"):
        push_reviews(line)
    log_in(monkeypatch, mlflow, WORKER)
    report = deliver(line)
    assert (report.delivered, report.waiting, report.rejected) == (1, 0, 0)
    assert push_reviews(line).total >= 2


def test_only_an_administrator_makes_users(mlflow, home, monkeypatch, capsys):
    """A reviewer is refused in one line; without a server there are no users; a poor password is MLflow's to refuse."""
    log_in(monkeypatch, mlflow, ANNA)
    assert make_user(monkeypatch, "eve") == 1
    assert "(403); ask its administrator" in capsys.readouterr().err
    log_in(monkeypatch, mlflow, ADMIN)
    monkeypatch.setitem(PASSWORDS, "eve", "short")
    assert make_user(monkeypatch, "eve") == 1
    assert "did not take the user 'eve'" in capsys.readouterr().err
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert make_user(monkeypatch, "eve") == 1
    assert "the embedded MLflow knows no users" in capsys.readouterr().err
    assert not (home / "mlflow").exists()


def test_foreign_names_and_sites_are_refused(mlflow):
    """Also with the right password: DNS rebinding by the Host header, another site's page by its Origin."""
    path = f"{API}/experiments/search?max_results=5"
    as_admin = (ADMIN, ADMIN_PASSWORD)
    assert asked(f"{mlflow.address}{path}", login=as_admin)[0] == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:80"):
        assert asked(f"{mlflow.address}{path}", login=as_admin, headers={"Host": host})[0] == 403
    body = {"name": "of another site"}
    told = asked(
        f"{mlflow.address}{API}/experiments/create", "POST", login=as_admin, body=body,
        headers={"Origin": "https://evil.example"},
    )  # fmt: skip
    assert told[0] == 403
    found = mlflow.ask("GET", f"{API}/experiments/get-by-name?experiment_name=of+another+site", user=ADMIN)
    assert found[0] == 404


def test_nothing_secret_is_logged(mlflow, night):
    """Neither the server's log, nor ours, nor the trace's address holds a password."""
    del night
    folder = next(path for path in Path("/proc").glob("*/cwd") if _serves(path, mlflow)).resolve()
    said = (folder / "mlflow.log").read_text(errors="replace")
    assert not [secret for secret in (*mlflow.passwords.values(), KEY) if secret in said]


def _serves(path, mlflow):
    try:
        command = (path.parent / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return False
    return mlflow.address.rpartition(":")[2] in command.split("\0")


def test_secrets_come_from_files(tmp_path, monkeypatch):
    """`NAME_FILE` gives NAME, without the line's end, and wins over what was set."""
    file = tmp_path / "password"
    file.write_text("from a file\n")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "from before")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD_FILE", str(file))
    read_secret_files()

    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "from a file"  # noqa: S105 - the test's own


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe", b"a\0b"])
def test_a_file_that_holds_no_secret_is_named(tmp_path, monkeypatch, content):
    """By its variable and path, never by what stands in it; the command ends with it in one line."""
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING_FILE", str(file))
    with pytest.raises(SecretFileError, match=r"PREFECT_API_AUTH_STRING_FILE names .*password"):
        read_secret_files()
    assert run(["migrate"]) == 1
