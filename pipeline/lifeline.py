"""A lifeline: `python lifeline.py COMMAND...` runs a command that ends when standard input closes.

Whoever starts it holds the other end, which the operating system closes even after kill -9. It must be started as the
leader of a process group of its own, which is ended with it: the command's own children too. It imports the standard
library alone, so that it is there at once, and is run as a file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

GRACE_SECONDS = 10.0
LOOK_SECONDS = 0.5


def run(command: Sequence[str]) -> int:
    """Run `command` until it ends, and give its exit code; end it when standard input closes."""
    signal.signal(signal.SIGTERM, lambda *_: None)  # it is the command's, which has it too: we end when that does
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - our own command
    cut = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(cut,), daemon=True).start()
    while child.poll() is None and not cut.wait(LOOK_SECONDS):
        pass
    if cut.is_set():
        os.killpg(0, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_SECONDS)
        os.killpg(0, signal.SIGKILL)  # what outlived it, and ourselves
    code = child.wait()
    return code if code >= 0 else 128 - code


def _wait_for_the_end(cut: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    cut.set()


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
