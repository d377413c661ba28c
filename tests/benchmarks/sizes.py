"""What a plant needs: frames a second of one core, bytes of 1000 parts. Simulated boards of 512 x 512 pixels, JPEG.

Run on a machine with nothing else to do: python tests/benchmarks/sizes.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import cv2

from pipeline.batch import judge_chunk, summarise_batch
from pipeline.doctor.room import disk_use
from pipeline.enrolling import enrol_product
from pipeline.inspecting import inspect_frames
from pipeline.opening import open_inspector
from pipeline.planning import plan_batch
from pipeline.reading import list_frames
from pipeline.records import ReviewRecords
from pipeline.simulator import DefectKind, LineSimulator
from pipeline.workspace import Workspace

PARTS: Final = 1000
EVERY_FIFTIETH: Final = 50  # is defective
GOLDENS: Final = 4
TIMED: Final = 100
BOUNDED: Final = 60.0  # seconds that looking at the disk may take


def main() -> None:
    """Two tables."""
    os.environ["GOLDENTWIN_CORES"] = "1"
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        line = LineSimulator(seed=5, size=512)
        goldens = drawn(line, folder / "goldens", range(90_000, 90_000 + GOLDENS))
        drawn(line, folder / "frames", range(PARTS))
        print("| image_size | registration | frames/s of one core |\n|---:|---|---:|")
        for size in (256, 512):
            for method in ("none", "auto"):
                print(f"| {size} | {method} | {rate(folder, goldens, size, method):.0f} |", flush=True)
        print(f"\n| of {PARTS} parts | bytes |\n|---|---:|")
        for what, size in sizes(folder, goldens).items():
            print(f"| {what} | {size:,} |")


def drawn(line: LineSimulator, folder: Path, numbers: range) -> list[Path]:
    """Frames as files; every fiftieth has a defect, but for goldens."""
    folder.mkdir()
    kinds = list(DefectKind)
    for number in numbers:
        bad = number < PARTS and number % EVERY_FIFTIETH == 1
        image = line.frame(number, kinds[number // EVERY_FIFTIETH % len(kinds)] if bad else None).image
        cv2.imwrite(str(folder / f"{number:05}.jpg"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return sorted(folder.iterdir())


def rate(folder: Path, goldens: list[Path], size: int, method: str) -> float:
    """Frames a second of one core, file to verdict, the best of four."""
    workspace = enrolled(folder / f"{size}-{method}", goldens, size, method)
    inspector = open_inspector(workspace, "board", engine="onnx")
    files = list_frames([folder / "frames"])[:TIMED]
    seconds = []
    for _ in range(4):
        started = time.perf_counter()
        list(inspect_frames(inspector, files))
        seconds.append(time.perf_counter() - started)
    return TIMED / min(seconds)


def enrolled(home: Path, goldens: list[Path], size: int, method: str) -> Workspace:
    """A home with the product, provisionally calibrated."""
    workspace = Workspace(home=home, references=home / "reference_images")
    enrol_product(workspace, "board", "default", files=goldens, added_by="benchmark", register=method, image_size=size)
    return workspace


def sizes(folder: Path, goldens: list[Path]) -> dict[str, int]:
    """Bytes by kind, after a night and after its review was pushed."""
    workspace = enrolled(folder / "home", goldens, 256, "auto")
    plan = plan_batch(workspace, "board", "default", folder / "frames")
    for chunk in plan.chunks:
        judge_chunk(plan, chunk)
    summary = summarise_batch(plan, 1.0)
    night = used(workspace)
    program = Path(sys.executable).with_name("goldentwin")
    subprocess.run([program, "--home", workspace.home, "review", "push"], check=True, stdout=subprocess.DEVNULL)
    reviewed = used(workspace)
    with ReviewRecords(workspace.records_url) as records:
        pushed = len(records.items())
    return {
        f"records ({PARTS} rows)": night["records"],
        f"evidence pictures ({len(summary.flagged)} flagged)": night["evidence"],
        f"frames kept for review ({pushed})": reviewed["frames"],
        f"MLflow: the review's traces ({pushed})": reviewed["mlflow"] - night["mlflow"],
        "MLflow: the night's run": night["mlflow"],
        "contact sheet and watch page": reviewed["reports"],
        "the frames themselves, where they stay": sum(f.stat().st_size for f in (folder / "frames").iterdir()),
        "once a product: caches": night["cache"],
    }


def used(workspace: Workspace) -> dict[str, int]:
    """Bytes by kind, as `doctor` counts them."""
    return {use.kind: use.size for use in disk_use(workspace, seconds=BOUNDED)}


if __name__ == "__main__":
    main()
