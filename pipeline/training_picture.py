"""Pictures of a training: its curves, and what the network says of pairs it did not learn from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np
from matplotlib.figure import Figure

from inspection.learned.detection import find_defects
from inspection.learned.losses import UNKNOWN
from inspection.overlay import contact_sheet
from inspection.pair_comparison import PLACE
from inspection.pair_placing import moved_box
from inspection.prepared import scaling
from pipeline.calibration_picture import DEFECTIVE, GOOD, GREY, INK
from pipeline.pair_source import placed_boxes
from pipeline.pairs import Pair, read_pair

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from inspection.learned.design import TrainedTwin, TwinDesign
    from inspection.learned.fitting import Epoch
    from inspection.learned.pair_inspector import PairReading

_SHOWN: Final = 8
_SIDE: Final = 480
_GREEN, _RED = (0, 150, 60), (225, 60, 0)


def draw_training(path: Path, epochs: Sequence[Epoch], *, product: str, design: TwinDesign) -> None:
    """Draw losses and shares told right over the steps; PNG, 1440 x 600 pixels."""
    figure = Figure(figsize=(12.0, 5.0), dpi=120, facecolor="white")
    title = f"Training of {product}: {design.architecture}, {design.distance.replace('_', ' ')}, {design.loss}"
    figure.suptitle(title, x=0.06, y=0.96, ha="left", fontsize=15, fontweight="bold", color=INK)
    losses, shares = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.06, right=0.975, top=0.80, bottom=0.13, wspace=0.2)
    steps = [epoch.step for epoch in epochs]
    losses.plot(steps, [epoch.loss for epoch in epochs], color=GREY, label="training")
    losses.plot(steps, [epoch.validation_loss for epoch in epochs], color=INK, label="validation")
    losses.set_yscale("log")
    losses.set_title("loss", loc="left", fontsize=12)
    shares.plot(steps, [100 * epoch.same_right for epoch in epochs], color=GOOD, label="places without a defect")
    shares.plot(steps, [100 * epoch.defect_right for epoch in epochs], color=DEFECTIVE, label="places with a defect")
    shares.set_ylim(top=100.5)
    shares.set_title("told right on validation patches, %", loc="left", fontsize=12)
    for axes in (losses, shares):
        axes.set_xlabel("steps")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png")


class ReadPair(NamedTuple):
    """A pair and what a network says of it."""

    pair: Pair
    reading: PairReading

    def supported(self, support: int) -> ReadPair:
        """The same, to be read with a support of so many places."""
        return self._replace(reading=self.reading._replace(found=replace(self.reading.found, support=support)))


def draw_validation(path: Path, read: Sequence[ReadPair], trained: TrainedTwin) -> None:
    """Draw held-out frames with their true boxes (green) and those found (red); PNG."""
    shown = read[:_SHOWN]
    pictures = [_marked(one, trained) for one in shown]
    names = [one.pair.frame.part_id for one in shown]
    title = "Pairs it did not learn from: true boxes green, found ones red"
    _save(path, contact_sheet(pictures, columns=4, cell_width=_SIDE, captions=names, title=title))


class Example(NamedTuple):
    """A frame of a product, (S, S, 3) uint8, its (S, S) uint8 target, and the (h, w) similarities found."""

    image: NDArray[np.uint8]
    target: NDArray[np.uint8]
    similarity: NDArray[np.float32]


def draw_examples(path: Path, examples: Sequence[Example], *, threshold: float) -> None:
    """Draw frames with the outlines of their defects (green) and of what lies below the threshold (red); PNG."""
    pictures = []
    for image, target, similarity in examples[:_SHOWN]:
        side = (_SIDE, _SIDE)
        picture = np.ascontiguousarray(cv2.resize(255 - (255 - image) // 2, side, interpolation=cv2.INTER_AREA))
        true = _defective(target)
        below = (cv2.resize(similarity, side, interpolation=cv2.INTER_LINEAR) < threshold).astype(np.uint8)
        for mask, colour, width in ((cv2.resize(true, side), _GREEN, 2), (below, _RED, 1)):
            contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            cv2.drawContours(picture, contours, -1, colour, width, cv2.LINE_AA)
        pictures.append(np.asarray(picture, np.uint8))
    names = ["defect" if _defective(one.target).any() else "good" for one in examples[:_SHOWN]]
    title = "Parts it did not learn from: defects green, what it finds red"
    _save(path, contact_sheet(pictures, columns=4, cell_width=_SIDE, captions=names, title=title))


def _defective(target: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray((target > 0) & (target != UNKNOWN), np.uint8)


def _save(path: Path, sheet: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    path.write_bytes(data.tobytes())


def _marked(read: ReadPair, trained: TrainedTwin) -> NDArray[np.uint8]:
    pair, (found, matrix) = read
    frame, _ = read_pair(pair)
    if frame.image is None:
        return np.zeros((_SIDE, _SIDE, 3), np.uint8)
    height, width = frame.image.shape[:2]
    scale = _SIDE / max(height, width)
    size = (round(height * scale), round(width * scale))
    picture = cv2.resize(frame.image, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    picture = np.ascontiguousarray(255 - (255 - picture) // 2)  # pale, so that the boxes stand out
    grid = found.similarity.shape
    for box in placed_boxes(pair.boxes or (), frame.image.shape, size, np.eye(3)):
        cv2.rectangle(picture, (round(box.left), round(box.top)), (round(box.right), round(box.bottom)), _GREEN, 2)
    worked = (PLACE * grid[1], PLACE * grid[0])
    back = scaling(worked, (size[1], size[0])) @ np.linalg.inv(matrix)
    types = trained.twin.design.types
    for defect in find_defects(found, trained.threshold):
        left, top, right, bottom = (round(edge) for edge in moved_box(defect.box, back))
        corners = (left, top), (right, bottom)
        cv2.rectangle(picture, *corners, _RED, 1)
        if defect.shares:
            name = types[int(np.argmax(defect.shares))]
            cv2.putText(picture, name, corners[0], cv2.FONT_HERSHEY_SIMPLEX, 0.5, _RED, 1, cv2.LINE_AA)
    return np.asarray(picture, np.uint8)
