"""The retention policy: its file, what it refuses, and that it names the key."""

from __future__ import annotations

import pytest

from inspection.errors import RetentionError
from pipeline.retention.policy import RetentionPolicy, load_policy


def write(workspace, text):
    """The policy's file."""
    workspace.home.mkdir(parents=True, exist_ok=True)
    workspace.retention.write_text(text, encoding="utf-8")


def test_without_a_file_the_usual_days_hold(workspace):
    """And nothing is written for it."""
    assert load_policy(workspace) == RetentionPolicy()
    assert not workspace.home.exists()


def test_the_file_changes_what_it_names(workspace):
    """All else stays as usual; labelled frames may go if the file says so, and only then."""
    assert RetentionPolicy().labelled_frames is None
    write(workspace, "evidence = 30\nlabelled_frames = 2000\n")
    assert load_policy(workspace) == RetentionPolicy(evidence=30, labelled_frames=2000)
    write(workspace, 'labelled_frames = "keep"\n')
    assert load_policy(workspace) == RetentionPolicy()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("evidense = 30", "unknown key 'evidense'"),
        ("evidence = 0", "evidence is 0"),
        ("evidence = -5", "evidence is -5"),
        ("evidence = true", "evidence is True"),
        ("evidence = 1.5", r"evidence is 1\.5"),
        ('evidence = "keep"', "evidence is 'keep'"),
        ("evidence = 99999999", "evidence is 99999999"),
        ("[evidence]\ndays = 3", "evidence is {'days': 3}"),
        ("evidence = ", "can't be read"),
        ("reviewed_records = 400", r"flagged_records \(1825 days\) is longer than reviewed_records \(400 days\)"),
        ("flagged_records = 300", r"records \(365 days\) is longer than flagged_records \(300 days\)"),
        ("reviewed_evidence = 60", r"evidence \(90 days\) is longer than reviewed_evidence \(60 days\)"),
        ("reviewed_evidence = 4000", r"reviewed_evidence \(4000 days\) is longer than reviewed_records"),
        ("evidence = 400", r"evidence \(400 days\) is longer than records \(365 days\)"),
        ("frames = 400", r"frames \(400 days\) is longer than records"),
        ("labelled_frames = 80", r"frames \(90 days\) is longer than labelled_frames \(80 days\)"),
        ("reviewed_traces = 100", r"traces \(180 days\) is longer than reviewed_traces"),
        ("traces = 366", r"traces \(366 days\) is longer than records"),
        ("reviewed_traces = 4000", r"reviewed_traces \(4000 days\) is longer than reviewed_records"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(workspace, text, said):
    """The message also names the file."""
    write(workspace, text)
    with pytest.raises(RetentionError, match=said) as caught:
        load_policy(workspace)
    assert str(workspace.retention) in str(caught.value)
