"""A line that is killed with -9: no part without signal and record, none twice, none with two verdicts."""

from __future__ import annotations

import pytest
from drawn_night import PRODUCT, write_frames
from line_killer import contradictions, run_killed, told

FRAMES = 400


@pytest.mark.slow
def test_a_killed_line_owes_nothing(plates, tmp_path):
    """Killed three times at random moments while it works through a folder."""
    home = plates.copy(tmp_path / "home").home
    frames, signals = write_frames(tmp_path / "frames", FRAMES), tmp_path / "signals.jsonl"
    assert run_killed(home, PRODUCT, frames, signals, kills=3, seed=1) == 3
    assert contradictions(home, frames, signals) == {}
    verdicts = [signal["verdict"] for signal in told(signals)]
    assert len(verdicts) == FRAMES
    assert verdicts.count("FLAG") >= FRAMES // 10 - 20
