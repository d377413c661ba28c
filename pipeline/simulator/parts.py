"""The components: their sizes, their solder lands, and how each looks from above."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

import numpy as np

from pipeline.simulator.relief import Colour, Floats, Relief, Sprite

SILVER: Colour = (196, 198, 200)
BLACK_EPOXY: Colour = (44, 44, 47)
PRINT: Colour = (206, 206, 200)
MARGIN = 2.6  # millimetres around a part that its shadow may reach


class PartKind(StrEnum):
    """What a component is."""

    RESISTOR = "resistor"
    CAPACITOR = "capacitor"
    LED = "led"
    TANTALUM = "tantalum"
    INDUCTOR = "inductor"
    TRANSISTOR = "transistor"
    DUAL_ROW = "dual_row"
    QUAD = "quad"
    CAN = "can"
    CRYSTAL = "crystal"
    HEADER = "header"
    SOCKET = "socket"
    USB = "usb"
    TRIMMER = "trimmer"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A component as bought: body `width` x `height` in millimetres at turn 0, lines of marking, body colour (RGB).

    `pins` counts the legs of one row (dual row, quad, header, socket).
    """

    kind: PartKind
    width: float
    height: float
    colour: Colour = BLACK_EPOXY
    marking: tuple[str, ...] = ()
    pins: int = 0


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A component's place on the board: centre in millimetres from the board's centre (y down), quarter turns."""

    name: str
    part: Part
    x: float
    y: float
    turn: int = 0

    @property
    def reach(self) -> tuple[float, float]:
        """Width and height in millimetres that part and legs take on the board."""
        width, height = extent(self.part)
        return (height, width) if self.turn % 2 else (width, height)

    def on_board(self, x: float, y: float) -> tuple[float, float]:
        """A point of the part (millimetres from its centre) on the board."""
        for _ in range(self.turn % 4):
            x, y = y, -x
        return self.x + x, self.y + y

    def lands(self) -> list[tuple[float, float, float, float]]:
        """Solder lands on the board: x, y, width, height in millimetres."""
        swap = self.turn % 2 == 1
        return [(*self.on_board(x, y), *((h, w) if swap else (w, h))) for x, y, w, h in lands(self.part)]


def extent(part: Part) -> tuple[float, float]:
    """Width and height in millimetres of the part with its legs, at turn 0."""
    boxes = [*lands(part), (0.0, 0.0, part.width, part.height)]
    return max(2 * abs(x) + w for x, _, w, _ in boxes), max(2 * abs(y) + h for _, y, _, h in boxes)


def pitch(part: Part) -> float:
    """Millimetres from leg to leg."""
    return {PartKind.DUAL_ROW: 1.27, PartKind.QUAD: 0.8, PartKind.SOCKET: 2.0}.get(part.kind, 2.54)


def rows(part: Part) -> list[float]:
    """Places of one row's legs along the row, in millimetres from its middle."""
    return [(i - (part.pins - 1) / 2) * pitch(part) for i in range(part.pins)]


def lands(part: Part) -> list[tuple[float, float, float, float]]:  # noqa: PLR0911 - one case a kind of part
    """Solder lands of a part at turn 0: x, y, width, height in millimetres from its centre."""
    w, h = part.width, part.height
    match part.kind:
        case PartKind.DUAL_ROW:
            return [(x, side * (h / 2 + 0.75), 0.66, 1.5) for side in (1, -1) for x in rows(part)]
        case PartKind.QUAD:
            across = [(x, side * (h / 2 + 0.7), 0.44, 1.4) for side in (1, -1) for x in rows(part)]
            along = [(side * (w / 2 + 0.7), y, 1.4, 0.44) for side in (1, -1) for y in rows(part)]
            return across + along
        case PartKind.TRANSISTOR:
            return [(-0.95, h / 2 + 0.35, 0.8, 0.9), (0.95, h / 2 + 0.35, 0.8, 0.9), (0.0, -h / 2 - 0.35, 0.8, 0.9)]
        case PartKind.HEADER:
            return [(x, 0.0, 1.7, 1.7) for x in rows(part)]
        case PartKind.SOCKET:
            return [(x, -h / 2 - 0.3, 0.9, 1.5) for x in rows(part)]
        case PartKind.USB:
            return [(x, -h / 2 - 0.15, 0.4, 1.1) for x in (-1.3, -0.65, 0, 0.65, 1.3)]
        case PartKind.TRIMMER:
            return [(-w / 2 + 0.5, h / 2, 1.3, 1.3), (w / 2 - 0.5, h / 2, 1.3, 1.3), (0.0, -h / 2, 1.6, 1.3)]
        case PartKind.CAN | PartKind.INDUCTOR | PartKind.CRYSTAL | PartKind.TANTALUM:
            return [(side * (w / 2 - 0.2), 0.0, 1.7, min(h * 0.55, 2.2)) for side in (-1, 1)]
        case _:
            return [(side * (w / 2 + 0.05), 0.0, 1.0, h * 1.08) for side in (-1, 1)]


