"""Two lines with two cameras and two products in one home: nothing is mixed up, and each gets its share."""

from __future__ import annotations

import subprocess
import time

import pytest
from drawn_line import calibrated, enrol
from drawn_night import COMMAND, PRODUCT, draw_part, environment, write_frames
from line_killer import told

from inspection.recipe import Recipe, RegistrationMethod
from pipeline.records import VerdictRecords

OTHER = "bar"
RATE, SECONDS = 12, 15


def draw_bar(seed, *, scratched=False):
    """Another product: the plate lying on its side, with its colours turned round."""
    return 255 - draw_part(seed, scratched=scratched).transpose(1, 0, 2)


@pytest.mark.slow
def test_two_lines_on_one_machine(plates, tmp_path):
    """Each is told of its own frames only, by its own goldens, at its camera's rate."""
    import cv2

    workspace = plates.copy(tmp_path / "home")
    enrol(workspace, OTHER, [draw_bar(0), draw_bar(1)], Recipe(image_size=128, registration=RegistrationMethod.NONE))
    calibrated(workspace, OTHER)
    sources = {PRODUCT: write_frames(tmp_path / "plates", 40), OTHER: tmp_path / "bars"}
    sources[OTHER].mkdir()
    for number in range(40):
        picture = draw_bar(2000 + number, scratched=number % 10 == 0)[..., ::-1]
        cv2.imwrite(str(sources[OTHER] / f"bar{number:04}.png"), picture)
    lines = {product: start(workspace.home, product, sources[product], tmp_path) for product in sources}
    for process in lines.values():
        assert process.wait(120) == 0, (tmp_path / "lines.log").read_text(encoding="utf-8")
    signals = {product: told(tmp_path / f"{product}.jsonl") for product in sources}
    with VerdictRecords(workspace.records_url) as records:
        rows = {product: records.rows(product=product) for product in sources}
    for product in sources:
        assert {signal["product"] for signal in signals[product]} == {product}
        assert {signal["line"] for signal in signals[product]} == {f"line-{product}"}
        assert {row["station"] for row in rows[product]} == {f"line-{product}"}
        assert [signal["sequence"] for signal in signals[product]] == list(range(1, len(rows[product]) + 1))
        judged = [signal for signal in signals[product] if signal["similarity"] is not None]
        assert len(judged) > 0.5 * RATE * SECONDS
        flagged = [signal for signal in judged if signal["verdict"] == "FLAG"]
        assert 0 < len(flagged) < 0.25 * len(judged)
    shares = [sum(signal["similarity"] is not None for signal in signals[product]) for product in sources]
    assert min(shares) > 0.7 * max(shares)


def start(home, product, frames, folder):
    """A line of the product on a camera that waits for nobody."""
    command = [
        COMMAND,
        "stream",
        product,
        "--line",
        f"line-{product}",
        "--source",
        f"replay:{frames}?fps={RATE}&loop=1",
    ]
    command += ["--signal", f"file:{folder / product}.jsonl", "--seconds", str(SECONDS)]
    with (folder / "lines.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment(home), stdout=log, stderr=log)
    time.sleep(0.1)
    return process
