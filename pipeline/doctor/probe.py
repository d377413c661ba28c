"""Trying a library in a process of its own: one that crashes or hangs takes only that process with it."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass

PROBE_SECONDS = 80.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`said` is the last line printed; `problem` is None, or why there is no such line."""

    said: str
    problem: str | None


def ask_python(code: str, *, seconds: float = PROBE_SECONDS) -> Answer:
    """Run `code` in a new Python process, for `seconds` at most, and give its last line of output."""
    command = [sys.executable, "-P", "-c", code]
    try:
        done = subprocess.run(  # noqa: S603 - our own code, our own Python
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(said="", problem=f"no answer within {seconds:g} s")
    except OSError as error:
        return Answer(said="", problem=f"no process could be started: {error}")
    if done.returncode == 0:
        return Answer(said=_last_line(done.stdout), problem=None)
    return Answer(said="", problem=_last_line(done.stderr) if done.returncode > 0 else _crash(-done.returncode))


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip().removeprefix("inspection.errors.") if lines else ""


def _crash(number: int) -> str:
    try:
        return f"the process crashed with {signal.Signals(number).name}"
    except ValueError:
        return f"the process crashed with signal {number}"