@lru_cache(maxsize=512)
def draw_part(part: Part, turn: int, scale: float) -> Sprite:
    """The component as it sits on the board, `scale` pixels a millimetre; its variation is its marking."""
    width, height = extent(part)
    relief = Relief(width + MARGIN, height + MARGIN, scale=scale, seed=zlib.crc32(repr(part).encode()))
    ink, colour = _draw(relief, part)
    return relief.sprite(turn=turn, marking=(ink, colour))


@lru_cache(maxsize=512)
def draw_lands(part: Part, turn: int, scale: float) -> Sprite:
    """The soldered lands alone, without the component; the variation makes the joints rounder."""
    width, height = extent(part)
    sprites = []
    for top in (0.10, 0.22):
        relief = Relief(width + MARGIN, height + MARGIN, scale=scale, seed=zlib.crc32(repr(part).encode()))
        for x, y, w, h in lands(part):
            relief.lay(relief.box(x, y, w, h, min(w, h) * 0.3), SILVER, top=top, bevel=min(w, h) * 0.5, metal=0.9)
        sprites.append(relief.sprite(turn=turn, shadow=0.25))
    return replace(sprites[0], variation=sprites[1].layers - sprites[0].layers)


@lru_cache(maxsize=64)
def draw_tombstone(part: Part, turn: int, scale: float) -> Sprite:
    """A two-ended chip that stands on its left end, leaning a little, seen from above with a long shadow."""
    relief = Relief(part.width * 2 + MARGIN, part.height + MARGIN + 1, scale=scale, seed=5)
    at, lean = -part.width / 2, part.width * 0.30
    relief.lay(relief.box(at, 0, 0.9, part.height * 1.15, 0.3), SILVER, top=0.35, bevel=0.4, metal=1)
    relief.lay(relief.box(at + lean / 2, 0, lean, part.height * 0.94), (226, 224, 216), top=part.width * 0.7, bevel=0.1)
    end = relief.box(at + lean, 0, 0.62, part.height, 0.1)
    relief.lay(end, SILVER, top=part.width, bevel=0.12, metal=0.8, shine=0.5)
    return relief.sprite(turn=turn, shadow=0.62)


def _draw(relief: Relief, part: Part) -> tuple[Floats, Colour]:
    """Draw the part; cover and colour of its marking."""
    match part.kind:
        case PartKind.RESISTOR | PartKind.CAPACITOR | PartKind.LED:
            return _chip(relief, part)
        case PartKind.DUAL_ROW | PartKind.QUAD | PartKind.TRANSISTOR:
            return _legged(relief, part)
        case PartKind.TANTALUM | PartKind.INDUCTOR:
            return _block(relief, part)
        case PartKind.CAN | PartKind.CRYSTAL | PartKind.TRIMMER:
            return _tall(relief, part)
        case _:
            return _connector(relief, part)


def _chip(r: Relief, part: Part) -> tuple[Floats, Colour]:
    w, h = part.width, part.height
    end = w * 0.21
    for side in (-1, 1):  # the fillets that climb the ends
        r.lay(r.box(side * (w / 2 + 0.12), 0, 0.62, h * 0.96, 0.25), SILVER, top=0.3, bevel=0.32, metal=1, shine=0.5)
    resistor = part.kind is PartKind.RESISTOR
    r.lay(r.box(0, 0, w, h, 0.06), (224, 222, 214) if resistor else part.colour, top=0.5, bevel=0.14, grain=3)
    if resistor:
        r.lay(r.box(0, 0, w - 2 * end, h * 0.95, 0.03), part.colour, top=0.53, bevel=0.05, shine=0.5, grain=2)
    for side in (-1, 1):
        r.lay(r.box(side * (w - end) / 2, 0, end, h * 1.02, 0.08), SILVER, top=0.56, bevel=0.1, metal=0.75, shine=0.5)
    if part.kind is PartKind.LED:
        r.lay(r.box(0, 0, w * 0.6, h, 0.05), (232, 232, 226), top=0.6, bevel=0.1)
        r.lay(r.disc(0, 0, h * 0.42), part.colour, top=0.95, bevel=h * 0.4, shine=1.0)
        r.lay(r.box(0.0, 0, h * 0.22, h * 0.22, 0.03), (240, 226, 150), top=0.95, bevel=0.05, shine=1.0)
    ink = r.text(part.marking[0], 0, 0, h * 0.46) if part.marking else np.zeros_like(r.level)
    return ink, (236, 236, 232)


