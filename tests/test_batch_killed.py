"""Promise 1: kill -9 loses no frame and judges none twice."""

from __future__ import annotations

import pytest
from batch_killer import kill_batch
from drawn_night import PRODUCT, enrol, goldentwin, missing_and_doubled, recorded_frames, write_frames, write_goldens

FRAMES = 300


@pytest.mark.timeout(600)
@pytest.mark.slow
@pytest.mark.server
def test_killed_batch_is_finished_by_the_next(tmp_path):
    """A batch of 300 frames killed three times, then run again, gives 300 rows: none twice, none missing."""
    home = tmp_path / "home"
    frames = write_frames(tmp_path / "frames", FRAMES)
    enrol(home, write_goldens(tmp_path / "goldens"))
    kills = kill_batch(home, frames, times=3, seed=7)
    assert all(kill.rows_after < FRAMES for kill in kills), "killed too late to show anything"
    assert any(kill.rows_after > 0 for kill in kills)
    goldentwin(home, "batch", PRODUCT, "--frames", frames)
    recorded = recorded_frames(home)
    assert missing_and_doubled(recorded, frames) == (set(), set())
    assert len(recorded) == FRAMES
