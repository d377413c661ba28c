"""Runs `goldentwin stream` over a folder, kills it with -9 again and again, and holds signals against records."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections import Counter
from pathlib import Path

from drawn_night import COMMAND, environment

from pipeline.records import VerdictRecords
from pipeline.workspace import Workspace

PATIENCE = 120.0


def start_line(home: Path, product: str, source: str, signals: Path, *options: str) -> subprocess.Popen:
    """Start the line on a source, telling a file."""
    command = [COMMAND, "stream", product, "--source", source, "--signal", f"file:{signals}", *options]
    with (home / "line.log").open("ab") as log:
        return subprocess.Popen(command, env=environment(home), stdout=log, stderr=log)


def told(signals: Path) -> list[dict]:
    """The signals in the file, whole lines only."""
    if not signals.exists():
        return []
    text = signals.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def run_killed(home: Path, product: str, frames: Path, signals: Path, *, kills: int, seed: int) -> int:
    """Kill the line at random moments while it works through the folder, then let it end; how many were killed."""
    random.seed(seed)
    total, killed = len(list(frames.iterdir())), 0
    for _ in range(kills):
        before = len(told(signals))
        if before >= total:
            break
        process = start_line(home, product, str(frames), signals)
        deadline = time.monotonic() + PATIENCE
        while len(told(signals)) <= before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 0.4))  # noqa: S311 - no secret
        process.kill()
        process.wait()
        killed += 1
    process = start_line(home, product, str(frames), signals, "--seconds", "20")
    deadline = time.monotonic() + PATIENCE
    while len(told(signals)) < total and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.terminate()
    process.wait(PATIENCE)
    return killed


def contradictions(home: Path, frames: Path, signals: Path) -> dict[str, list]:
    """What is wrong between frames, signals and records; empty where nothing is."""
    workspace = Workspace(home=home, references=home / "reference_images")
    with VerdictRecords(workspace.records_url) as records:
        rows = records.rows()
    names = {path.name for path in frames.iterdir()}
    signalled = told(signals)
    recorded = Counter(row["frame"] for row in rows)
    heard = Counter(signal["frame"] for signal in signalled)
    verdicts = {row["frame"]: (row["verdict"], row["reason"], row["similarity"]) for row in rows}
    found = {
        "without a record": sorted(names - set(recorded)),
        "without a signal": sorted(names - set(heard)),
        "recorded twice": [name for name, count in recorded.items() if count > 1],
        "told twice": [name for name, count in heard.items() if count > 1],
        "sequence twice": [n for n, count in Counter(s["sequence"] for s in signalled).items() if count > 1],
        "out of order": [] if _rising(signalled) else [s["sequence"] for s in signalled],
        "signal against record": [
            s["frame"] for s in signalled if verdicts.get(s["frame"]) != (s["verdict"], s["reason"], s["similarity"])
        ],
    }
    return {what: wrong for what, wrong in found.items() if wrong}


def _rising(signals: list[dict]) -> bool:
    numbers = [signal["sequence"] for signal in signals]
    return numbers == list(range(1, len(numbers) + 1))
