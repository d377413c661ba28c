"""Defects that lie on the finished board: solder bridges, scratches, dirt, cut tracks and broken edges."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np

from pipeline.simulator.assembly import Scene
from pipeline.simulator.defects import DefectKind
from pipeline.simulator.layout import BOARD_HEIGHT, BOARD_WIDTH
from pipeline.simulator.parts import SILVER, PartKind
from pipeline.simulator.relief import Colour, Floats, Relief, Sprite, floats
from pipeline.simulator.routing import Point

BRIDGED = frozenset({PartKind.DUAL_ROW, PartKind.QUAD})
WIDEST_PITCH = 1.3  # millimetres between legs that solder can bridge
TRIES = 60
DARK: Colour = (40, 42, 45)
GLASS_FIBRE: Colour = (186, 172, 120)


def spoil_surface(kind: DefectKind, scene: Scene, occupied: Floats, random: np.random.Generator) -> None:
    """Add a defect to a finished board; kinds of mounting change nothing here.

    Args:
        kind: what to add.
        scene: the board, changed in place (picture and mask).
        occupied: (N, N) float32, 0 to 1: where components hide the board.
        random: where it comes from.
    """
    match kind:
        case DefectKind.SOLDER_BRIDGE:
            _bridge(scene, random)
        case DefectKind.SCRATCH:
            _scratch(scene, occupied, random)
        case DefectKind.CONTAMINATION:
            _dirt(scene, occupied, random)
        case DefectKind.BROKEN_TRACE if random.random() < 0.35:  # noqa: PLR2004 - about one in three
            _broken_edge(scene, occupied, random)
        case DefectKind.BROKEN_TRACE:
            _cut_track(scene, occupied, random)
        case _:
            return


def _bridge(scene: Scene, random: np.random.Generator) -> None:
    """A bead of solder between two neighbouring legs."""
    parts = [p for p in scene.design.layout.placements if p.part.kind in BRIDGED]
    lands = parts[int(random.integers(len(parts)))].lands()
    pairs = [(a, b) for a, b in pairwise(lands) if a[2:] == b[2:] and np.hypot(a[0] - b[0], a[1] - b[1]) < WIDEST_PITCH]
    (ax, ay, width, height), (bx, by, _, _) = pairs[int(random.integers(len(pairs)))]
    upright = height > width
    slide = random.uniform(-0.2, 0.25) * max(width, height)
    x, y = (ax + bx) / 2 + (0 if upright else slide), (ay + by) / 2 + (slide if upright else 0)
    apart = abs(bx - ax) + abs(by - ay)
    thick = random.uniform(0.75, 1.0) * (1.0 if apart > 1 else 0.85)
    relief = _sheet(scene, 4.0, random)
    long = apart + random.uniform(0.15, 0.4)
    width, height = (long, thick * 0.8) if upright else (thick * 0.8, long)
    neck = relief.box(0, 0, width, height, radius=thick * 0.38)
    right, down = (apart / 2, 0.0) if upright else (0.0, apart / 2)
    ends = [relief.disc(side * right, side * down, thick * 0.5) for side in (-1, 1)]
    blob = _merged([neck, *ends]) + _wobble(relief, 0.05)
    relief.lay(blob, (204, 206, 208), top=0.62, bevel=thick * 0.42, metal=0.7, shine=0.7)
    scene.put(relief.sprite(shadow=0.4), x, y, faulty=True)


def _scratch(scene: Scene, occupied: Floats, random: np.random.Generator) -> None:
    """A tool's mark through the mask: bright copper or scraped white."""
    long, wide = random.uniform(5.0, 13.0), random.uniform(0.30, 0.48)
    relief = _sheet(scene, long + 2, random)
    line = _curve(random, long, bend=0.10)
    colour: Colour = ((222, 190, 150), (206, 214, 204))[int(random.integers(2))]
    taper = _along(relief, line)
    half = wide / 2 * (0.55 + 0.45 * np.sin(np.pi * taper.clip(0, 1)))
    stroke = floats(_stroke(relief, line) - half + _wobble(relief, 0.05))
    relief.lay(stroke - 0.10, (16, 58, 36), top=0.05, bevel=0.2)
    relief.lay(stroke, colour, top=-0.05, bevel=0.15, metal=0.2, shine=0.5, grain=9)
    sprite = relief.sprite(shadow=0.0)
    x, y = _bare_place(scene, occupied, sprite, random)
    scene.put(sprite, x, y, only=_board(scene) * (1 - occupied), faulty=True)


