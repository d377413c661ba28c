"""What tests of cameras share: drawn frames that can be told apart, and reading until something comes."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.cameras import Camera, Shot

PATIENCE = 20.0  # seconds; a busy machine may be slow, and a test that passes never waits so long


def numbered(number: int, side: int = 64) -> NDArray[np.uint8]:
    """A picture whose grey tells its number, 0 to 50, also after a lossy compression."""
    return np.full((side, side, 3), 20 + number * 4, np.uint8)


def number_of(shot: Shot) -> int:
    """The number that `numbered` put into the picture."""
    assert shot.image is not None, shot.problem
    return round((float(shot.image.mean()) - 20) / 4)


def encoded(number: int, suffix: str = ".png") -> bytes:
    """A numbered picture as the bytes of a file."""
    return encode(numbered(number), suffix)


def encode(image: NDArray[np.uint8], suffix: str) -> bytes:
    """An RGB picture as the bytes of a file."""
    done, data = cv2.imencode(suffix, np.ascontiguousarray(image[..., ::-1]))
    assert done
    return data.tobytes()


def put(path: Path, data: bytes) -> Path:
    """Write a file so that it is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    return part.replace(path)


def next_shot(camera: Camera, seconds: float = PATIENCE) -> Shot:
    """The next shot, which has to come."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if shot := camera.read(0.2):
            return shot
    message = f"{camera.name} gave nothing in {seconds} s"
    raise AssertionError(message)


def all_there(camera: Camera, seconds: float = 0.6) -> list[Shot]:
    """All shots until none comes for `seconds`."""
    shots = []
    while shot := camera.read(seconds):
        shots.append(shot)
    return shots


def read_on(camera: Camera, seconds: float = PATIENCE) -> None:
    """Read and pass over what comes, until the camera raises an error of its own, which has to happen."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        begin = time.monotonic()
        camera.read(0.3)
        assert time.monotonic() - begin < 2, "read took longer than it was given"
