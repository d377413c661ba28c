"""Parity of engines: eager torch, and float16 in the backbone as in `cuda-half`, against ONNX Runtime, on the CPU.

Run: python tests/benchmarks/precision.py. It needs the real inspection images (see CONTRIBUTING).

Each part with its first four goldens and its provisional threshold; the CPU rounds as a GPU does, only slowly.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from inspection.calibration import provisional_calibration
from inspection.cuda import HalfPrecision
from inspection.inspector import Inspector
from inspection.recipe import Recipe
from pipeline.enrolment import enrol_goldens
from pipeline.reading import list_frames, read_frame

PARTS = ("bottle", "aliens", "screw", "transistor", "hazelnut", "cookies", "elpv")
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def frames_of(part: str, count: int) -> list[np.ndarray]:
    """`count` of its frames, spread over all kinds."""
    files = list_frames([DATA / part / "test"])
    chosen = [files[index] for index in np.linspace(0, len(files) - 1, min(count, len(files))).astype(int)]
    return [read_frame(file).image for file in chosen]


def measure(part: str, count: int, home: Path) -> dict[str, float]:
    """Largest difference in similarity from ONNX Runtime, and frames on the other side of the threshold."""
    goldens = sorted((DATA / part / "train" / "good").iterdir())[:4]
    report = enrol_goldens(home, product=part, files=goldens, recipe=Recipe(), added_by="benchmark")
    engines = {
        "onnx": Inspector(report.reference_set, cache=home / "cache", engine="onnx"),
        "eager": Inspector(report.reference_set, cache=home / "cache", engine="torch"),
        "half": Inspector(report.reference_set, cache=home / "cache", engine="torch"),
    }
    network = engines["half"]._engine._network
    network.backbone = HalfPrecision(network.backbone)
    first = engines["onnx"]
    threshold = provisional_calibration(first.golden_similarities, binding=first.binding).threshold
    prepared = [first.prepare(image) for image in frames_of(part, count)]
    prepared = [frame for frame in prepared if frame.image is not None]
    told = {
        name: np.array([inspector.judge_prepared([frame])[0].similarity for frame in prepared])
        for name, inspector in engines.items()
    }
    found: dict[str, float] = {"frames": len(prepared)}
    for name in ("eager", "half"):
        found[name] = float(np.abs(told[name] - told["onnx"]).max())
        found[f"{name} flips"] = int(((told[name] < threshold) != (told["onnx"] < threshold)).sum())
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10_000, help="of each part, at most; all by default")
    count = parser.parse_args().frames
    print("| part | frames | float32, largest difference | flips | float16 inside, largest difference | flips |")
    print("|---|---:|---:|---:|---:|---:|")
    for part in PARTS:
        with tempfile.TemporaryDirectory() as home:
            row = measure(part, count, Path(home))
        cells = (row["frames"], f"{row['eager']:.5f}", row["eager flips"], f"{row['half']:.5f}", row["half flips"])
        print(f"| {part} | " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
