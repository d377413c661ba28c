"""Parts on the board: how each good board differs a little from the next, and how sprites are put on the scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.simulator.board import BoardDesign
from pipeline.simulator.layout import HOLES, RING_RADIUS
from pipeline.simulator.parts import Part, Placement, draw_lands, draw_part, draw_tombstone
from pipeline.simulator.relief import Floats, Sprite, floats

PLACING_ERROR = 0.035  # millimetres, standard deviation of a good placement
TURNING_ERROR = 0.5  # degrees
LARGEST_ERROR = 2.5  # standard deviations; what lies beyond would be a defect


@dataclass(frozen=True, kw_only=True)
class Mounted:
    """One component as it was mounted on one board: `dx`, `dy` millimetres and `angle` degrees off its place.

    `marking` and `roundness` (0 to 1) are the strength of its print and the shape of its joints, `brightness` a factor
    near 1. `faulty` ones are drawn into the mask; `absent` and `standing` ones are not there or stand on one end.
    """

    placement: Placement
    part: Part
    dx: float
    dy: float
    angle: float
    marking: float
    roundness: float
    brightness: float
    turn: int
    faulty: bool = False
    absent: bool = False
    standing: bool = False


class Scene:
    """One board in the making: `picture` (N, N, 3) float32 RGB, 0 to 255, and `mask` (N, N) float32, 0 to 1."""

    def __init__(self, design: BoardDesign, random: np.random.Generator) -> None:
        self.design = design
        strength, batch = random.uniform(0.84, 1.0), float(random.choice((-1.0, -0.3, 0.4, 1.0)))
        printed = cv2.addWeighted(design.base, 1.0, design.print_change, strength, 0.0)
        self.picture: Floats = floats(cv2.addWeighted(printed, 1.0, design.batch_change, batch, 0.0))
        self.mask: Floats = np.zeros(self.picture.shape[:2], np.float32)

    def put(  # noqa: PLR0913 - a sprite has a place, a turn, a look
        self,
        sprite: Sprite,
        x: float,
        y: float,
        *,
        angle: float = 0.0,
        variation: float = 0.0,
        brightness: float = 1.0,
        only: Floats | None = None,
        faulty: bool = False,
    ) -> None:
        """Put a sprite on the board, its centre at (x, y) millimetres, turned by `angle` degrees.

        Args:
            sprite: what to put.
            x: millimetres right of the board's centre.
            y: millimetres below the board's centre.
            angle: degrees, counter-clockwise.
            variation: weight of the sprite's variation, 0 to 1.
            brightness: factor on its paint.
            only: (N, N), 0 to 1: where on the scene it may show; all of it when None.
            faulty: whether its cover belongs into the mask.
        """
        layers = floats(cv2.addWeighted(sprite.layers, 1.0, sprite.variation, variation, 0.0))
        layers[..., :3] *= np.float32(brightness)
        rows, columns = sprite.cover.shape
        left = x * self.design.scale + self.design.middle - columns / 2
        top = y * self.design.scale + self.design.middle - rows / 2
        x0, y0 = int(np.floor(left)), int(np.floor(top))
        move = _moved(columns, rows, left - x0, top - y0, angle)
        shape = (columns + 1, rows + 1)
        layers = floats(cv2.warpAffine(layers, move, shape, borderValue=(0, 0, 0, 1)))
        scene, part = self._overlap(x0, y0, rows + 1, columns + 1)
        paint, through = layers[part][..., :3], layers[part][..., 3:]
        if only is not None:
            shown = only[scene][..., None]
            paint, through = paint * shown, 1 - (1 - through) * shown
        self.picture[scene] = self.picture[scene] * through + paint
        if faulty:
            cover = floats(cv2.warpAffine(sprite.cover, move, shape))[part]
            self.mask[scene] = np.maximum(self.mask[scene], cover if only is None else cover * only[scene])

    def mount(self, mounted: Mounted) -> None:
        """Solder a component on its place."""
        place, scale = mounted.placement, self.design.scale
        lands = draw_lands(place.part, place.turn, scale)
        self.put(lands, place.x, place.y, variation=mounted.roundness, brightness=mounted.brightness)
        sprite = draw_part(mounted.part, mounted.turn, scale)
        if mounted.standing:
            sprite = draw_tombstone(mounted.part, mounted.turn, scale)
        if mounted.faulty:
            nominal = draw_part(place.part, place.turn, scale).cover
            self.put(_invisible(nominal), place.x, place.y, faulty=True)
        if not mounted.absent:
            self.put(
                sprite,
                place.x + mounted.dx,
                place.y + mounted.dy,
                angle=mounted.angle,
                variation=mounted.marking,
                brightness=mounted.brightness,
                faulty=mounted.faulty,
            )

    def _overlap(self, x: int, y: int, rows: int, columns: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Rows and columns of the scene that a sprite at (x, y) covers, and those of the sprite that lie inside."""
        side = self.picture.shape[0]
        low_x, low_y = max(x, 0), max(y, 0)
        high_x, high_y = max(min(x + columns, side), low_x), max(min(y + rows, side), low_y)
        scene = (slice(low_y, high_y), slice(low_x, high_x))
        return scene, (slice(low_y - y, high_y - y), slice(low_x - x, high_x - x))


def good_mounting(placements: Sequence[Placement], random: np.random.Generator) -> list[Mounted]:
    """Mount every component as a good line does, with its small errors."""
    errors = random.standard_normal((len(placements), 3)).clip(-LARGEST_ERROR, LARGEST_ERROR)
    looks = random.uniform((0.80, 0.0, 0.96), (1.0, 1.0, 1.04), (len(placements), 3))
    return [
        Mounted(
            placement=placement,
            part=placement.part,
            dx=float(error[0]) * PLACING_ERROR,
            dy=float(error[1]) * PLACING_ERROR,
            angle=float(error[2]) * TURNING_ERROR,
            marking=float(look[0]),
            roundness=float(look[1]),
            brightness=float(look[2]),
            turn=placement.turn,
        )
        for placement, error, look in zip(placements, errors, looks, strict=True)
    ]


def occupied(design: BoardDesign) -> Floats:
    """Cover (N, N), 0 to 1, of all components and mounting rings: where no bare board is seen."""
    scene = Scene(design, np.random.default_rng(0))
    for place in design.layout.placements:
        for sprite in (
            draw_lands(place.part, place.turn, design.scale),
            draw_part(place.part, place.turn, design.scale),
        ):
            scene.put(_invisible(sprite.cover), place.x, place.y, faulty=True)
    for x, y in HOLES:
        centre = (round(x * design.scale + design.middle), round(y * design.scale + design.middle))
        cv2.circle(scene.mask, centre, round(RING_RADIUS * design.scale), 1.0, -1)
    return scene.mask


def _invisible(cover: Floats) -> Sprite:
    layers = np.zeros((*cover.shape, 4), np.float32)
    layers[..., 3] = 1
    return Sprite(layers=layers, variation=np.zeros_like(layers), cover=cover)


def _moved(columns: int, rows: int, dx: float, dy: float, angle: float) -> Floats:
    """Turn about the sprite's centre, then shift by a fraction of a pixel: (2, 3), source to target."""
    move = floats(cv2.getRotationMatrix2D((columns / 2 - 0.5, rows / 2 - 0.5), angle, 1.0))
    move[:, 2] += np.array((dx, dy), np.float32)
    return move