def _legs(r: Relief, part: Part) -> None:
    for x, y, w, h in lands(part):
        upright = h >= w
        thin, long = (w * 0.68, h + 0.25) if upright else (w + 0.25, h * 0.68)
        inwards = 0.25
        cx, cy = (x, y - np.sign(y) * inwards) if upright else (x - np.sign(x) * inwards, y)
        away = np.abs(r.y) - part.height / 2 if upright else np.abs(r.x) - part.width / 2
        shape = r.box(cx, cy, thin, long, 0.05)
        knee = 0.12 + 0.75 / (1 + np.exp((away - 0.5) * 9))  # the gull wing comes down
        r.lay(shape, (208, 208, 206), top=np.broadcast_to(knee, shape.shape), bevel=0.1, metal=0.9)


def _legged(r: Relief, part: Part) -> tuple[Floats, Colour]:
    w, h = part.width, part.height
    _legs(r, part)
    big = part.kind is not PartKind.TRANSISTOR
    r.lay(r.box(0, 0, w, h, 0.08), part.colour, top=1.3 if big else 0.95, bevel=0.32 if big else 0.2, grain=3.2)
    ink = np.zeros_like(r.level)
    if part.kind is PartKind.QUAD:
        r.lay(r.disc(-w / 2 + 1.0, h / 2 - 1.0, 0.42), (38, 38, 41), top=1.18, bevel=0.1, shine=0.5)
    elif big:
        r.lay(r.disc(-w / 2 + 0.75, h / 2 - 0.85, 0.36), (38, 38, 41), top=1.18, bevel=0.1, shine=0.5)
    tall = 0.92 if part.kind is PartKind.QUAD else 0.84 if big else 0.62
    tall = min(tall, 0.92 * w / (0.88 * max(len(line) for line in part.marking)))
    for i, line in enumerate(part.marking):
        row = (i - (len(part.marking) - 1) / 2) * tall * 1.55 - (0.12 if big else 0)
        ink = np.maximum(ink, r.text(line, 0, row, tall, bold=0.15))
    return ink * np.float32(0.9), PRINT


def _block(r: Relief, part: Part) -> tuple[Floats, Colour]:
    w, h = part.width, part.height
    for side in (-1, 1):
        r.lay(r.box(side * (w / 2 + 0.1), 0, 0.9, min(h * 0.55, 2.2)), SILVER, top=0.35, bevel=0.3, metal=1, shine=0.5)
    ink = np.zeros_like(r.level)
    if part.kind is PartKind.TANTALUM:
        r.lay(r.box(0, 0, w, h, 0.12), part.colour, top=1.6, bevel=0.25, grain=3)
        ink = r.inside(r.box(-w * 0.38, 0, w * 0.13, h * 0.97))
        for i, line in enumerate(part.marking):
            ink = np.maximum(ink, r.text(line, w * 0.09, (i - (len(part.marking) - 1) / 2) * 1.25, 0.8, bold=0.17))
        return ink, (96, 52, 22) if sum(part.colour) > 300 else (230, 200, 120)  # noqa: PLR2004 - light or dark body
    r.lay(r.box(0, 0, w, h, 0.7), part.colour, top=1.8, bevel=0.3, grain=4)
    r.lay(r.disc(0, 0, min(w, h) * 0.45), (74, 73, 74), top=2.0, bevel=0.25, grain=4, shine=0.3)
    if part.marking:
        ink = r.text(part.marking[0], 0, 0, 1.25, bold=0.16)
    return ink, (226, 226, 222)


