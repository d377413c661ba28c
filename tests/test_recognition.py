"""Which product is this: recognised from one golden each, and CANNOT_INSPECT where it is none of them."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from drawn_night import draw_part
from PIL import Image

from flows.commands import run
from inspection.engine import OnnxEngine
from inspection.recipe import EncoderChoice
from inspection.recognition import LEAST_LIKENESS, Recogniser
from pipeline.simulator import LineSimulator


def knot(seed):
    """A wooden disc with rings and a knot, nothing like a plate or a board."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:256, 0:256] - 128.0
    rings = 40 * np.sin(np.hypot(x, 1.2 * y) / 4 + rng.uniform(0, 1))
    image = np.stack([150 + rings, 100 + rings, 60 + rings], axis=2) + rng.normal(0, 6, (256, 256, 3))
    image[np.hypot(x, y) > 115] = 20
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def boards():
    """Drawn circuit boards."""
    simulator = LineSimulator(seed=3)
    return [simulator.frame(number).image for number in range(3)]


@pytest.fixture(scope="module")
def recogniser(boards, tmp_path_factory):
    """Knows a board and a plate, one golden each."""
    engine = OnnxEngine(EncoderChoice(), cache=tmp_path_factory.mktemp("cache"))
    return Recogniser({"board/default": [boards[0]], "plate/default": [draw_part(1)]}, engine)


def test_other_pictures_of_the_same_product_are_recognised(recogniser, boards):
    """Also scratched, darker and turned ones."""
    assert [recogniser.recognise(board).name for board in boards[1:]] == ["board/default"] * 2
    assert recogniser.recognise(draw_part(5, scratched=True)).name == "plate/default"
    assert recogniser.recognise((boards[1] * 0.8).astype(np.uint8)).name == "board/default"
    assert recogniser.recognise(cv2.rotate(boards[2], cv2.ROTATE_90_CLOCKWISE)).name == "board/default"


def test_what_is_none_of_them_is_not_recognised(recogniser):
    """The nearest is named all the same, with how like it is."""
    found = recogniser.recognise(knot(1))
    assert found.name is None
    assert found.nearest in {"board/default", "plate/default"}
    assert found.runner_up <= found.likeness < LEAST_LIKENESS


def test_goldens_unlike_each_other_ask_for_less(boards, tmp_path):
    """A product whose goldens differ accepts frames that a single golden would not."""
    engine = OnnxEngine(EncoderChoice(), cache=tmp_path)
    alone = Recogniser({"a": [boards[0]]}, engine)
    varied = Recogniser({"a": [boards[0], knot(1)]}, engine)
    assert varied._limits[0] < alone._limits[0] == LEAST_LIKENESS


def test_no_product(tmp_path):
    """Nothing to be recognised as is an error of the caller."""
    with pytest.raises(ValueError, match="nothing is enrolled"):
        Recogniser({}, OnnxEngine(EncoderChoice(), cache=tmp_path))


@pytest.mark.slow
def test_from_the_command_line(tmp_path, boards, capsys):
    """Each frame is judged by the product it shows; a strange one and a missing one are CANNOT_INSPECT."""
    for name, pictures in (("board", boards[:1]), ("plate", [draw_part(1)])):
        (tmp_path / name).mkdir()
        for number, picture in enumerate(pictures):
            Image.fromarray(picture).save(tmp_path / name / f"{number}.png")
        assert run(["--home", str(tmp_path / "home"), "enrol", name, "--from", str(tmp_path / name), "--json"]) == 0
    frames = tmp_path / "frames"
    frames.mkdir()
    for name, picture in (("a", boards[1]), ("b", draw_part(7)), ("c", knot(2))):
        Image.fromarray(picture).save(frames / f"{name}.png")
    for arguments in (["auto", str(frames)], ["--product", "auto", str(frames)]):
        capsys.readouterr()
        assert run(["--home", str(tmp_path / "home"), "inspect", *arguments, "--json"]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [row["product"] for row in rows] == ["board", "plate", "auto"]
        assert [row["verdict"] == "CANNOT_INSPECT" for row in rows] == [False, False, True]
        assert rows[2]["reason"].startswith("not recognised")
    assert run(["--home", str(tmp_path / "empty"), "inspect", "auto", str(frames)]) == 1
