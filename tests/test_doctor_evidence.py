"""The doctor's look at the store for evidence: the home, or S3."""

from __future__ import annotations

import pytest
from s3_server import BUCKET, S3Server, running_s3

from pipeline.doctor.services import examine_evidence
from pipeline.workspace import Workspace


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An S3 server with one bucket."""
    with running_s3(tmp_path_factory.mktemp("s3")) as running:
        yield running


def examined(workspace: Workspace) -> tuple[str, str, str]:
    """Status, detail and remedy."""
    (finding,) = examine_evidence(workspace)
    return finding.status.value, finding.detail, finding.remedy


def test_the_home_needs_no_server(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default pictures lie in the home, and it says where."""
    monkeypatch.delenv("GOLDENTWIN_EVIDENCE_URL", raising=False)
    assert examined(workspace) == ("ok", f"pictures lie in {workspace.home / 'evidence'}", "")


def test_a_bucket_that_answers(workspace: Workspace, server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bucket and prefix are named, and nothing is made there."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GOLDENTWIN_EVIDENCE_URL", f"s3://{BUCKET}/nobody-wrote-here")
    assert examined(workspace) == ("ok", f"s3://{BUCKET}/nobody-wrote-here/ answers", "")


@pytest.mark.parametrize(
    ("changed", "told", "remedy"),
    [
        (
            {"GOLDENTWIN_EVIDENCE_URL": "s3://no-such-bucket/x"},
            "NoSuchBucket",
            "make the bucket, or mend GOLDENTWIN_EVIDENCE_URL",
        ),
        (
            {"MLFLOW_S3_ENDPOINT_URL": "http://127.0.0.1:9"},
            "EndpointConnectionError",
            "start it, or mend MLFLOW_S3_ENDPOINT_URL or AWS_ENDPOINT_URL_S3",
        ),
        ({"GOLDENTWIN_EVIDENCE_URL": "ftp://bucket"}, "no address of a bucket", "write it as s3://bucket/prefix"),
    ],
)
def test_a_bucket_that_does_not(
    workspace: Workspace,
    server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, str],
    told: str,
    remedy: str,
) -> None:
    """What is wrong and what to mend are told, without any secret."""
    for name, value in {**server.environment, "GOLDENTWIN_EVIDENCE_URL": f"s3://{BUCKET}", **changed}.items():
        monkeypatch.setenv(name, value)
    status, detail, mend = examined(workspace)
    assert status == "fail"
    assert told in detail
    assert mend.startswith(remedy)
