"""A batch that is killed with -9 again and again, at random moments, and started again."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

from drawn_night import recorded_frames, start_batch

PATIENCE_SECONDS = 120.0
LONGEST_START_SECONDS = 8.0
LONGEST_DELAY_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One kill: seconds after the start, and the rows recorded before and after."""

    seconds: float
    rows_before: int
    rows_after: int


def kill_batch(home: Path, frames: Path, *, times: int, seed: int) -> list[Kill]:
    """Start the batch `times` times and kill it each time; every fifth is killed while it starts."""
    chance = random.Random(seed)  # noqa: S311 - a reproducible test, no secret
    step = len(list(frames.iterdir())) // (times + 1)
    return [
        _kill_while_starting(home, frames, chance) if i % 5 == 4 else _kill_while_judging(home, frames, chance, step)
        for i in range(times)
    ]


def _kill_while_starting(home: Path, frames: Path, chance: random.Random) -> Kill:
    return _kill(home, frames, rows=None, delay=chance.uniform(0.0, LONGEST_START_SECONDS))


def _kill_while_judging(home: Path, frames: Path, chance: random.Random, step: int) -> Kill:
    return _kill(home, frames, rows=chance.randint(1, step), delay=chance.uniform(0.0, LONGEST_DELAY_SECONDS))


def _kill(home: Path, frames: Path, *, rows: int | None, delay: float) -> Kill:
    """Kill `delay` seconds after the start, or after so many new rows."""
    before = len(recorded_frames(home))
    started = time.monotonic()
    process = start_batch(home, frames, home.parent / "batch.log")
    while rows is not None and len(recorded_frames(home)) < before + rows and process.poll() is None:
        assert time.monotonic() < started + PATIENCE_SECONDS, "the batch records nothing"
        time.sleep(0.02)
    time.sleep(delay)
    process.kill()
    process.wait()
    return Kill(seconds=time.monotonic() - started, rows_before=before, rows_after=len(recorded_frames(home)))
