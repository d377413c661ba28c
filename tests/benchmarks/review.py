"""The review loop under load: python tests/benchmarks/review.py.

500 judged frames, all of them to be reviewed, pushed to a real MLflow server on SQLite by a process that is killed with
-9 three times on the way: how many traces and queue items there are at the end, and how many a second came in. Then the
same batch judged with MLflow's server up and with it gone, side by side. Prints a table.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2

from inspection.recipe import Recipe, ReviewSettings
from pipeline.batch import judge_chunk, summarise_batch
from pipeline.enrolling import enrol_product
from pipeline.planning import plan_batch
from pipeline.records import ReviewRecords
from pipeline.servers import free_port, start_mlflow_server, wait_until_healthy
from pipeline.simulator import LineSimulator
from pipeline.tracking.review_room import review_room
from pipeline.workspace import Workspace

PARTS: Final = 500
SIZE: Final = 192  # pixels: the review's cost does not depend on it
KILLS: Final = 3
SECONDS_UNTIL_KILLED: Final = 25.0
PORT: Final = 5800


def made(folder: Path) -> tuple[Workspace, Path]:
    """A home with four goldens, all parts to be reviewed, and a folder of frames."""
    line, home = LineSimulator(seed=5, size=SIZE), folder / "home"
    frames, goldens = folder / "frames", folder / "goldens"
    for target, first, count in ((goldens, 0, 4), (frames, 100, PARTS)):
        target.mkdir()
        for number in range(count):
            picture = cv2.cvtColor(line.frame(first + number).image, cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(target / f"{number:04}.png"), picture)
    workspace = Workspace(home=home, references=home / "reference_images")
    enrol_product(workspace, "board", "default", files=sorted(goldens.iterdir()), added_by="benchmark", image_size=128)
    recipe = workspace.references / "board" / "default" / "recipe.json"
    recipe.write_text(replace(Recipe.load(recipe), review=ReviewSettings(share=1.0)).to_json())
    return workspace, frames


def judged(workspace: Workspace, frames: Path) -> float:
    """Judge all frames as the nightly flow does, without its summary, and give the seconds."""
    started = time.monotonic()
    plan = plan_batch(workspace, "board", "default", frames)
    for chunk in plan.chunks:
        judge_chunk(plan, chunk)
    return time.monotonic() - started


def pushed(workspace: Workspace, address: str) -> tuple[list[int], float]:
    """Push with kills; how many parts waited after each kill, and parts a second over all the time it ran."""
    program = Path(sys.executable).with_name("goldentwin")
    command = [str(program), "--home", str(workspace.home), "review", "push", "--json"]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": address}
    left, spent = [], 0.0
    for _ in range(KILLS):
        started = time.monotonic()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            process.wait(SECONDS_UNTIL_KILLED)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        spent += time.monotonic() - started
        with ReviewRecords(workspace.records_url) as records:
            left.append(len(records.items(waiting=True)))
    started = time.monotonic()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return left, PARTS / (spent + time.monotonic() - started)


def counted(workspace: Workspace) -> tuple[int, int]:
    """Traces, and parts in the queue, as MLflow tells."""
    with review_room(workspace, "board", "default") as room, ReviewRecords(workspace.records_url) as records:
        queue = room.queue(records.items()[0].queue, ())
        return room.traces(), room.counts(queue)[1]


def summarised(workspace: Workspace, frames: Path) -> float:
    """Judge and sum up as the nightly flow does, and give the seconds."""
    started = time.monotonic()
    plan = plan_batch(workspace, "board", "default", frames)
    for chunk in plan.chunks:
        judge_chunk(plan, chunk)
    summarise_batch(plan, 1.0)
    return time.monotonic() - started


def main() -> None:
    """Three rows."""
    with tempfile.TemporaryDirectory() as name:
        workspace, frames = made(Path(name))
        copies = [Path(name) / f"copy{number}" for number in range(2)]
        for copy in copies:
            shutil.copytree(workspace.home, copy)
        judged(workspace, frames)
        server = start_mlflow_server(workspace, free_port(PORT))
        try:
            wait_until_healthy(server)
            left, rate = pushed(workspace, server.address)
            os.environ["MLFLOW_TRACKING_URI"] = server.address
            traces, items = counted(workspace)
            print("| what | measured |\n|---|---|")
            told = f"{PARTS} parts pushed, killed {KILLS} times (waiting then: {left})"
            print(f"| {told} | {traces} traces, {items} in the queue |")
            print(f"| parts a second, starts of the killed processes included | {rate:.1f} |", flush=True)
            up = summarised(Workspace(home=copies[0], references=copies[0] / "reference_images"), frames)
        finally:
            server.stop()
        down = summarised(Workspace(home=copies[1], references=copies[1] / "reference_images"), frames)
        print(f"| batch with MLflow gone over batch with MLflow up, to its end | {down / up:.2f} |")


if __name__ == "__main__":
    main()
