"""Speed as ratios, all measured in this one run: comparison against the encoder, path against the encoder, goldens.

Run on a machine with nothing else to do: python tests/benchmarks/speed.py
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from inspection.calibration import provisional_calibration
from inspection.decision import find_regions, image_distance, similarity_map, spread_to_pixels
from inspection.engine import EngineChoice, OnnxEngine, TorchEngine
from inspection.inspector import Inspector
from inspection.recipe import EncoderChoice, Recipe, RegistrationMethod
from pipeline.batch import judge_chunk
from pipeline.enrolment import enrol_goldens
from pipeline.opening import keep_calibration, open_inspector
from pipeline.planning import plan_batch
from pipeline.simulator import LineSimulator
from pipeline.workspace import Workspace

FRAMES = 500
FIXED = Recipe(registration=RegistrationMethod.NONE)


def milliseconds(work: Callable[[], object], repeats: int = 40) -> float:
    """Median time of one call, after three calls to warm up."""
    for _ in range(3):
        work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def draw(folder: Path, count: int) -> list[Path]:
    """Draw `count` good boards as JPEG files, named 0000.jpg onwards."""
    folder.mkdir(parents=True, exist_ok=True)
    simulator = LineSimulator(seed=7)
    files = [folder / f"{number:04d}.jpg" for number in range(count)]
    for number, file in enumerate(files):
        cv2.imwrite(str(file), cv2.cvtColor(simulator.frame(number).image, cv2.COLOR_RGB2BGR))
    return files


def enrolled(home: Path, files: list[Path], name: str, recipe: Recipe = FIXED) -> tuple[Inspector, float]:
    """Enrol and make ready; the inspector and the process time that took, in seconds."""
    started = time.process_time()
    report = enrol_goldens(home / "refs", product=name, files=files, recipe=recipe, added_by="benchmark")
    inspector = Inspector(report.reference_set, cache=home / "cache")
    return inspector, time.process_time() - started


def compare_and_decide(inspector: Inspector, image: np.ndarray) -> Callable[[], object]:
    """One frame's comparison and decision, its descriptors given, a region found."""
    described = inspector._engine.describe([inspector.prepare(image).image])

    def work() -> object:
        distances = spread_to_pixels(inspector._comparer.compare(described)[0], 256, None)
        return find_regions(distances, 1.0, np.eye(3), (256, 256)), image_distance(distances), similarity_map(distances)

    return work


def main() -> None:
    """Measure and print JSON."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        files = draw(home / "frames", FRAMES)
        image = cv2.cvtColor(cv2.imread(str(files[-1])), cv2.COLOR_BGR2RGB)
        working = np.ascontiguousarray(cv2.resize(image, (256, 256)))
        onnx = OnnxEngine(EncoderChoice(), cache=home / "cache")
        eager = TorchEngine(EncoderChoice(), EngineChoice.TORCH)
        _, ready = enrolled(home, files[:4], "four", Recipe())
        inspectors = {count: enrolled(home, files[:count], f"g{count}")[0] for count in (1, 16, 64)}
        encode = milliseconds(lambda: onnx.describe([working]))
        print(
            json.dumps(
                {
                    "encoder_ms": encode,
                    "eager_torch_over_encoder": milliseconds(lambda: eager.describe([working]), 15) / encode,
                    "compare_16_over_encoder": milliseconds(compare_and_decide(inspectors[16], image)) / encode,
                    "judge_64_over_judge_1": milliseconds(lambda: inspectors[64].judge([image]))
                    / milliseconds(lambda: inspectors[1].judge([image])),
                    "path_over_encoder": path(home, files) / milliseconds(lambda: onnx.describe([working])),
                    "ready_seconds_4_goldens": ready,
                },
                indent=1,
            )
        )


def path(home: Path, files: list[Path]) -> float:
    """Milliseconds per frame from file to recorded verdict, for the whole batch without registration."""
    workspace = Workspace(home=home / "home", references=home / "refs")
    inspector = open_inspector(workspace, "g16")
    lenient = replace(provisional_calibration(inspector.golden_similarities, binding=inspector.binding), threshold=0.01)
    keep_calibration(workspace, "g16", "default", lenient)
    plan = plan_batch(workspace, "g16", "default", files[0].parent)
    started = time.perf_counter()
    for chunk in plan.chunks:
        judge_chunk(plan, chunk)
    return (time.perf_counter() - started) * 1000 / plan.total


if __name__ == "__main__":
    main()
