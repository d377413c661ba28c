"""Kill a line with -9 at random moments, twenty times, and hold its signals against its records and its frames.

python tests/benchmarks/kill_stream.py [--kills 20]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from drawn_line import plate_line
from drawn_night import PRODUCT, write_frames
from line_killer import contradictions, run_killed, told

FRAMES = 3000


def main() -> None:
    """Kill and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    kills = parser.parse_args().kills
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = plate_line(folder / "home").workspace.home
        frames, signals = write_frames(folder / "frames", FRAMES), folder / "signals.jsonl"
        killed = run_killed(home, PRODUCT, frames, signals, kills=kills, seed=7)
        verdicts = [signal["verdict"] for signal in told(signals)]
        print(
            json.dumps(
                {
                    "kills": killed,
                    "frames": FRAMES,
                    "signals": len(verdicts),
                    "interrupted": verdicts.count("CANNOT_INSPECT"),
                    "wrong": contradictions(home, frames, signals),
                }
            )
        )


if __name__ == "__main__":
    main()
