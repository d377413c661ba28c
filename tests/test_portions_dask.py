"""A run's portions side by side on Dask: the same rows as one after the other, each frame once."""

from __future__ import annotations

import sys

import pytest
from drawn_night import PRODUCT, write_frames
from prefect.task_runners import ThreadPoolTaskRunner

from flows.nightly import nightly_inspection
from flows.portions import portions_runner
from inspection.errors import GoldentwinError
from pipeline.records import VerdictRecords

FRAMES = 12


def judged(line):
    """What was recorded of each frame."""
    with VerdictRecords(line.records_url) as records:
        rows = records.rows()
    assert len(rows) == FRAMES
    return {row["frame"]: (row["verdict"], row["similarity"], row["threshold"]) for row in rows}


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("prefect_api")
def test_on_dask_a_night_is_the_same(plates, tmp_path, monkeypatch):
    """Two processes that share the machine's cores; the summary counts what both judged."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    frames = str(write_frames(tmp_path / "frames", FRAMES))
    found = []
    for asked in ("", "2"):
        monkeypatch.setenv("GOLDENTWIN_DASK", asked)
        line = plates.copy(tmp_path / f"home {asked}")
        night = nightly_inspection.with_options(task_runner=portions_runner())
        state = night(
            PRODUCT, frames, home=str(line.home), references=str(line.references), chunk_size=3, engine="onnx",
            return_state=True,
        )  # fmt: skip
        assert state.is_completed(), state.message
        found.append(judged(line))
    assert found[0] == found[1]


def test_dask_is_asked_for_by_name(monkeypatch):
    """A scheduler's address, or a number of processes; without the package its name is told."""
    monkeypatch.delenv("GOLDENTWIN_DASK", raising=False)
    assert isinstance(portions_runner(), ThreadPoolTaskRunner)
    monkeypatch.setenv("GOLDENTWIN_DASK", "tcp://127.0.0.1:8786")
    assert portions_runner().address == "tcp://127.0.0.1:8786"
    monkeypatch.setitem(sys.modules, "prefect_dask.task_runners", None)
    with pytest.raises(GoldentwinError, match=r"goldentwin\[dask\]"):
        portions_runner()
