"""Side jobs of a running line, in processes of their own and with low priority: its watch, the reports of its shifts.

They draw charts and talk to MLflow, which takes seconds and much memory; the line's own process has neither to spare.
`python -m pipeline.line.side_jobs watch|report ...` is what runs there; it prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from inspection.errors import GoldentwinError
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from pipeline.line.settings import LineSettings

_NICE: Final = 10
_WATCHED_FRAMES: Final = 2000
_WORDS: Final = 2000  # characters of an error that are passed on


@dataclass(kw_only=True)
class SideJob:
    """A job under way; `done` says whether it has ended, and then `answer` has what it found, or None."""

    what: str
    process: subprocess.Popen[bytes]
    output: IO[bytes]

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def answer(self) -> dict[str, Any] | None:
        """What it found; None where it failed."""
        self.output.seek(0)
        lines = self.output.read().decode(errors="replace").strip().splitlines()
        self.output.close()
        with suppress(ValueError, IndexError):
            return dict(json.loads(lines[-1]))
        return None

    def end(self, seconds: float) -> None:
        """Wait for it, and kill it where it takes longer."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
            return
        self.process.kill()
        self.process.wait()


def start_side_job(what: str, settings: LineSettings, batch: str) -> SideJob:
    """Begin to `watch` the newest frames of a batch, or to `report` the batch to MLflow and the review queue.

    Raises:
        OSError: no process can be started.
    """
    output = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the answer is read
    root = Path(__file__).resolve().parents[2]
    packages = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    workspace = settings.workspace
    given = (workspace.home, workspace.references, settings.product, settings.view, batch, settings.engine)
    process = subprocess.Popen(  # noqa: S603 - our own module, run by our own interpreter
        [sys.executable, "-m", "pipeline.line.side_jobs", what, *map(str, given)],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": packages},
        start_new_session=True,  # ctrl-C is the line's
    )
    return SideJob(what=what, process=process, output=output)


def watch(workspace: Workspace, product: str, view: str, batch: str, _engine: str) -> dict[str, Any]:
    """Hold the newest frames of a running shift against the calibration."""
    from pipeline.watch.watching import watch_batch  # noqa: PLC0415 - draws

    found = watch_batch(workspace, product, view, batch, latest=_WATCHED_FRAMES)
    return {"headline": found.headline, "causes": sorted({alarm.cause.value for alarm in found.alarms})}


def report(workspace: Workspace, product: str, view: str, batch: str, engine: str) -> dict[str, Any]:
    """Tell MLflow of a shift, and put its parts into the review queue."""
    from pipeline.line.shift_report import report_shift  # noqa: PLC0415 - loads the network

    summary = report_shift(workspace, product, view, batch, engine=engine)
    return {"tracked": summary.tracked, "frames": summary.total, "queues": summary.queues}


def main() -> None:
    """Do one job and print what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("watch", "report"))
    parser.add_argument("home", type=Path)
    parser.add_argument("references", type=Path)
    for name in ("product", "view", "batch", "engine"):
        parser.add_argument(name)
    given = parser.parse_args()
    os.nice(_NICE)
    workspace = Workspace(home=given.home, references=given.references)
    job = watch if given.what == "watch" else report
    try:
        answer = job(workspace, given.product, given.view, given.batch, given.engine)
    except (GoldentwinError, OSError) as error:
        answer = {"error": str(error)[:_WORDS]}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
