"""The bare board: laminate, copper under green mask, silk screen, holes, and the fixture it lies on; drawn once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.simulator.layout import (
    BOARD_HEIGHT,
    BOARD_WIDTH,
    FIDUCIALS,
    HOLE_RADIUS,
    HOLES,
    RING_RADIUS,
    TEST_POINTS,
    Layout,
    lay_out,
)
from pipeline.simulator.parts import PartKind, Placement
from pipeline.simulator.relief import Colour, Floats, Relief, averaged, cast, floats, lit

FIELD = 48.0  # millimetres that the camera sees
SCENE = 54.0  # millimetres that are drawn, so that a moved camera sees no border
FINE = 2
LAMINATE_UNDER_MASK: Colour = (14, 66, 40)
COPPER_UNDER_MASK: Colour = (34, 106, 62)
FIXTURE: Colour = (62, 66, 72)
GOLD: Colour = (214, 180, 104)
INK: Colour = (232, 235, 228)
CLEARANCE = 0.26
TITLE = "GOLDEN TWIN"


@dataclass(frozen=True, kw_only=True)
class BoardDesign:
    """A bare board at `scale` pixels a millimetre; pictures are (N, N, 3) float32 RGB, 0 to 255, the scene's size.

    `base` is the board without print; `print_change` is added to it with the strength of the silk screen (0 to 1) and
    `batch_change` with the weight (-1 to 1) of the colour batch. `board` (N, N) bool is where the board lies.
    """

    scale: float
    layout: Layout
    base: Floats
    print_change: Floats
    batch_change: Floats
    board: NDArray[np.bool_]

    @property
    def middle(self) -> float:
        """Scene pixels from the scene's edge to the board's centre."""
        return float(self.base.shape[0]) / 2


def draw_board(seed: int, size: int) -> BoardDesign:
    """Draw the static layers of the board of this seed for frames of `size` pixels."""
    scale = size / FIELD
    layout = lay_out(seed)
    sheet = Relief(SCENE, SCENE, scale=scale, seed=seed + 11, fine=FINE)
    _fixture(sheet)
    board = sheet.box(0, 0, BOARD_WIDTH, BOARD_HEIGHT, 1.0)
    _laminate(sheet, board, _copper(sheet, layout))
    _vias(sheet, layout)
    _bare_metal(sheet)
    colour = lit(sheet.colour, sheet.level, sheet.metal, sheet.shine, density=sheet.density)
    _drill(sheet, colour)
    _drop_shadow(sheet, colour, board)
    base = averaged(colour, FINE)
    ink = averaged(_silk(sheet, layout), FINE)[..., None]
    inside = averaged(sheet.inside(board), FINE)
    tint = base * np.array((-0.02, 0.05, 0.09), np.float32) * inside[..., None]
    return BoardDesign(
        scale=scale,
        layout=layout,
        base=base,
        print_change=ink * (np.asarray(INK, np.float32) - base) * np.float32(0.94),
        batch_change=tint,
        board=inside > 0.5,  # noqa: PLR2004 - half covered
    )


def _fixture(sheet: Relief) -> None:
    """A dark plate, brushed, with a milled pocket for the board."""
    sheet.lay(sheet.box(0, 0, 2 * SCENE, 2 * SCENE), FIXTURE, top=1.0, metal=0.25, grain=3.0)
    brushed = sheet.random.standard_normal(sheet.level.shape, dtype=np.float32)
    brushed = floats(cv2.GaussianBlur(brushed, (0, 0), sigmaX=0.9 * sheet.density, sigmaY=0.35 * FINE))
    sheet.colour += (brushed * np.float32(2.6 / max(float(brushed.std()), 1e-6)))[..., None]
    pocket = sheet.box(0, 0, BOARD_WIDTH + 1.0, BOARD_HEIGHT + 1.0, 1.4)
    sheet.lay(pocket, (38, 40, 44), top=0.2, bevel=0.15, metal=0.2, grain=2.0)


def _copper(sheet: Relief, layout: Layout) -> Floats:
    """Cover (h, w) of copper, 0 to 1: poured ground with clearances, tracks, lands."""
    copper = (sheet.inside(sheet.box(0, 0, BOARD_WIDTH - 1.1, BOARD_HEIGHT - 1.1, 0.8)) * 255).astype(np.uint8)
    for spread, value in ((2 * CLEARANCE, 0), (0.0, 255)):
        for trace in layout.traces:
            for start, end in pairwise(trace.points):
                _line(sheet, copper, start, end, trace.width + spread, value)
        for placement in layout.placements:
            for x, y, width, height in placement.lands():
                _rectangle(sheet, copper, (x, y, width + spread, height + spread), value)
        for x, y in layout.vias:
            _line(sheet, copper, (x, y), (x, y), 0.75 + spread, value)
    return floats(cv2.GaussianBlur(copper, (0, 0), 0.04 * sheet.density)) / np.float32(255)


def _laminate(sheet: Relief, board: Floats, copper: Floats) -> None:
    """The board's body, its cut edge, and the green mask that shows copper and glass weave from below."""
    sheet.lay(board, (150, 140, 92), top=1.6, bevel=0.1, grain=4, shine=0.1)
    mask = sheet.inside(board + 0.18)
    weave = np.sin(sheet.x * 2 * np.pi / 0.85) * np.sin(sheet.y * 2 * np.pi / 0.85)
    cloud = cv2.resize(
        sheet.random.standard_normal((9, 9), dtype=np.float32), sheet.level.shape[::-1], interpolation=cv2.INTER_CUBIC
    )
    texture = weave * (2.6 - 1.5 * copper) + cloud * 1.3 + sheet.speckle(1.4, sheet.level.shape)
    under, over = (np.asarray(colour, np.float32) for colour in (LAMINATE_UNDER_MASK, COPPER_UNDER_MASK))
    green = under + copper[..., None] * (over - under) + texture[..., None] * np.array((0.7, 1.2, 0.8), np.float32)
    sheet.colour += mask[..., None] * (green - sheet.colour)
    sheet.level += mask * cv2.GaussianBlur(copper, (0, 0), 0.07 * sheet.density) * np.float32(0.045)
    sheet.shine += mask * (np.float32(0.35) - sheet.shine)