def _dirt(scene: Scene, occupied: Floats, random: np.random.Generator) -> None:
    """A fibre, a pool of flux, a white residue or solder balls, anywhere on the board."""
    sort = int(random.integers(4))
    if sort == 0:
        relief = _sheet(scene, 12.0, random)
        line = _curve(random, random.uniform(5.0, 9.0), bend=0.45)
        colour: Colour = ((236, 236, 232), (52, 66, 150), (150, 48, 44))[int(random.integers(3))]
        relief.lay(_stroke(relief, line) - random.uniform(0.12, 0.16), colour, top=0.5, bevel=0.12, shine=0.1, grain=4)
        sprite = relief.sprite(shadow=0.5)
    elif sort == 1:
        relief = _sheet(scene, 7.0, random)
        relief.lay(_puddle(relief, random, random.uniform(0.9, 1.7)), (176, 120, 40), top=0.35, bevel=0.6, shine=1.0)
        sprite = _thinned(relief.sprite(shadow=0.3), random.uniform(0.62, 0.8))
    elif sort == 2:  # noqa: PLR2004 - the third of four
        relief = _sheet(scene, 8.0, random)
        relief.lay(
            _puddle(relief, random, random.uniform(1.1, 2.0)), (226, 228, 220), top=0.05, bevel=0.8, grain=16, shine=0
        )
        sprite = _thinned(relief.sprite(shadow=0.0), random.uniform(0.5, 0.72))
    else:
        relief = _sheet(scene, 6.0, random)
        for _ in range(int(random.integers(3, 6))):
            radius = random.uniform(0.36, 0.55)
            x, y = random.uniform(-1.4, 1.4, 2)
            relief.lay(relief.disc(x, y, radius), SILVER, top=2 * radius, bevel=radius, metal=1, shine=0.8)
        sprite = relief.sprite(shadow=0.5)
    x, y = _bare_place(scene, occupied, sprite, random)
    scene.put(sprite, x, y, only=_board(scene), faulty=True)


def _cut_track(scene: Scene, occupied: Floats, random: np.random.Generator) -> None:
    """A track gouged through where no part hides it; the glass fibre shows."""
    spots = _track_spots(scene, occupied)
    (x, y), (across, along) = spots[int(random.integers(len(spots)))]
    gap, wide = random.uniform(0.9, 1.5), random.uniform(0.9, 1.4)
    relief = _sheet(scene, 5.0, random)
    heading = np.arctan2(along, across) + random.uniform(-0.3, 0.3)
    u = relief.x * np.cos(heading) + relief.y * np.sin(heading)
    v = relief.y * np.cos(heading) - relief.x * np.sin(heading)
    gouge = np.asarray(np.hypot(u / (gap / 2), v / (wide / 2)) - 1, np.float32) * np.float32(min(gap, wide) / 2)
    gouge = gouge + _wobble(relief, 0.09)
    relief.lay(gouge - 0.14, (206, 148, 104), top=0.06, bevel=0.12, metal=0.3, grain=6)
    relief.lay(gouge, (52, 46, 30), top=-0.2, bevel=0.3, grain=8, shine=0.0)
    relief.stain(relief.inside(gouge + 0.22) * np.float32(0.5), GLASS_FIBRE)
    scene.put(relief.sprite(shadow=0.0), x, y, only=_board(scene) * (1 - occupied), faulty=True)


