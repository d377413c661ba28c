"""A line whose light was changed, recalibrated from reviews alone: python tests/benchmarks/relight.py HOME.

HOME is that of `make demo`. Two nights of 300 boards (one in eight defective) under other light are judged; a reviewer
who knows the truth answers for all flagged parts of the first and for 5 % of those that passed; `calibrate --reviewed
--max-overkill 5%`; the second night is judged again. Then five false alarms become goldens, as `review goldens
--confirm` does, the first night is judged again, and it is calibrated by the same reviews. Prints overkill and escape
of the second night after each.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import cv2

from inspection.calibration import Policy
from pipeline.batch import judge_chunk
from pipeline.enrolling import enrol_product
from pipeline.planning import plan_batch
from pipeline.records import ReviewRecords, VerdictRecords
from pipeline.review.exporting import propose_goldens
from pipeline.review.items import DEFECT, GOOD, VERDICT, Answer
from pipeline.review.recalibrating import calibrate_reviewed
from pipeline.simulator import LineSimulator
from pipeline.simulator.defects import DefectKind
from pipeline.workspace import Workspace

PRODUCT, VIEW = "board", "default"
FRAMES, DEFECTIVE = 300, 8
KINDS: Final = list(DefectKind)


def night(line: LineSimulator, folder: Path, first: int) -> dict[str, bool]:
    """Draw a night into `folder`, and give which frames are defective."""
    folder.mkdir()
    truth = {}
    for number in range(FRAMES):
        kind = KINDS[number // DEFECTIVE % len(KINDS)] if number % DEFECTIVE == 0 else None
        picture = cv2.cvtColor(line.frame(first + number, kind).image, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"{number:04}.png"), picture)
        truth[f"{number:04}.png"] = kind is not None
    return truth


def judge(workspace: Workspace, folder: Path, truth: dict[str, bool]) -> tuple[str, str]:
    """Judge a night; its batch, and overkill and escape as a row."""
    plan = plan_batch(workspace, PRODUCT, VIEW, folder)
    for chunk in plan.chunks:
        judge_chunk(plan, chunk)
    with VerdictRecords(workspace.records_url) as records:
        rows = records.rows(batch=plan.batch)
    flagged = sum(row["verdict"] == "FLAG" and not truth[row["frame"]] for row in rows)
    missed = sum(row["verdict"] == "PASS" and truth[row["frame"]] for row in rows)
    defective = sum(truth[row["frame"]] for row in rows)
    return plan.batch, f"{flagged} of {len(rows) - defective} | {missed} of {defective}"


def review(workspace: Workspace, batch: str, truth: dict[str, bool]) -> int:
    """Answer truly for all parts of a night that were chosen, and give how many."""
    with ReviewRecords(workspace.records_url) as records:
        items = records.items(batch=batch)
        records.add_answers(
            [
                Answer(
                    id=item.key,
                    key=item.key,
                    question=VERDICT,
                    value=DEFECT if truth[(item.row or {})["frame"]] else GOOD,
                    comment="",
                    reviewer="truth",
                    answered_at=datetime.now(UTC),
                )
                for item in items
            ]
        )
    return len(items)


def main() -> None:
    """Two rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--light", type=float, default=0.55)
    given = parser.parse_args()
    source = Workspace.locate(given.home)
    seed = int(json.loads((source.home / "line" / "line.json").read_text())["seed"])
    line = LineSimulator(seed=seed, light=given.light)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        for folder in ("reference_images", "calibrations", "champions", "cache"):
            shutil.copytree(source.home / folder, home / folder)
        workspace = Workspace.locate(home)
        truths = [night(line, Path(name) / f"night{number}", 50_000 + 10_000 * number) for number in range(2)]
        batch, _ = judge(workspace, Path(name) / "night0", truths[0])
        print("| second night, light " + f"{given.light} | overkill | escape |\n|---|---:|---:|")
        print(f"| before | {judge(workspace, Path(name) / 'night1', truths[1])[1]} |", flush=True)
        count = review(workspace, batch, truths[0])
        done = calibrate_reviewed(workspace, PRODUCT, VIEW, policy=Policy(max_overkill=0.05))
        print(f"| after, by {count} reviewed parts | {judge(workspace, Path(name) / 'night1', truths[1])[1]} |")
        files = [one.frame_file for one in propose_goldens(workspace, PRODUCT, VIEW)]
        enrol_product(workspace, PRODUCT, VIEW, files=files, added_by="truth", add=True)
        judge(workspace, Path(name) / "night0", truths[0])  # what was said of its frames stays
        again = calibrate_reviewed(workspace, PRODUCT, VIEW, policy=Policy(max_overkill=0.05))
        told = judge(workspace, Path(name) / "night1", truths[1])[1]
        print(f"| and with {len(files)} false alarms as goldens | {told} |")
        print(f"\nafter: {done.calibration.statement}\nwith goldens: {again.calibration.statement}")
        print(*again.calibration.warnings, sep="\n")


if __name__ == "__main__":
    main()