def _vias(sheet: Relief, layout: Layout) -> None:
    for x, y in layout.vias:
        sheet.lay(sheet.disc(x, y, 0.3), (66, 132, 88), top=1.67, bevel=0.1, shine=0.4)
        sheet.lay(sheet.disc(x, y, 0.15), (10, 40, 26), top=1.55, bevel=0.1)


def _bare_metal(sheet: Relief) -> None:
    """Mounting rings, fiducials and test points, free of mask."""
    for x, y in HOLES:
        sheet.lay(sheet.disc(x, y, RING_RADIUS + 0.15), LAMINATE_UNDER_MASK, top=1.6, bevel=0.05)
        sheet.lay(sheet.disc(x, y, RING_RADIUS), (198, 196, 186), top=1.68, bevel=0.25, metal=0.7, grain=2)
    for x, y in FIDUCIALS:
        sheet.lay(sheet.disc(x, y, 1.0), (40, 74, 44), top=1.6, bevel=0.1, grain=2)
        sheet.lay(sheet.disc(x, y, 0.5), GOLD, top=1.66, bevel=0.1, metal=0.5)
    for x, y in TEST_POINTS:
        sheet.lay(sheet.disc(x, y, 0.62), GOLD, top=1.68, bevel=0.15, metal=0.6, grain=2)


def _drill(sheet: Relief, colour: Floats) -> None:
    for x, y in HOLES:
        hole = sheet.inside(sheet.disc(x, y, HOLE_RADIUS))[..., None]
        depth = np.clip(0.55 + 0.5 * ((sheet.x - x) + (sheet.y - y)) / HOLE_RADIUS / 2, 0.2, 1.0)[..., None]
        colour += hole * (np.array((44, 46, 50), np.float32) * depth - colour)


def _drop_shadow(sheet: Relief, colour: Floats, board: Floats) -> None:
    cover = sheet.inside(board)
    shadow = cast(cover, cover * np.float32(1.6), sheet.density)
    colour *= (1 - 0.55 * shadow * (1 - cover))[..., None]


def _silk(sheet: Relief, layout: Layout) -> Floats:
    """Cover (h, w) of the white print: outlines, designators, pin-1 marks and the board's name."""
    ink = np.zeros(sheet.level.shape, np.uint8)
    for placement in layout.placements:
        _outline(sheet, ink, placement)
    cover = ink.astype(np.float32) / 255
    for placement in layout.placements:
        x, y, turn = _label(placement)
        cover = np.maximum(cover, sheet.text(placement.name, x, y, 0.74, bold=0.17, turn=turn))
    cover = np.maximum(cover, sheet.text(TITLE, -11.2, 13.9, 0.95, bold=0.17))
    cover = np.maximum(cover, sheet.text("GT-204 REV C", -3.4, 15.4, 0.8, bold=0.16))
    return floats(cv2.GaussianBlur(cover, (0, 0), 0.03 * sheet.density))