def _broken_edge(scene: Scene, occupied: Floats, random: np.random.Generator) -> None:
    """A bite out of the board's edge, its rim of bare glass fibre, and a crack that runs inwards."""
    radius = random.uniform(1.2, 2.2)
    x, y, inwards = _edge_place(scene, occupied, radius, random)
    relief = _sheet(scene, 12.0, random)
    bite = _puddle(relief, random, radius)
    crack = _curve(random, radius + random.uniform(2.0, 4.0), bend=0.25, start=(0.0, 0.0), heading=inwards)
    relief.lay(_stroke(relief, crack) - 0.28 + _wobble(relief, 0.05), (176, 186, 150), top=0.05, bevel=0.2)
    relief.lay(_stroke(relief, crack) - 0.13, (26, 30, 24), top=-0.1, bevel=0.1)
    relief.lay(bite - 0.35, GLASS_FIBRE, top=0.02, bevel=0.3, grain=12, shine=0)
    relief.lay(bite, DARK, top=-0.3, bevel=0.3, grain=2, shine=0)
    scene.put(relief.sprite(shadow=0.0), x, y, only=_board(scene) * (1 - occupied), faulty=True)


def _sheet(scene: Scene, side: float, random: np.random.Generator) -> Relief:
    return Relief(side, side, scale=scene.design.scale, seed=int(random.integers(2**31)))


def _board(scene: Scene) -> Floats:
    return scene.design.board.astype(np.float32)


def _merged(shapes: list[Floats], melt: float = 0.12) -> Floats:
    """Union of shapes with the corners between them filled (polynomial smooth minimum, Quilez 2013)."""
    whole = shapes[0]
    for shape in shapes[1:]:
        mix = np.clip(0.5 + 0.5 * (shape - whole) / melt, 0, 1)
        whole = np.asarray(shape + (whole - shape) * mix - melt * mix * (1 - mix), np.float32)
    return whole


