"""A simulated line as files: goldens, labelled parts with masks, and a night of frames with its truth."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.errors import GoldentwinError
from pipeline.simulator.camera import JPEG_QUALITY
from pipeline.simulator.defects import DefectKind
from pipeline.simulator.line import LineSimulator

DRAWING = 1  # raised when the same seed gives other pictures
GOLDEN_FRAMES, GOOD_FRAMES, DEFECT_FRAMES, NIGHT_FRAMES = 0, 100_000, 200_000, 1_000_000
MOST_FRAMES, MOST_PER_KIND = 100_000, 10_000
THREADS = 4


@dataclass(frozen=True, kw_only=True)
class LineFiles:
    """Where a written line lies.

    `goldens`, `labelled`, `ground_truth` and `night` are folders, `night_truth` a CSV file with the columns frame and
    defect (empty on a good board); `drawn` counts the pictures that were not there before, `kept` those that were.
    """

    folder: Path
    goldens: Path
    labelled: Path
    ground_truth: Path
    night: Path
    night_truth: Path
    drawn: int
    kept: int


@dataclass(frozen=True, kw_only=True)
class _Shot:
    number: int
    defect: DefectKind | None
    picture: Path
    truth: Path | None = None

    @property
    def complete(self) -> bool:
        return self.picture.exists()  # written last, by a rename


def write_line(  # noqa: PLR0913 - the four counts and the rate are what a line is
    folder: Path,
    *,
    simulator: LineSimulator,
    goldens: int,
    calibration_good: int,
    calibration_defects_per_kind: int,
    night_frames: int,
    night_defect_rate: float,
) -> LineFiles:
    """Write a line's pictures (JPEG, quality 92) and masks (PNG, 255 on the defect); what is complete is kept.

    No frame number is used twice among goldens, labelled parts and night. A folder may grow with a later call, but only
    for the same simulator and rate.

    Args:
        folder: where to; made if need be.
        simulator: the line.
        goldens: number of good boards in `goldens/`.
        calibration_good: number of good boards in `labelled/good/`.
        calibration_defects_per_kind: number of boards in each `labelled/<kind>/`, masks in `ground_truth/<kind>/`.
        night_frames: number of frames in `night/`.
        night_defect_rate: share of them that has a defect, 0 to 1; the kinds take turns.

    Raises:
        GoldentwinError: the folder holds something else, a count is out of range, or a picture can't be encoded.
    """
    _check(max(goldens, calibration_good, night_frames), calibration_defects_per_kind, night_defect_rate)
    _claim(folder, simulator, night_defect_rate)
    fates = list(_fates(simulator.seed, night_frames, night_defect_rate))
    shots = [
        *_good(folder / "goldens", "golden", GOLDEN_FRAMES, goldens),
        *_good(folder / "labelled" / "good", "good", GOOD_FRAMES, calibration_good),
        *_defective(folder, calibration_defects_per_kind),
        *(
            _Shot(number=NIGHT_FRAMES + i, defect=fate, picture=folder / "night" / f"frame_{i + 1:04}.jpg")
            for i, fate in enumerate(fates)
        ),
    ]
    wanted = [shot for shot in shots if not shot.complete]
    with ThreadPoolExecutor(max_workers=min(THREADS, os.cpu_count() or 1)) as pool:
        for _ in pool.map(lambda shot: _draw(simulator, shot), wanted):
            pass
    truth = folder / "night_truth.csv"
    _write(truth, _table(fates).encode())
    return LineFiles(
        folder=folder,
        goldens=folder / "goldens",
        labelled=folder / "labelled",
        ground_truth=folder / "ground_truth",
        night=folder / "night",
        night_truth=truth,
        drawn=len(wanted),
        kept=len(shots) - len(wanted),
    )


def _check(most: int, per_kind: int, rate: float) -> None:
    if most > MOST_FRAMES or per_kind > MOST_PER_KIND or not 0 <= rate <= 1:
        message = (
            f"a line has at most {MOST_FRAMES} goldens, good parts and night frames, {MOST_PER_KIND} defects a kind, "
            f"and a defect rate from 0 to 1; asked for were {most}, {per_kind} and {rate}: ask for less"
        )
        raise GoldentwinError(message)


def _claim(folder: Path, simulator: LineSimulator, rate: float) -> None:
    """Note in the folder whose line it is; refuse one that holds another."""
    note = folder / "line.json"
    line = {
        "drawing": DRAWING,
        "seed": simulator.seed,
        "size": simulator.size,
        "light": simulator.light,
        "camera_shift": list(simulator.camera_shift),
        "night_defect_rate": rate,
    }
    text = json.dumps(line, indent=2) + "\n"
    if note.exists():
        found = note.read_text(encoding="utf-8")
        if found != text:
            message = f"{folder} holds another simulated line ({note.name} differs); take another folder or delete it"
            raise GoldentwinError(message)
        return
    if folder.exists() and any(folder.iterdir()):
        message = f"{folder} is not empty and holds no simulated line; take another folder"
        raise GoldentwinError(message)
    _write(note, text.encode())


def _fates(seed: int, count: int, rate: float) -> Iterator[DefectKind | None]:
    """What becomes of each frame of the night; a longer night begins like a shorter one."""
    lots = np.random.default_rng([seed, NIGHT_FRAMES]).random(count)
    order = np.random.default_rng([seed, NIGHT_FRAMES, 1])
    kinds: list[DefectKind] = []
    for lot in lots:
        if lot >= rate:
            yield None
            continue
        if not kinds:
            kinds = [list(DefectKind)[i] for i in order.permutation(len(DefectKind))]
        yield kinds.pop()


def _good(folder: Path, name: str, first: int, count: int) -> list[_Shot]:
    return [_Shot(number=first + i, defect=None, picture=folder / f"{name}_{i + 1:04}.jpg") for i in range(count)]


def _defective(folder: Path, per_kind: int) -> list[_Shot]:
    return [
        _Shot(
            number=DEFECT_FRAMES + order * MOST_PER_KIND + i,
            defect=kind,
            picture=folder / "labelled" / kind / f"{kind}_{i + 1:04}.jpg",
            truth=folder / "ground_truth" / kind / f"{kind}_{i + 1:04}_mask.png",
        )
        for order, kind in enumerate(DefectKind)
        for i in range(per_kind)
    ]


def _draw(simulator: LineSimulator, shot: _Shot) -> None:
    frame = simulator.frame(shot.number, shot.defect)
    if shot.truth is not None:
        _write(shot.truth, _encoded(".png", frame.mask.astype(np.uint8) * np.uint8(255)))
    _write(shot.picture, _encoded(".jpg", np.ascontiguousarray(frame.image[..., ::-1])))


def _encoded(suffix: str, picture: NDArray[np.uint8]) -> bytes:
    options = (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY) if suffix == ".jpg" else ()
    done, data = cv2.imencode(suffix, picture, options)
    if not done:
        message = f"OpenCV could not encode a {suffix} picture of shape {picture.shape}; check the installation"
        raise GoldentwinError(message)
    return bytes(data.tobytes())


def _write(path: Path, data: bytes) -> None:
    """Write a file so that it is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    unfinished.write_bytes(data)
    unfinished.replace(path)


def _table(fates: list[DefectKind | None]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("frame", "defect"))
    rows.writerows((f"frame_{i + 1:04}.jpg", fate or "") for i, fate in enumerate(fates))
    return text.getvalue()
