"""`goldentwin stream` as people type it: what it refuses at once, and what it says of a camera that is not there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from drawn_night import PRODUCT, write_frames

from flows.commands import run

SEEN = """
import sys
from flows.commands import run
code = run(sys.argv[1:])
sys.exit(code + 10 * ("torch" in sys.modules))
"""


@pytest.fixture
def workspace(plates, tmp_path):
    """A home with enrolled and calibrated plates, the test's own."""
    return plates.copy(tmp_path / "home")


def streamed(workspace, *arguments):
    """The exit code of the command on plates."""
    return run(["stream", PRODUCT, "--home", str(workspace.home), *map(str, arguments)])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--source", "nope:1"], "is no camera; give"),
        (["--source", "sim:", "--signal", "smoke:"], "none that is known"),
    ],
)
def test_addresses_are_refused_before_anything_that_takes_long(wrong, said):
    """A typing error is told at once, not after torch."""
    done = subprocess.run(
        [sys.executable, "-c", SEEN, "stream", "plate", *wrong], capture_output=True, text=True, check=False
    )
    assert said in done.stderr
    assert done.returncode == 1


def test_a_camera_that_was_never_there_is_an_error(workspace, capsys):
    """Whoever lets a line run for some seconds hears that it saw nothing."""
    assert streamed(workspace, "--source", "usb:93", "--seconds", 2) == 1
    assert "error: no frame came: usb:93" in capsys.readouterr().err.replace("/dev/video93", "usb:93")


def test_what_to_mend_is_said_without_a_traceback(workspace, tmp_path, capsys):
    """A setting that can't be is one line."""
    assert streamed(workspace, "--source", f"genicam:{tmp_path / 'none.cti'}") == 1
    said = capsys.readouterr().err
    assert "error: " in said
    assert "Traceback" not in said


def test_json_tells_what_was_left(workspace, tmp_path, capsys):
    """Signals line by line, then what it came to; signals say whether the threshold is provisional."""
    assert streamed(workspace, "--source", write_frames(tmp_path / "frames", 4), "--frames", 4, "--json") == 0
    *signals, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert [one["sequence"] for one in signals] == [1, 2, 3, 4]
    assert {one["provisional"] for one in signals} == {summary["provisional"]}
    assert (summary["untold"], summary["unrecorded"], summary["complete"]) == (0, 0, True)