def _tall(r: Relief, part: Part) -> tuple[Floats, Colour]:
    w, h = part.width, part.height
    if part.kind is PartKind.CRYSTAL:
        r.lay(r.box(0, 0, w, h, h / 2), (172, 173, 174), top=0.6, bevel=0.2, metal=0.7, shine=0.4)
        r.lay(r.box(0, 0, w - 0.8, h - 0.8, h / 2 - 0.4), part.colour, top=2.6, bevel=0.5, metal=0.85, grain=2)
        return r.text(part.marking[0], 0, 0, 1.2, bold=0.12), (86, 88, 92)
    if part.kind is PartKind.TRIMMER:
        return _trimmer(r, part)
    corner = r.box(0, 0, w, h, 0.25)
    chamfered = np.maximum(corner, (np.abs(r.y) - r.x - w * 0.84).astype(np.float32) * np.float32(0.7))
    r.lay(chamfered, (38, 38, 40), top=0.7, bevel=0.2, grain=2)
    radius = min(w, h) * 0.475
    r.lay(r.disc(0, 0, radius), (188, 190, 193), top=3.2, bevel=0.55, metal=0.8, shine=0.5)
    r.lay(r.disc(0, 0, radius - 0.5), (198, 200, 203), top=3.35, bevel=0.12, metal=0.55, grain=1.5, shine=0.3)
    sector = r.inside(np.maximum(r.disc(0, 0, radius - 0.62), r.x + radius * 0.42))
    r.stain(sector, part.colour, metal=0.1)
    ink = np.zeros_like(r.level)
    for i, line in enumerate(part.marking):
        ink = np.maximum(ink, r.text(line, radius * 0.2, (i - (len(part.marking) - 1) / 2) * 1.35, 0.86, bold=0.15))
    return ink, (44, 46, 52)


def _trimmer(r: Relief, part: Part) -> tuple[Floats, Colour]:
    w, h = part.width, part.height
    r.lay(r.box(0, 0, w, h, 0.2), part.colour, top=2.2, bevel=0.25, grain=2, shine=0.4)
    r.lay(r.disc(0, 0, w * 0.34), (226, 224, 216), top=2.35, bevel=0.15, shine=0.3)
    r.lay(r.disc(0, 0, w * 0.28), (200, 170, 96), top=2.3, bevel=0.2, metal=0.8, shine=0.5)
    for wide, tall in ((w * 0.4, 0.5), (0.5, w * 0.4)):
        r.lay(r.box(0, 0, wide, tall), (92, 74, 38), top=1.8, bevel=0.15, metal=0.5)
    return r.text(part.marking[0], 0, h * 0.43, 0.55), (228, 232, 240)


def _connector(r: Relief, part: Part) -> tuple[Floats, Colour]:
    w, h = part.width, part.height
    nothing = np.zeros_like(r.level)
    if part.kind is PartKind.USB:
        for x, y, a, b in lands(part):
            r.lay(r.box(x, y + 0.1, a, b), SILVER, top=0.3, bevel=0.15, metal=1)
        r.lay(r.box(0, 0, w, h, 0.35), (186, 188, 190), top=2.4, bevel=0.35, metal=0.9, grain=2)
        for x in (-w * 0.24, w * 0.24):
            r.lay(r.box(x, -h * 0.05, 1.0, 1.9, 0.1), (52, 52, 54), top=1.7, bevel=0.12)
        r.lay(r.box(0, -h * 0.30, w * 0.8, 0.22), (120, 122, 124), top=2.25, bevel=0.08, metal=0.6)
        return nothing, PRINT
    if part.kind is PartKind.SOCKET:
        for x, y, a, b in lands(part):
            r.lay(r.box(x, y, a * 0.55, b), SILVER, top=0.3, bevel=0.2, metal=1)
        r.lay(r.box(0, 0, w, h, 0.2), part.colour, top=3.0, bevel=0.3, grain=2)
        r.lay(r.box(0, h * 0.1, w - 1.3, h * 0.52, 0.1), (150, 143, 124), top=1.2, bevel=0.25)
        for x in rows(part):
            r.lay(r.box(x, h * 0.1, 0.5, 0.9, 0.1), (206, 190, 142), top=2.2, bevel=0.15, metal=0.9)
        return nothing, PRINT
    for x in rows(part):
        r.lay(r.box(x, 0, 2.46, h, 0.5), part.colour, top=2.3, bevel=0.3, grain=2)
    for x in rows(part):
        r.lay(r.box(x, 0, 1.15, 1.15, 0.1), (24, 24, 26), top=2.0, bevel=0.2)
        r.lay(r.box(x, 0, 0.68, 0.68, 0.1), (216, 184, 112), top=3.4, bevel=0.2, metal=0.9, shine=0.6)
    return nothing, PRINT