def _label(placement: Placement) -> tuple[float, float, int]:  # noqa: PLR0911 - one case a kind of part
    """Place and turn of a part's designator."""
    width, height = placement.reach
    x, y, above = placement.x, placement.y, placement.y - height / 2 - 0.9
    match placement.part.kind:
        case PartKind.RESISTOR if placement.name in {"R1", "R2", "R3", "R4", "R5"}:
            return x + width / 2 + 0.95, y, 0
        case PartKind.CAPACITOR if placement.name == "C13":
            return x - width / 2 - 1.45, y, 0
        case PartKind.CAN | PartKind.INDUCTOR:
            return x, y + height / 2 + 0.85, 0
        case PartKind.CRYSTAL:
            return x - width / 2 + 0.7, above, 0
        case PartKind.QUAD:
            return x + width / 2 - 0.5, y + height / 2 - 0.5, 0
        case PartKind.DUAL_ROW:
            return x - width / 2 - 1.0, y, 1
        case PartKind.HEADER:
            return x + width / 2 + 1.15, y, 0
        case _:
            return x, above, 0


def _outline(sheet: Relief, ink: NDArray[np.uint8], placement: Placement) -> None:
    """The printed frame around a part, open or marked where a pin 1 matters."""
    width, height = placement.reach
    x, y, part = placement.x, placement.y, placement.part
    match part.kind:
        case PartKind.USB | PartKind.TRIMMER | PartKind.TRANSISTOR:
            return
        case PartKind.SOCKET:
            _frame(sheet, ink, (x, y, part.height + 0.42, part.width + 0.42))
        case PartKind.DUAL_ROW:
            for side in (-1, 1):
                left = (x + side * (part.width / 2 + 0.2), y - part.height / 2)
                _line(sheet, ink, left, (left[0], y + part.height / 2), 0.18, 255)
            _line(
                sheet,
                ink,
                (x - 1.0 - part.width / 2, y + height / 2),
                (x - 1.0 - part.width / 2, y + height / 2),
                0.5,
                255,
            )
        case PartKind.QUAD:
            _line(
                sheet,
                ink,
                (x - width / 2 + 0.4, y + height / 2 - 0.4),
                (x - width / 2 + 0.4, y + height / 2 - 0.4),
                0.6,
                255,
            )
        case _:
            _frame(sheet, ink, (x, y, width + 0.42, height + 0.42))


def _frame(sheet: Relief, ink: NDArray[np.uint8], box: tuple[float, float, float, float]) -> None:
    x, y, width, height = box
    corners = [(x + sx * width / 2, y + sy * height / 2) for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))]
    for start, end in pairwise(corners):
        _line(sheet, ink, start, end, 0.18, 255)


def _line(  # noqa: PLR0913, PLR0917 - a stroke on a sheet
    sheet: Relief,
    target: NDArray[np.uint8],
    start: tuple[float, float],
    end: tuple[float, float],
    width: float,
    value: int,
) -> None:
    """A stroke with round ends, in millimetres."""
    thick = max(1, round(width * sheet.density))
    cv2.line(target, _fixed(sheet, start), _fixed(sheet, end), value, thick, cv2.LINE_AA, 4)


def _rectangle(sheet: Relief, target: NDArray[np.uint8], box: tuple[float, float, float, float], value: int) -> None:
    x, y, width, height = box
    low, high = (x - width / 2, y - height / 2), (x + width / 2, y + height / 2)
    cv2.rectangle(target, _fixed(sheet, low), _fixed(sheet, high), value, -1, cv2.LINE_AA, 4)


def _fixed(sheet: Relief, point: tuple[float, float]) -> tuple[int, int]:
    """A point in millimetres as OpenCV's fixed-point pixels (4 fractional bits)."""
    rows, columns = sheet.level.shape
    x = point[0] * sheet.density + columns / 2 - 0.5
    y = point[1] * sheet.density + rows / 2 - 0.5
    return round(x * 16), round(y * 16)
