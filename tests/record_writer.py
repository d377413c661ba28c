"""A process that records frames: `python record_writer.py URL FIRST LAST PORTION`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def start_writer(url: str, first: int, last: int, portion: int) -> subprocess.Popen[str]:
    """Start the process; its lines are the rows added by each committed call, of frames `<number>.png`."""
    command = [sys.executable, __file__, url, str(first), str(last), str(portion)]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)


def _main(url: str, first: int, last: int, portion: int) -> None:
    sys.path.insert(0, str(PROJECT))
    from verdict_samples import judged

    from pipeline.records import VerdictRecords

    with VerdictRecords(url) as records:
        for start in range(first, last, portion):
            names = [f"{number}.png" for number in range(start, min(start + portion, last))]
            added = records.add([judged(name) for name in names], batch="night")
            print(added, flush=True)  # noqa: T201 - what the starting test reads


if __name__ == "__main__":
    _main(sys.argv[1], *(int(argument) for argument in sys.argv[2:]))
