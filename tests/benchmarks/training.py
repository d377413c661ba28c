"""Training on the real parts: DeepPCB's pairs, products on drawn defects, and recognition of products.

Run: python tests/benchmarks/training.py [deeppcb bottle aliens recognition]. It needs the real inspection images
(REAL_DATA, see CONTRIBUTING), two cores and the better part of an hour. Boards of the test are never trained on.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from accuracy import DATA

from inspection.engine import OnnxEngine
from inspection.learned.design import TwinDesign
from inspection.learned.fitting import TrainingPlan
from inspection.recipe import EncoderChoice
from inspection.recognition import Recogniser
from pipeline.enrolling import enrol_product
from pipeline.evaluating import evaluate_product
from pipeline.pair_evaluating import evaluate_pairs
from pipeline.product_training import train_product
from pipeline.reading import list_frames, read_frame
from pipeline.training import train_on_pairs
from pipeline.workspace import Workspace

TEST_BOARDS = ("44000", "50600", "92000")
RECOGNISED = ("bottle", "screw", "aliens")
PAIR_STEPS, PRODUCT_STEPS = 3000, 900


def write_manifests(folder: Path) -> tuple[Path, Path]:
    """DeepPCB's pairs to train on (320) and to test on (80), by board."""
    data = DATA / "deeppcb"
    manifests = folder / "train.csv", folder / "test.csv"
    names = sorted(path.stem for path in (data / "boxes").iterdir())
    for manifest, tested in zip(manifests, (False, True), strict=True):
        with manifest.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("frame", "golden", "label", "part_id", "boxes"))
            for name in names:
                if name.startswith(TEST_BOARDS) is tested:
                    frame, golden = (next((data / kind).glob(f"{name}*")) for kind in ("test", "temp"))
                    writer.writerow((frame, golden, "defect", name, data / "boxes" / f"{name}.txt"))
    return manifests


def deeppcb(home: Path) -> dict[str, Any]:
    """Boxes found on boards never seen."""
    train, test = write_manifests(home)
    workspace = Workspace.locate(home)
    done = train_on_pairs(
        workspace, "deeppcb", "default", manifest=train, design=TwinDesign(), plan=TrainingPlan(steps=PAIR_STEPS)
    )
    return {"minutes": done.seconds / 60, **evaluate_pairs(workspace, "deeppcb", "default", manifest=test)["boxes"]}


def product(part: str, home: Path) -> dict[str, Any]:
    """A product of four goldens, before and after training on its good training images and drawn defects."""
    workspace = Workspace.locate(home)
    good = sorted((DATA / part / "train" / "good").iterdir())
    labelled = home / part / "good"
    labelled.mkdir(parents=True)
    for file in good:
        shutil.copyfile(file, labelled / file.name)
    enrol_product(workspace, part, "default", files=good[:4], added_by="benchmark")
    before = evaluate_product(workspace, part, "default", labelled=DATA / part / "test").figures
    done = train_product(
        workspace,
        part,
        "default",
        labelled=labelled.parent,
        design=TwinDesign(),
        plan=TrainingPlan(steps=PRODUCT_STEPS),
    )
    after = evaluate_product(workspace, part, "default", labelled=DATA / part / "test").figures
    keys = ("image_auroc", "pixel_auroc", "aupro")
    return {
        "minutes": done.seconds / 60,
        "before": {key: before[key] for key in keys},
        "after": {key: after[key] for key in keys},
        "fusion": done.twin.fusion,
    }


def recognition(home: Path) -> dict[str, int]:
    """One golden each of six products: how many of all test images are recognised."""
    boards = [f"pcb{number}" for number in (1, 2, 3)]
    goldens = {part: next(iter(sorted((DATA / part / "train" / "good").iterdir()))) for part in RECOGNISED}
    goldens |= {board: DATA / "visa_pcb" / board / "reference.jpg" for board in boards}
    images = {part: list_frames([DATA / part / "test"]) for part in RECOGNISED}
    images |= {board: list_frames([DATA / "visa_pcb" / board / "defective.jpg"]) for board in boards}
    pictures = {name: [read_frame(list_frames([path])[0]).image] for name, path in goldens.items()}
    recogniser = Recogniser(pictures, OnnxEngine(EncoderChoice(), cache=home / "cache"))
    told = [(name, recogniser.recognise(read_frame(file).image).name) for name in images for file in images[name]]
    return {
        "right": sum(name == found for name, found in told),
        "none": sum(found is None for _, found in told),
        "all": len(told),
    }


def main() -> None:
    """Print a JSON object of what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["deeppcb", "bottle", "aliens", "recognition"])
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as home:
        for what in parser.parse_args().what:
            if what == "deeppcb":
                results[what] = deeppcb(Path(home))
            elif what == "recognition":
                results[what] = recognition(Path(home))
            else:
                results[what] = product(what, Path(home))
            print(what, results[what], file=sys.stderr)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
