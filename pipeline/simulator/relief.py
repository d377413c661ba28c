"""Shapes with colour and height in millimetres, and the light that turns them into sprites.

Everything the simulator draws is laid down here as signed distances (millimetres, negative inside), lit from the upper
left by one lamp (Lambert and Blinn, "Models of light reflection", 1977, with a soft sky for metal), and averaged down
to the scene's pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Colour = tuple[int, int, int]

FINE = 4  # fine pixels per scene pixel while a part is drawn
LIGHT = np.array((-0.46, -0.52, 0.72), np.float32) / np.float32(1.0012)
HALFWAY = (LIGHT + np.array((0, 0, 1), np.float32)) / np.linalg.norm(LIGHT + np.array((0, 0, 1), np.float32))
FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_HEIGHT = 22.0  # pixels of a capital letter at font scale 1


@dataclass(frozen=True, kw_only=True)
class Sprite:
    """A lit thing to put on the scene.

    `layers` is (h, w, 4) float32: paint (RGB, 0 to 255, already multiplied by cover) and how much of what lies below
    stays visible (0 to 1: cover and shadow together). `variation` is added to it with a weight from 0 to 1 (print of a
    marking, roundness of a solder joint). `cover` is (h, w) float32, 0 to 1. All have the part's centre in the middle.
    """

    layers: Floats
    variation: Floats
    cover: Floats


def floats(picture: object) -> Floats:
    """What OpenCV or NumPy gave, as float32; not copied where it is that already."""
    return np.asarray(picture, np.float32)


class Relief:
    """A part being drawn on a sheet of `width` x `height` millimetres with `density` fine pixels a millimetre.

    `x` (1, w) and `y` (h, 1) float32 are millimetres from the centre, y downwards.
    """

    def __init__(self, width: float, height: float, *, scale: float, seed: int, fine: int = FINE) -> None:
        self.scale = scale
        self.fine = fine
        self.density = scale * fine
        columns, rows = (2 * int(np.ceil(side * scale / 2)) * fine for side in (width, height))
        self.x = (np.arange(columns, dtype=np.float32)[None, :] + 0.5 - columns / 2) / self.density
        self.y = (np.arange(rows, dtype=np.float32)[:, None] + 0.5 - rows / 2) / self.density
        self.colour = np.zeros((rows, columns, 3), np.float32)
        self.level = np.zeros((rows, columns), np.float32)
        self.metal = np.zeros((rows, columns), np.float32)
        self.shine = np.zeros((rows, columns), np.float32)
        self.cover = np.zeros((rows, columns), np.float32)
        self.random = np.random.default_rng(seed)

    def box(self, x: float, y: float, width: float, height: float, radius: float = 0.0) -> Floats:
        """Signed distance to a box around (x, y) with rounded corners."""
        across = np.abs(self.x - x) - (width / 2 - radius)
        along = np.abs(self.y - y) - (height / 2 - radius)
        outside = np.hypot(np.maximum(across, 0), np.maximum(along, 0))
        return floats(outside + np.minimum(np.maximum(across, along), 0) - radius)

    def disc(self, x: float, y: float, radius: float) -> Floats:
        """Signed distance to a disc around (x, y)."""
        return floats(np.hypot(self.x - x, self.y - y) - radius)

    def inside(self, distance: Floats) -> Floats:
        """Cover from 0 to 1 of a signed distance, with a soft edge one scene pixel wide at most."""
        return np.clip(0.5 - distance * self.density / 2, 0, 1)

    def lay(  # noqa: PLR0913 - one stroke has this many properties
        self,
        distance: Floats,
        colour: Colour,
        *,
        top: float | Floats = 0.0,
        bevel: float = 0.12,
        metal: float = 0.0,
        shine: float = 0.2,
        grain: float = 0.0,
    ) -> None:
        """Lay a body with rounded edges on the drawing.

        Args:
            distance: (h, w) signed distance in millimetres.
            colour: RGB, 0 to 255.
            top: height of its upper side in millimetres above the board.
            bevel: width in millimetres over which the edge is rounded.
            metal: 0 plastic to 1 bare metal.
            shine: 0 matt to 1 glossy.
            grain: standard deviation of the surface's speckle in grey values.
        """
        window = self.window(distance)
        if window is None:
            return
        near = distance[window]
        cover = self.inside(near)
        level, plateau = self.level[window], top[window] if isinstance(top, np.ndarray) else top
        rounded = np.sqrt(1 - (1 - np.clip(-near / bevel, 0, 1)) ** 2) * (plateau - level)
        level += cover * rounded
        self.metal[window] += cover * (metal - self.metal[window])
        self.shine[window] += cover * (shine - self.shine[window])
        paint = np.asarray(colour, np.float32)[None, None] + self.speckle(grain, cover.shape)[..., None]
        self.colour[window] += cover[..., None] * (paint - self.colour[window])
        self.cover[window] = np.maximum(self.cover[window], cover)

    def window(self, distance: Floats) -> tuple[slice, slice] | None:
        """The rows and columns that a shape touches, or None where it lies outside the sheet."""
        touched = distance < 2 / self.density
        rows, columns = np.flatnonzero(touched.any(axis=1)), np.flatnonzero(touched.any(axis=0))
        if not rows.size:
            return None
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)

    def stain(self, cover: Floats, colour: Colour, *, metal: float | None = None) -> None:
        """Change the colour where `cover` (0 to 1) says, without a relief of its own."""
        self.colour += cover[..., None] * (np.asarray(colour, np.float32) - self.colour)
        if metal is not None:
            self.metal += cover * (metal - self.metal)

    def speckle(self, strength: float, shape: tuple[int, ...]) -> Floats:
        """Fine noise of that shape, grains the size of a scene pixel."""
        if strength == 0:
            return np.zeros((1, 1), np.float32)
        noise = self.random.standard_normal(shape, dtype=np.float32)
        return floats(cv2.GaussianBlur(noise, (0, 0), self.fine / 2.5)) * np.float32(strength * self.fine * 0.9)

    def text(  # noqa: PLR0913 - words have a place and a look
        self, words: str, x: float, y: float, height: float, *, bold: float = 0.16, turn: int = 0
    ) -> Floats:
        """Cover (h, w) of a line of capitals, `height` millimetres tall and centred on (x, y), strokes `bold` of it."""
        ink = np.zeros(self.level.shape, np.uint8)
        if turn % 2:
            ink = np.ascontiguousarray(ink.T)
        size = height * self.density / FONT_HEIGHT
        stroke = max(1, round(height * self.density * bold))
        (wide, tall), _ = cv2.getTextSize(words, FONT, size, stroke)
        across, down = {0: (x, y), 1: (-y, x), 2: (-x, -y), 3: (y, -x)}[turn % 4]
        left = round(across * self.density + ink.shape[1] / 2 - wide / 2)
        base = round(down * self.density + ink.shape[0] / 2 + tall / 2)
        cv2.putText(ink, words, (left, base), FONT, size, 255, stroke, cv2.LINE_AA)
        return np.rot90(ink, turn).astype(np.float32) / np.float32(255)

    def light(self, *, turn: int = 0) -> tuple[Floats, Floats, Floats]:
        """Light the drawing, turned by quarter turns (counter-clockwise): colour (h, w, 3), cover and level (h, w)."""
        turned = [np.ascontiguousarray(np.rot90(part, turn)) for part in (self.level, self.metal, self.shine)]
        colour = np.ascontiguousarray(np.rot90(self.colour, turn))
        cover = np.ascontiguousarray(np.rot90(self.cover, turn))
        return lit(colour, *turned, density=self.density), cover, turned[0]

    def sprite(self, *, turn: int = 0, marking: tuple[Floats, Colour] | None = None, shadow: float = 0.5) -> Sprite:
        """Light the drawing and average it down to scene pixels.

        Args:
            turn: quarter turns counter-clockwise.
            marking: cover and colour of the print that becomes the sprite's variation.
            shadow: how dark its shadow is, 0 to 1.
        """
        colour, cover, level = self.light(turn=turn)
        paint, coarse = averaged(colour * cover[..., None], self.fine), averaged(cover, self.fine)
        through = (1 - coarse) * (1 - shadow * cast(coarse, averaged(level, self.fine), self.scale))
        layers = np.dstack([paint, through])
        variation = np.zeros_like(layers)
        if marking is not None:
            ink = np.rot90(marking[0], turn)[..., None]
            variation[..., :3] = averaged(
                ink * (np.asarray(marking[1], np.float32) - colour) * cover[..., None], self.fine
            )
        return Sprite(layers=layers, variation=variation, cover=coarse)


def lit(colour: Floats, level: Floats, metal: Floats, shine: Floats, *, density: float) -> Floats:
    """Light a surface: colour (h, w, 3) as seen from above, 0 to 255; `level` in millimetres, `density` px/mm."""
    slope_x = cv2.Scharr(level, cv2.CV_32F, 1, 0, scale=density / 32)
    slope_y = cv2.Scharr(level, cv2.CV_32F, 0, 1, scale=density / 32)
    up = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
    facing = (LIGHT[2] - slope_x * LIGHT[0] - slope_y * LIGHT[1]) * up
    halfway = np.maximum((HALFWAY[2] - slope_x * HALFWAY[0] - slope_y * HALFWAY[1]) * up, 0)
    matt = 0.42 + 0.58 * np.maximum(facing, 0) / LIGHT[2]
    mirrored = np.clip(2 * up * facing - LIGHT[2], -1, 1)  # how far the mirrored view looks into the lamp
    sky = 0.30 + 0.72 * np.clip(mirrored * 0.75 + 0.42, 0, 1) ** 1.5
    shade = matt + metal * (sky - matt)
    glint = 255 * shine * (halfway**40 * 0.55) * (0.4 + 0.6 * metal)
    flat = 255 * shine * float(HALFWAY[2]) ** 40 * 0.55 * (0.4 + 0.6 * metal)
    return floats(np.clip(colour * shade[..., None] + (glint - flat)[..., None], 0, 255))


def cast(cover: Floats, level: Floats, density: float) -> Floats:
    """Shadow (h, w), 0 to 1, that a relief casts to the lower right, softer the higher the part is."""
    highest = float(level.max())
    shadow = np.zeros_like(cover)
    for share in (0.25, 0.5, 0.75, 1.0):
        reach = share * min(highest, 2.5) * density
        move = np.array(((1, 0, 0.30 * reach), (0, 1, 0.34 * reach)), np.float32)
        high_part = cover * (level >= share * highest * 0.7)
        shadow = np.maximum(shadow, cv2.warpAffine(high_part, move, cover.shape[::-1]))
    blur = (0.08 + 0.10 * min(highest, 2.5)) * density
    contact = cv2.GaussianBlur(cover, (0, 0), 0.12 * density)
    return floats(np.maximum(cv2.GaussianBlur(shadow, (0, 0), blur), 0.7 * contact))


def averaged(picture: Floats, fine: int = FINE) -> Floats:
    """Average `fine` x `fine` fine pixels down to one scene pixel."""
    rows, columns = picture.shape[0] // fine, picture.shape[1] // fine
    return floats(cv2.resize(np.ascontiguousarray(picture, np.float32), (columns, rows), interpolation=cv2.INTER_AREA))
