"""Parts found in the video of a table, and what finding them costs: python tests/benchmarks/gating.py.

On one core. Time of the gate against that of decoding, in ms a frame; the parts that it gives as the video is changed.
Needs the real inspection data beside the checkout, or where GOLDENTWIN_TEST_DATA says.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pipeline.cameras import Shot
from pipeline.parts import PartGate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FPS = 179 / 6
PLACED = 4  # counted by eye: put down at 13.5, 24.5, 29.0 and 36.5 s
DATA = Path(os.environ.get("GOLDENTWIN_TEST_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


def changes() -> dict[str, Callable[[int, np.ndarray], np.ndarray | None]]:
    """What is done to the frame of an index; None leaves it out."""
    random = np.random.default_rng(0)
    noise = [random.normal(0, 8, (360, 640, 3)).astype(np.float32) for _ in range(5)]

    def shown(values: np.ndarray) -> np.ndarray:
        return np.clip(values, 0, 255).astype(np.uint8)

    return {
        "as it is": lambda _, frame: frame,
        "mirrored": lambda _, frame: frame[:, ::-1],
        "turned by 180 degrees": lambda _, frame: frame[::-1, ::-1],
        "half the size": lambda _, frame: cv2.resize(frame, (320, 180), interpolation=cv2.INTER_AREA),
        "noise of 8 grey values": lambda index, frame: shown(frame + noise[index % 5]),
        "gamma 1.4": lambda _, frame: shown(255 * (frame / 255) ** 1.4),
        "flicker of 10 %": lambda index, frame: shown(frame * (1 + 0.1 * np.sin(index))),
        "gamma 0.7": lambda _, frame: shown(255 * (frame / 255) ** 0.7),
        "half the light": lambda _, frame: frame // 2,
        "no colour": lambda _, frame: cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB),
        "every second frame": lambda index, frame: frame if index % 2 == 0 else None,
    }


def frames(file: Path, decoding: list[float]) -> Iterator[np.ndarray]:
    """The video's, (360, 640, 3) RGB uint8; the seconds that each took are added to `decoding`."""
    video = cv2.VideoCapture(str(file))
    while True:
        began = time.perf_counter()
        there, picture = video.read()
        if not there:
            video.release()
            return
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        decoding.append(time.perf_counter() - began)
        yield picture


def main() -> None:
    """Print the tables."""
    file = DATA / "line_video" / "bottle-detection.mp4"
    if not file.is_file():
        sys.exit(f"no video at {file}; GOLDENTWIN_TEST_DATA names another folder")
    cv2.setNumThreads(1)
    print(f"| video | parts ({PLACED} put down) | at, s | gate, ms a frame: mean | p95 | decoding: mean |")
    print("|---|---:|---|---:|---:|---:|")
    for name, change in changes().items():
        gate, decoding, gating, found = PartGate(), [], [], []
        for index, frame in enumerate(frames(file, decoding)):
            if (image := change(index, frame)) is None:
                continue
            image = np.ascontiguousarray(image)
            shot = Shot(image=image, captured_at=datetime.now(UTC), captured=index / FPS, number=index)
            began = time.perf_counter()
            parts = gate.see(shot)
            gating.append(time.perf_counter() - began)
            found += [part.number / FPS for part in parts]
        found += [part.number / FPS for part in gate.rest()]
        moments = ", ".join(f"{at:.1f}" for at in found)
        mean, high, decoded = np.mean(gating), np.percentile(gating, 95), np.mean(decoding)
        print(f"| {name} | {len(found)} | {moments} | {1e3 * mean:.2f} | {1e3 * high:.2f} | {1e3 * decoded:.2f} |")


if __name__ == "__main__":
    main()
