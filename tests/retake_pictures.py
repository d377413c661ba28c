"""Retake the pictures of the docs from the demo's line: python tests/retake_pictures.py HOME (of `make demo`).

Needs Chromium. Starts MLflow's server on the home, opens the review queue and a trace in a headless browser, draws the
watch's page of a night whose lamp was 15 % darker in its second half, and lets the line run to show its page.
`--line` retakes that one alone.
"""

from __future__ import annotations

import argparse
import json
import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
from playwright.sync_api import sync_playwright

from pipeline.batch import judge_chunk
from pipeline.cameras.simulated import SimulatedCamera
from pipeline.line.line import Line
from pipeline.line.settings import LineSettings
from pipeline.line_page.reading import ShownLine
from pipeline.line_page.server import PageServer
from pipeline.planning import plan_batch
from pipeline.records import ReviewRecords
from pipeline.servers import start_mlflow_server, wait_until_healthy
from pipeline.signals.log_sink import LogSink
from pipeline.simulator import LineSimulator
from pipeline.tracking.connection import connected
from pipeline.tracking.runs import experiment_of
from pipeline.watch.watching import watch_batch
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Page

DOCS: Final = Path(__file__).resolve().parents[1] / "docs"
VIEW: Final = {"width": 1280, "height": 860}
WALL: Final = {"width": 1600, "height": 900}
PRODUCT: Final = "board"
LINE_RATE, LINE_SECONDS = 4.0, 45.0
FRAMES: Final = 600


def main() -> None:
    """All pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--line", action="store_true", help="the line's page alone")
    given = parser.parse_args()
    workspace = Workspace.locate(given.home)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        _line(browser.new_page(viewport=WALL), workspace)  # type: ignore[arg-type]
        browser.close()
    if not given.line:
        _review(workspace)


def _review(workspace: Workspace) -> None:
    """The pictures of docs/review.md."""
    server = start_mlflow_server(workspace)
    try:
        wait_until_healthy(server)
        with connected(workspace) as client:
            experiment = experiment_of(client, workspace, PRODUCT, "default")
        with ReviewRecords(workspace.records_url) as records:
            worst = records.items(product=PRODUCT)[0]
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(viewport=VIEW)  # type: ignore[arg-type]
            page.set_default_timeout(60_000)
            _queue(page, f"{server.address}/#/experiments/{experiment}/review-queue", worst.queue)
            _trace(page, f"{server.address}/#/experiments/{experiment}/traces?selectedEvaluationId={worst.trace}")
            watched = _dark_night(workspace)
            page.goto(watched.as_uri())
            page.screenshot(path=DOCS / "watch.png")
            browser.close()
    finally:
        server.stop()


def _line(page: Page, workspace: Workspace) -> None:
    """The page of the demo's line while it runs."""
    camera = SimulatedCamera(seed=_seed(workspace), frames_per_second=LINE_RATE, defects=0.15)
    settings = LineSettings(
        workspace=workspace, product=PRODUCT, line="press-3", seconds=LINE_SECONDS + 20, watches=False, reports=False
    )
    with Line(settings, camera, [LogSink(line="press-3")]) as line:
        running = threading.Thread(target=line.run)
        running.start()
        with PageServer([ShownLine(snapshot=line.snapshot, golden=line.golden)], port=0) as server:
            time.sleep(LINE_SECONDS)
            page.goto(server.address)
            page.wait_for_timeout(12000)
            page.screenshot(path=DOCS / "line.jpg", type="jpeg", quality=85)
        line.stop("the picture is taken")
        running.join()


def _seed(workspace: Workspace) -> int:
    return int(json.loads((workspace.home / "line" / "line.json").read_text())["seed"])


def _queue(page: Page, address: str, queue: str) -> None:
    page.goto(address)
    page.get_by_text(queue, exact=True).first.click()
    page.get_by_role("button", name="Start review").click()
    page.get_by_alt_text("golden, frame, similarity map").wait_for()
    page.get_by_role("button", name="Next unreviewed").click()
    page.wait_for_timeout(3000)
    _close_assistant(page)
    page.screenshot(path=DOCS / "review-queue.jpg", type="jpeg", quality=88)


def _trace(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_timeout(9000)
    page.screenshot(path=DOCS / "trace.jpg", type="jpeg", quality=88)


def _close_assistant(page: Page) -> None:
    """MLflow's assistant takes a quarter of the page."""
    button = page.get_by_role("button", name="Close", exact=False)
    if button.count():
        button.last.click()
        page.wait_for_timeout(1500)


def _dark_night(workspace: Workspace) -> Path:
    """The watch's page of a night whose lamp grows darker halfway."""
    folder = workspace.home / "dark_night"
    if not folder.is_dir():
        folder.mkdir()
        lines = [LineSimulator(seed=_seed(workspace), light=light) for light in (1.0, 0.85)]
        for number in range(FRAMES):
            line = lines[number >= FRAMES // 2]
            picture = cv2.cvtColor(line.frame(70_000 + number).image, cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(folder / f"frame_{number:04}.jpg"), picture)
    plan = plan_batch(workspace, PRODUCT, "default", folder)
    for chunk in plan.chunks:
        judge_chunk(plan, chunk)
    page = watch_batch(workspace, PRODUCT, "default", plan.batch).page
    if page is None:
        message = "the demo's calibration can't be watched by; run `make demo` anew"
        raise SystemExit(message)
    return page


if __name__ == "__main__":
    main()