def _wobble(relief: Relief, strength: float) -> Floats:
    """Millimetres by which an outline is uneven."""
    rows, columns = relief.level.shape
    coarse = relief.random.standard_normal((max(rows // 14, 2), max(columns // 14, 2)), dtype=np.float32)
    return cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC) * np.float32(strength)


def _puddle(relief: Relief, random: np.random.Generator, radius: float) -> Floats:
    """A blob of about that radius with lobes."""
    angle = np.arctan2(relief.y, relief.x)
    lobes = sum(
        (random.uniform(0.05, 0.30 / order) * np.sin(order * angle + random.uniform(0, 6.3)) for order in (2, 3, 5)),
        start=np.zeros_like(relief.level),
    )
    return np.asarray(np.hypot(relief.x, relief.y) - radius * (1 + lobes), np.float32)


def _curve(
    random: np.random.Generator,
    long: float,
    *,
    bend: float,
    start: Point | None = None,
    heading: float | None = None,
) -> list[Point]:
    """A line of `long` millimetres that wanders; centred on (0, 0) unless it has a start."""
    course = random.uniform(0, 2 * np.pi) if heading is None else heading
    turn, points = 0.0, [(0.0, 0.0)]
    for _ in range(24):
        turn = 0.8 * turn + random.normal(0, bend / 3)
        course += turn
        x, y = points[-1]
        points.append((x + float(np.cos(course)) * long / 24, y + float(np.sin(course)) * long / 24))
    if start is None:
        middle = np.mean(points, axis=0)
        start = (-float(middle[0]), -float(middle[1]))
    return [(x + start[0], y + start[1]) for x, y in points]


def _stroke(relief: Relief, line: list[Point]) -> Floats:
    """Distance (h, w) in millimetres to a line."""
    rows, columns = relief.level.shape
    paper = np.full((rows, columns), 255, np.uint8)
    corners = np.array(line) * relief.density + (columns / 2, rows / 2)
    cv2.polylines(paper, [np.round(corners).astype(np.int32)], isClosed=False, color=0, thickness=1)
    return np.asarray(cv2.distanceTransform(paper, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) / relief.density, np.float32)


def _along(relief: Relief, line: list[Point]) -> Floats:
    """How far along a nearly straight line each place lies: 0 at its start, 1 at its end."""
    (ax, ay), (bx, by) = line[0], line[-1]
    square = (bx - ax) ** 2 + (by - ay) ** 2
    return np.asarray(((relief.x - ax) * (bx - ax) + (relief.y - ay) * (by - ay)) / square, np.float32)


def _thinned(sprite: Sprite, opacity: float) -> Sprite:
    layers = sprite.layers * np.float32(opacity)
    layers[..., 3] += np.float32(1 - opacity)
    return replace(sprite, layers=layers)


def _bare_place(scene: Scene, occupied: Floats, sprite: Sprite, random: np.random.Generator) -> Point:
    """Of some places on the board, the one where components hide or carry the least of the sprite."""
    half = sprite.cover.shape[0] // 2
    best, place = np.inf, (0.0, 0.0)
    hidden = np.maximum(occupied, 1 - _board(scene))
    for _ in range(TRIES):
        x, y = random.uniform(-BOARD_WIDTH / 2, BOARD_WIDTH / 2), random.uniform(-BOARD_HEIGHT / 2, BOARD_HEIGHT / 2)
        column, row = (
            round(x * scene.design.scale + scene.design.middle),
            round(y * scene.design.scale + scene.design.middle),
        )
        under = hidden[max(row - half, 0) : row + half, max(column - half, 0) : column + half]
        if under.shape != sprite.cover.shape:
            continue
        share = float((under * sprite.cover).sum() / sprite.cover.sum()) + random.uniform(0, 0.2)
        if share < best:
            best, place = share, (x, y)
    return place


def _track_spots(scene: Scene, occupied: Floats) -> list[tuple[Point, Point]]:
    """Places on tracks, with the track's direction, where a millimetre around is free of parts."""
    spots = []
    scale, middle = scene.design.scale, scene.design.middle
    around = max(round(0.55 * scale), 1)
    for trace in scene.design.layout.traces:
        for (ax, ay), (bx, by) in pairwise(trace.points):
            long = float(np.hypot(bx - ax, by - ay))
            for step in np.arange(0.6, long - 0.5, 0.4) / max(long, 1e-6):
                x, y = ax + (bx - ax) * float(step), ay + (by - ay) * float(step)
                row, column = round(y * scale + middle), round(x * scale + middle)
                if occupied[row - around : row + around, column - around : column + around].max() < 0.3:  # noqa: PLR2004 - free
                    spots.append(((x, y), ((bx - ax) / long, (by - ay) / long)))
    return spots


def _edge_place(
    scene: Scene, occupied: Floats, radius: float, random: np.random.Generator
) -> tuple[float, float, float]:
    """A place on the board's edge free of parts and of the corner rings, and the heading inwards in radians."""
    best, place = np.inf, (0.0, BOARD_HEIGHT / 2, -np.pi / 2)
    around = round((radius + 0.3) * scene.design.scale)
    across, down = BOARD_WIDTH / 2, BOARD_HEIGHT / 2
    for _ in range(TRIES):
        t = random.uniform(-13.5, 13.5)
        edges = ((across, t, np.pi), (-across, t, 0.0), (t, down, -np.pi / 2), (t, -down, np.pi / 2))
        x, y, inwards = edges[int(random.integers(4))]
        row, column = (round(v * scene.design.scale + scene.design.middle) for v in (y, x))
        taken = float(occupied[row - around : row + around, column - around : column + around].sum())
        if taken < best:
            best, place = taken, (x, y, inwards)
    return place
