"""Kill a batch of 300 frames with -9 at ten random moments, run it again, and print what was lost or judged twice.

Run it with `python tests/benchmarks/kill_batch.py [seed]`; it ends with 1 if a promise is broken.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from batch_killer import Kill, kill_batch
from drawn_night import PRODUCT, enrol, goldentwin, missing_and_doubled, recorded_frames, write_frames, write_goldens

FRAMES = 300
KILLS = 10


def main(seed: int) -> int:
    """Print the table and give the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        frames = write_frames(Path(folder) / "frames", FRAMES)
        enrol(home, write_goldens(Path(folder) / "goldens"))
        kills = kill_batch(home, frames, times=KILLS, seed=seed)
        goldentwin(home, "batch", PRODUCT, "--frames", frames)
        recorded = recorded_frames(home)
        missing, doubled = missing_and_doubled(recorded, frames)
    outcome = f"{len(recorded)} rows of {FRAMES} frames, {len(missing)} missing, {len(doubled)} twice"
    sys.stdout.write(f"{_table(kills)}\n\nthen run again: {outcome}\n")
    return int(bool(missing or doubled or len(recorded) != FRAMES))


def _table(kills: list[Kill]) -> str:
    lines = ["| kill | after s | rows before | rows after |", "|---:|---:|---:|---:|"]
    lines += [
        f"| {number} | {kill.seconds:.1f} | {kill.rows_before} | {kill.rows_after} |"
        for number, kill in enumerate(kills, start=1)
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20261123))
