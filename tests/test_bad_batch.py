"""A night of a hundred bad files: the batch ends normally, with a row for each."""

from __future__ import annotations

import json
import os

import pytest
from bad_inputs import drawn_part, encoded, write_bad_inputs
from drawn_night import goldentwin
from plate_samples import DEAD_MLFLOW

from flows.night import Night
from flows.run_now import run_plainly
from inspection.verdicts import Verdict
from pipeline.enrolling import enrol_product
from pipeline.records import VerdictRecords


@pytest.fixture
def night(workspace, tmp_path, monkeypatch):
    """Goldens of the drawn part, and a folder of a hundred files of which few are pictures of it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DEAD_MLFLOW)
    golden = tmp_path / "golden.png"
    golden.write_bytes(encoded(drawn_part(), "PNG"))
    enrol_product(workspace, "gear", "default", files=[golden], added_by="anna", image_size=128)
    expectations = write_bad_inputs(tmp_path / "frames")
    yield Night(workspace=workspace, product="gear", frames=tmp_path / "frames", chunk_size=40), expectations
    closed = tmp_path / "frames" / "no_permission.png"
    os.chmod(closed, 0o600)  # noqa: PTH101 - or the folder can't be removed everywhere


def recorded(night):
    """The rows of the night by frame; none twice."""
    with VerdictRecords(night.workspace.records_url) as records:
        rows = records.rows(product="gear")
    assert len({row["frame"] for row in rows}) == len(rows)
    return {row["frame"]: row for row in rows}


def test_every_bad_file_gets_a_row(night):
    """What does not read is CANNOT_INSPECT with the reason; whatever is judged names no frame PASS unseen."""
    night, expectations = night
    summary = run_plainly(night)
    rows = recorded(night)
    assert set(rows) == set(expectations)
    assert sum(summary.counts.values()) == summary.total == summary.judged == 100
    for name, expectation in expectations.items():
        if not expectation.reads:
            assert rows[name]["verdict"] == Verdict.CANNOT_INSPECT, name
            assert expectation.says in rows[name]["reason"], name
        elif rows[name]["verdict"] == Verdict.PASS:
            assert rows[name]["similarity"] >= rows[name]["threshold"], name


@pytest.mark.slow
@pytest.mark.server
def test_command_ends_normally(night):
    """`goldentwin batch`, with Prefect, prints its summary and exits with 0."""
    night, expectations = night
    done = goldentwin(night.workspace.home, "batch", "gear", "--frames", night.frames, "--json")
    assert json.loads(done.stdout)["frames"] == len(expectations)
    assert set(recorded(night)) == set(expectations)
    assert "Traceback" not in done.stderr
