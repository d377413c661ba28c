"""The doctor's look at the verdict records: whether they open, and whether their schema is current."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from earlier_records import all_rows, execute, make_earlier
from signal_receivers import free_port

from pipeline.doctor import Finding, Status, state
from pipeline.records import VerdictRecords
from pipeline.records.schema import REVISION
from pipeline.workspace import Workspace


def the_only(findings: Sequence[Finding]) -> Finding:
    """The one finding there is."""
    (finding,) = findings
    return finding


def test_records_are_opened_where_they_exist_only(workspace: Workspace) -> None:
    """The doctor makes no database, but opens the one that is there."""
    assert the_only(state.examine_records(workspace)).status is Status.OK
    assert not workspace.home.exists()
    with VerdictRecords(workspace.records_url):
        pass
    finding = the_only(state.examine_records(workspace))
    assert finding.status is Status.OK
    assert f"schema {REVISION}, the newest" in finding.detail


def test_records_of_an_earlier_goldentwin_are_told_and_left_as_they_are(workspace: Workspace) -> None:
    """Both schemas are named; upgrading is for the one who asked for it."""
    workspace.home.mkdir()
    make_earlier(workspace.records_url, "2")
    before = all_rows(workspace.records_url)
    finding = the_only(state.examine_records(workspace))
    assert finding.status is Status.WARN
    assert f"schema version 2 of an earlier goldentwin; this one needs {REVISION}" in finding.detail
    assert finding.remedy.startswith("goldentwin migrate")
    assert all_rows(workspace.records_url) == before


def test_records_of_a_newer_goldentwin_fail(workspace: Workspace) -> None:
    """The remedy is to upgrade goldentwin."""
    with VerdictRecords(workspace.records_url):
        pass
    execute(workspace.records_url, "UPDATE goldentwin_revision SET version_num = '0099'")
    finding = the_only(state.examine_records(workspace))
    assert finding.status is Status.FAIL
    assert "0099" in finding.detail
    assert finding.remedy.startswith("upgrade goldentwin")


def test_records_that_are_no_database_fail(workspace: Workspace) -> None:
    """A file of that name with anything else in it."""
    workspace.home.mkdir()
    (workspace.home / "records.db").write_bytes(b"these are not the records you look for" * 100)
    finding = the_only(state.examine_records(workspace))
    assert finding.status is Status.FAIL
    assert finding.remedy


def test_a_database_server_that_does_not_answer_fails(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finding names the address, never the password."""
    address = f"127.0.0.1:{free_port()}/verdicts"
    monkeypatch.setenv("GOLDENTWIN_DATABASE_URL", f"postgresql://clerk:secret@{address}")
    finding = the_only(state.examine_records(workspace))
    assert finding.status is Status.FAIL
    assert address in finding.detail
    assert "secret" not in finding.detail + finding.remedy
