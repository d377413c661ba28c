"""A small night on disk: goldens and frames of a drawn part, some with a scratch, and the command that judges them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

COMMAND = str(Path(sys.executable).with_name("goldentwin"))
PRODUCT = "plate"
PORTION = 16


def draw_part(seed: int, *, scratched: bool = False) -> NDArray[np.uint8]:
    """A grey plate with four holes, (128, 128, 3) uint8 RGB, a little noisy; the same for the same seed."""
    noise = np.random.default_rng(seed).normal(0.0, 2.0, (128, 128, 3))
    part = np.full((128, 128, 3), 90, np.uint8)
    cv2.rectangle(part, (14, 14), (113, 113), (170, 175, 180), -1)
    for x, y in ((34, 34), (94, 34), (34, 94), (94, 94)):
        cv2.circle(part, (x, y), 9, (40, 40, 45), -1)
    if scratched:
        cv2.line(part, (40, 64), (88, 70), (250, 240, 90), 4)
    return np.clip(part + noise, 0, 255).astype(np.uint8)


def write_frames(folder: Path, count: int, *, scratched_every: int = 10) -> Path:
    """`count` frames as PNG files; every `scratched_every`-th has a scratch."""
    folder.mkdir(parents=True)
    for i in range(count):
        image = draw_part(1000 + i, scratched=i % scratched_every == 0)
        cv2.imwrite(str(folder / f"part{i:04}.png"), image[..., ::-1])
    return folder


def write_goldens(folder: Path, count: int = 2) -> Path:
    """`count` goldens as PNG files."""
    folder.mkdir(parents=True)
    for i in range(count):
        cv2.imwrite(str(folder / f"golden{i}.png"), draw_part(i)[..., ::-1])
    return folder


def environment(home: Path) -> dict[str, str]:
    """What a command needs to find `home`, and Prefect's state inside it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return {**kept, "GOLDENTWIN_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}


def enrol(home: Path, goldens: Path) -> None:
    """Enrol the goldens; frames are taken as they come, which is fast."""
    goldentwin(home, "enrol", PRODUCT, "--from", goldens, "--register", "none")


def goldentwin(home: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; it has to succeed."""
    command = [COMMAND, *map(str, arguments)]
    done = subprocess.run(command, env=environment(home), capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    return done


def start_batch(home: Path, frames: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start `goldentwin batch` and don't wait for it."""
    command = [COMMAND, "batch", PRODUCT, "--frames", str(frames), "--chunk-size", str(PORTION)]
    with log.open("ab") as output:
        return subprocess.Popen(command, env=environment(home), stdout=output, stderr=output)


def recorded_frames(home: Path) -> list[str]:
    """The frames that have a row, one entry a row; read beside whoever is writing."""
    path = home / "records.db"
    if not path.exists():
        return []
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        return [frame for (frame,) in connection.execute("SELECT frame FROM verdicts")]
    except sqlite3.OperationalError:  # the table is not made yet
        return []
    finally:
        connection.close()


def missing_and_doubled(recorded: Sequence[str], frames: Path) -> tuple[set[str], set[str]]:
    """Frames without a row, and frames with several."""
    missing = {path.name for path in frames.iterdir()} - set(recorded)
    return missing, {frame for frame in recorded if recorded.count(frame) > 1}
