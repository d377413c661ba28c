"""The empty scene behind the parts, and what stands out from it, on a small picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH: Final = 192  # pixels of the small picture; its height follows the frame
_LEARN_FRAMES: Final = 12
_RATE: Final = 0.02  # share of the news that a background pixel takes over per frame
_NOISES: Final = 5.0
_EDGE_FLOOR: Final = 4.0  # grey values a pixel: weaker edges are no part's
_FLOOR: Final = 12.0  # grey values: less contrast is no part
_SHADE: Final = 0.03  # share of one colour in the sum of all, by which shades differ
_DARK: Final = 60.0  # sum of the three colours
_DARKEST: Final = 0.4  # what a shadow leaves of the light
_EMPTIER: Final = 0.75  # edges over those of the background, below which something has gone
_ALL_CHANGED: Final = 0.6
_DIMMEST: Final = 0.25  # gains within which another light is evened out
_BRIGHTEST: Final = 4.0
_BORDER: Final = 2  # pixels
_NARROW: Final = 4


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A connected place that stands out.

    `x, y, width, height` in pixels of the small picture, `area` in pixels of it, `mask` (H, W) bool. `gone` says that
    something has left there rather than come: the background has the stronger edges. `change` is the mean absolute
    difference to the frame before inside it, in grey values. `touches` says that it goes on beyond the border.
    """

    x: int
    y: int
    width: int
    height: int
    area: int
    mask: NDArray[np.bool_]
    gone: bool
    change: float
    touches: bool

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle."""
        return self.x + self.width / 2, self.y + self.height / 2


class Scene:
    """Follows the background; what moves in front of it does not become part of it until it is told to.

    A place stands out where its edges or its colour are others than the background's, or where it is much darker or
    brighter. A soft shadow changes none of them: it darkens, within limits, and keeps edges and colour. The first
    frames are taken for the background (their median); slow changes are followed where nothing stands out. Where nearly
    all of it changes at a stroke, it is learned anew.

    Args:
        smallest: area of the smallest blob, as a share of the view.
    """

    def __init__(self, *, smallest: float) -> None:
        self._smallest = smallest
        self._first: list[NDArray[np.float32]] = []
        self._background: NDArray[np.float32] | None = None
        self._noise: NDArray[np.float32] | None = None
        self._before: NDArray[np.float32] | None = None
        self.size = (1, 1)

    def see(self, image: NDArray[np.uint8]) -> list[Blob] | None:
        """What stands out in a frame, (H, W, 3) RGB uint8; None while the background is still being learned."""
        picture = _small(image)
        self.size = (picture.shape[1], picture.shape[0])
        if self._background is None or self._noise is None or self._background.shape != picture.shape:
            return self._learn(picture)
        level = picture * _gain(picture, self._background)
        before = level if self._before is None else self._before
        self._before = level
        now, behind = _gradient(level), _gradient(self._background)
        edges = np.asarray(cv2.magnitude(now[0] - behind[0], now[1] - behind[1]), np.float32)
        standing = (edges > np.maximum(_EDGE_FLOOR, _NOISES * self._noise)) | _other_light(level, self._background)
        if standing.mean() > _ALL_CHANGED:
            self._background, self._first = None, []
            return self._learn(picture)
        mask = _filled(standing.astype(np.uint8))
        weight = cv2.magnitude(*now) - np.float32(_EMPTIER) * cv2.magnitude(*behind)
        blobs = self._blobs(
            mask, np.asarray(_sum(np.abs(level - before)) / 3, np.float32), np.asarray(weight, np.float32)
        )
        self._follow(level, edges, mask)
        return blobs

    def absorb(self, mask: NDArray[np.bool_]) -> None:
        """What stands there belongs to the background from now on."""
        if self._background is not None and self._before is not None:
            wide = cv2.dilate(mask.astype(np.uint8), _kernel(7)).astype(bool)
            self._background[wide] = self._before[wide]

    def _learn(self, picture: NDArray[np.float32]) -> list[Blob] | None:
        if self._first and self._first[0].shape != picture.shape:
            self._first = []
        self._first.append(picture)
        if len(self._first) < _LEARN_FRAMES:
            return None
        background = np.median(np.stack(self._first), axis=0).astype(np.float32)
        noise = np.median([_edges_apart(one, background) for one in self._first], axis=0).astype(np.float32)
        self._background, self._noise = background, np.asarray(cv2.blur(noise, (5, 5)), np.float32)
        self._first, self._before = [], None
        return []

    def _follow(self, level: NDArray[np.float32], edges: NDArray[np.float32], mask: NDArray[np.uint8]) -> None:
        if self._background is None or self._noise is None:
            return
        far = np.asarray(cv2.dilate(mask, _kernel(9)) == 0, np.uint8)
        cv2.accumulateWeighted(level, self._background, _RATE, far)
        cv2.accumulateWeighted(edges, self._noise, _RATE, far)

    def _blobs(self, mask: NDArray[np.uint8], change: NDArray[np.float32], weight: NDArray[np.float32]) -> list[Blob]:
        """The connected places of `mask`; negative `weight` speaks for stronger edges in the background."""
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        smallest, found = self._smallest * mask.size, []
        for number in range(1, count):
            x, y, width, height, area = (int(value) for value in stats[number])
            if area < smallest:
                continue
            inside = labels == number
            wide = cv2.dilate(inside.astype(np.uint8), _kernel(5)).astype(bool)
            found.append(
                Blob(
                    x=x,
                    y=y,
                    width=width,
                    height=height,
                    area=area,
                    mask=inside,
                    gone=float(weight[wide].mean()) < 0,
                    change=float(change[inside].mean()),
                    touches=_touches(inside, narrow=min(width, height)),
                )
            )
        return found


def _touches(mask: NDArray[np.bool_], *, narrow: int) -> bool:
    """Whether a blob reaches the border; a band narrower than a quarter of its shorter side (`narrow`) does not."""
    rim = _BORDER
    if not any(side.any() for side in (mask[:rim], mask[-rim:], mask[:, :rim], mask[:, -rim:])):
        return False
    broad = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, _kernel(max(3, narrow // _NARROW)))
    return any(bool(side.any()) for side in (broad[:rim], broad[-rim:], broad[:, :rim], broad[:, -rim:]))


def _small(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(h, 192, 3) float32 RGB of a frame."""
    height = max(1, round(image.shape[0] * WIDTH / image.shape[1]))
    small = cv2.resize(image, (WIDTH, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (3, 3), 0), np.float32)


