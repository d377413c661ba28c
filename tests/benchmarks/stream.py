"""A line against its limits, on a machine with nothing else to do.

python tests/benchmarks/stream.py [--minutes 10]

Drawn boards of 512 x 512 pixels, four goldens, registration as it chooses itself. Throughput of the line over that of a
batch on the same frames; latency and memory at 70 % of it; every frame's fate at 200 %.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from inspection.calibration import provisional_calibration
from pipeline.batch import judge_chunk
from pipeline.cameras.folder import FolderCamera
from pipeline.cameras.replayed import ReplayCamera
from pipeline.enrolment import enrol_goldens
from pipeline.line.line import Line, LineSummary
from pipeline.line.readying import seconds_a_frame
from pipeline.line.settings import LineSettings, Policy
from pipeline.line.snapshot import LineSnapshot
from pipeline.opening import keep_calibration, open_inspector
from pipeline.planning import plan_batch
from pipeline.records import VerdictRecords
from pipeline.signals import Acknowledgement, Signal, StateReport
from pipeline.simulator import DefectKind, LineSimulator
from pipeline.workspace import Workspace

FRAMES = 300
DEFECTIVE_EVERY = 20
PRODUCT = "board"


class Listener:
    """Takes signals and keeps how long each took from its capture."""

    name = "listener"
    acknowledges = False

    def __init__(self) -> None:
        self.signals: list[Signal] = []

    def open(self) -> None:
        """Always there."""

    def last_sequence(self) -> int | None:
        """It remembers nothing."""
        return None

    def send(self, signal: Signal) -> None:
        """Keep it."""
        self.signals.append(signal)

    def report(self, state: StateReport) -> None:
        """Nothing."""

    def acknowledgements(self) -> list[Acknowledgement]:
        """None."""
        return []

    def close(self) -> None:
        """Nothing."""


def draw(folder: Path) -> Path:
    """Draw the line's frames, every twentieth with a defect."""
    folder.mkdir(parents=True)
    simulator, kinds = LineSimulator(seed=7), list(DefectKind)
    for number in range(FRAMES):
        defect = kinds[number // DEFECTIVE_EVERY % len(kinds)] if number % DEFECTIVE_EVERY == 0 else None
        image = simulator.frame(1000 + number, defect).image
        cv2.imwrite(str(folder / f"{number:04d}.jpg"), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    return folder


def ready(home: Path) -> Workspace:
    """Enrol four goldens and calibrate so that the good boards pass."""
    workspace = Workspace(home=home, references=home / "references")
    simulator = LineSimulator(seed=7)
    goldens = home / "goldens"
    goldens.mkdir(parents=True)
    for number in range(4):
        cv2.imwrite(str(goldens / f"{number}.png"), simulator.frame(number).image[..., ::-1])
    enrol_goldens(workspace.references, product=PRODUCT, files=sorted(goldens.iterdir()), added_by="benchmark")
    inspector = open_inspector(workspace, PRODUCT)
    calibration = provisional_calibration(inspector.golden_similarities, binding=inspector.binding)
    keep_calibration(workspace, PRODUCT, "default", calibration)
    return workspace


def fresh(workspace: Workspace, name: str) -> Workspace:
    """The same product in a home of its own."""
    home = workspace.home.parent / name
    shutil.copytree(workspace.home, home)
    return Workspace(home=home, references=home / "references")


def batch_rate(workspace: Workspace, frames: Path) -> float:
    """Frames a second of a batch."""
    plan = plan_batch(workspace, PRODUCT, "default", frames)
    started = time.perf_counter()
    for chunk in plan.chunks:
        judge_chunk(plan, chunk)
    return FRAMES / (time.perf_counter() - started)


def stream_rate(workspace: Workspace, frames: Path) -> float:
    """Frames a second of a line over the same folder, from its first capture to its last record."""
    settings = LineSettings(workspace=workspace, product=PRODUCT, frames=FRAMES, watches=False, reports=False)
    with Line(settings, FolderCamera(frames), [Listener()]) as line:
        started = time.perf_counter()
        line.run()
        return FRAMES / (time.perf_counter() - started)


def at_rate(
    workspace: Workspace,
    frames: Path,
    *,
    rate: float,
    seconds: float,
    policy: Policy,
    watches: bool,
    deadline: float | None = None,
) -> tuple[LineSummary, list[Signal], list[tuple[float, float]]]:
    """Run a line under a camera of this rate; what it came to, its signals, and memory (seconds, MB) over time."""
    settings = LineSettings(
        workspace=workspace,
        product=PRODUCT,
        seconds=seconds,
        policy=policy,
        watches=watches,
        reports=False,
        deadline=deadline,
    )
    listener, memory, began = Listener(), [], time.monotonic()

    def look(_snapshot: LineSnapshot) -> None:
        memory.append((time.monotonic() - began, resident()))

    camera = ReplayCamera(frames, frames_per_second=rate, loop=True)
    with Line(settings, camera, [listener]) as line:
        summary = line.run(look)
    return summary, listener.signals, memory


def resident() -> float:
    """Megabytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


def growth(memory: list[tuple[float, float]]) -> float:
    """By what share memory grew after the first minute: the median of the last tenth over that of minute two."""
    after = [(at, size) for at, size in memory if at >= 60]
    if len(after) < 20:
        return float("nan")
    tenth = len(after) // 10
    first = statistics.median(size for _, size in after[:tenth])
    last = statistics.median(size for _, size in after[-tenth:])
    return last / first - 1


def calm(workspace: Workspace, frames: Path, batch: float, limit: float, minutes: float) -> dict[str, object]:
    """The line at 70 % of the batch's rate."""
    summary, _, memory = at_rate(
        workspace, frames, rate=0.7 * batch, seconds=60 * minutes, policy=Policy.SKIP, watches=True
    )
    found = summary.snapshot
    return {
        "frames": found.captured,
        "p50_ms": found.latency_p50,
        "p99_ms": found.latency_p99,
        "p99_over_limit": (found.latency_p99 or 0) / limit,
        "limit_ms": limit,
        "skipped": found.skipped,
        "missed": found.missed,
        "memory_growth": growth(memory),
        "memory_mb": memory[-1][1],
    }


def hot(workspace: Workspace, frames: Path, batch: float, limit: float) -> dict[str, object]:
    """The line at twice the batch's rate, with the limit as its deadline."""
    summary, signals, _ = at_rate(
        workspace, frames, rate=2 * batch, seconds=60, policy=Policy.SKIP, watches=False, deadline=limit / 1000
    )
    with VerdictRecords(workspace.records_url) as records:
        rows = records.rows()
    numbers = [int(row["frame"].rsplit("-", 1)[1]) for row in rows]
    found = summary.snapshot
    return {
        "captured": found.captured,
        "records": len(rows),
        "each_once": sorted(numbers) == list(range(1, found.captured + 1)),
        "told_once": [signal.sequence for signal in signals] == list(range(1, found.captured + 1)),
        "missed_by_camera": found.missed,
        "judged": found.captured - found.skipped - found.late,
        "skipped": found.skipped,
        "late": found.late,
        "p99_ms": found.latency_p99,
        "limit_ms": limit,
        "judged_per_second_over_batch": (found.captured - found.skipped - found.late) / 60 / batch,
        "reasons": _reasons(rows),
    }


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of the run at 70 %%")
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        frames, workspace = draw(base / "frames"), ready(base / "home")
        single = 1000 * seconds_a_frame(open_inspector(workspace, PRODUCT))
        turns = [  # in turn, so that a slow moment of the machine meets both
            (batch_rate(fresh(workspace, f"batch{i}"), frames), stream_rate(fresh(workspace, f"stream{i}"), frames))
            for i in range(4)
        ]
        batch, stream = (statistics.median(rates) for rates in zip(*turns, strict=True))
        limit = 3 * single + 50
        print(json.dumps({"single_ms": single, "batch_per_second": batch, "stream_over_batch": stream / batch}))
        print(
            json.dumps({"at_70": calm(fresh(workspace, "calm"), frames, batch, limit, minutes)}, indent=1), flush=True
        )
        print(json.dumps({"at_200": hot(fresh(workspace, "hot"), frames, batch, limit)}, indent=1))


def _reasons(rows: list[dict]) -> dict[str, int]:
    kinds = [str(row["reason"] or row["verdict"]).partition(":")[0] for row in rows]
    return {kind: kinds.count(kind) for kind in np.unique(kinds)}


if __name__ == "__main__":
    main()
