"""A process that sends signals until it is killed: `python signal_sender.py ADDRESS LAST`.

It stands for a line with its spool: all signals up to LAST are decided, only the sink knows which went out.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def start_sender(address: str, last: int) -> subprocess.Popen[str]:
    """Start it; it prints a line when it is connected, and one when it sent all."""
    command = [sys.executable, __file__, address, str(last)]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)


def _main(address: str, last: int) -> None:
    sys.path.insert(0, str(PROJECT))
    from signal_samples import LINE, a_signal, a_state

    from pipeline.signals.opening import open_sink

    sink = open_sink(address, line=LINE)
    sink.open()
    sink.report(a_state())
    newest = sink.last_sequence() or 0
    print("connected", flush=True)  # noqa: T201 - what the starting test waits for
    for sequence in range(newest + 1, last + 1):
        sink.send(a_signal(sequence))
    print("done", flush=True)  # noqa: T201 - the same
    sys.stdin.read()


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