def _gain(picture: NDArray[np.float32], background: NDArray[np.float32]) -> float:
    """The factor that brings a picture to the background's light; most of the view is background."""
    return float(np.clip(np.median((background[..., 1] + 1) / (picture[..., 1] + 1)), _DIMMEST, _BRIGHTEST))


def _edges_apart(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far the gradients of two pictures lie apart, in grey values a pixel, (h, w)."""
    (x, y), (u, v) = _gradient(one), _gradient(other)
    return np.asarray(np.hypot(x - u, y - v), np.float32)


def _gradient(picture: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, x, y, scale=1 / 8) for x, y in ((1, 0), (0, 1)))
    return np.asarray(across, np.float32), np.asarray(down, np.float32)


def _other_light(level: NDArray[np.float32], background: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where colour or brightness are others than a shadow would make them."""
    now, before = _sum(level) + 1, _sum(background) + 1
    ratio = now / before
    shades = level / now[..., None] - background / before[..., None]
    apart = np.maximum(np.maximum(np.abs(shades[..., 0]), np.abs(shades[..., 1])), np.abs(shades[..., 2]))
    visible = np.minimum(now, before) > _DARK  # colours of dark places are noise
    loud = np.abs(now - before) > 3 * _FLOOR
    return np.asarray(loud & (((apart > _SHADE) & visible) | (ratio < _DARKEST) | (ratio > 1 / _DARKEST)), np.bool_)


def _sum(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sum of the three colours, (h, w)."""
    return np.asarray(picture[..., 0] + picture[..., 1] + picture[..., 2], np.float32)


def _filled(standing: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Outlines closed and filled; specks gone."""
    closed = np.asarray(cv2.morphologyEx(standing, cv2.MORPH_CLOSE, _kernel(WIDTH // 24)), np.uint8)
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(closed, contours, -1, 1, cv2.FILLED)
    return np.asarray(cv2.morphologyEx(closed, cv2.MORPH_OPEN, _kernel(5)), np.uint8)


def _kernel(side: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
