"""Text on pictures: one type face, sizes in pixels, any file name drawable."""

from __future__ import annotations

import re

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

INK: Colour = (238, 240, 243)
MUTED: Colour = (150, 156, 166)
_PIXELS_PER_SCALE = 28.0  # OpenCV's scale 1.0 gives letters of this height
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def draw_text(  # noqa: PLR0913 - three are style, keywords with defaults
    canvas: Picture,
    text: str,
    left: int,
    baseline: int,
    *,
    size: int = 15,
    colour: Colour = INK,
    bold: bool = False,
) -> int:
    """Write `text` onto `canvas` (RGB uint8, changed in place) and return the x where it ends, in pixels."""
    cv2.putText(
        canvas, _drawable(text), (left, baseline), _face(bold), size / _PIXELS_PER_SCALE, colour, 1, cv2.LINE_AA
    )
    return left + text_width(text, size=size, bold=bold)


def text_width(text: str, *, size: int = 15, bold: bool = False) -> int:
    """The width of `text` in pixels."""
    (width, _), _ = cv2.getTextSize(_drawable(text), _face(bold), size / _PIXELS_PER_SCALE, 1)
    return int(width)


def shortened(text: str, width: int, *, size: int = 15, bold: bool = False) -> str:
    """`text`, its middle left out where it would be wider than `width` pixels: both ends of a part id tell most."""
    text = _drawable(text)
    if text_width(text, size=size, bold=bold) <= width:
        return text
    for kept in range(min(len(text), 200), 1, -1):
        short = f"{text[: (kept + 1) // 2]}...{text[len(text) - kept // 2 :]}"
        if text_width(short, size=size, bold=bold) <= width:
            return short
    return ""


def draw_chip(canvas: Picture, text: str, left: int, middle: int, *, fill: Colour) -> int:
    """Write `text` bold in a filled box centred on the line `middle`; return the x of the box's right edge."""
    size, margin, half = 14, 8, 12
    right = left + text_width(text, size=size, bold=True) + 2 * margin
    cv2.rectangle(canvas, (left, middle - half), (right, middle + half), fill, -1)
    draw_text(canvas, text, left + margin, middle + 5, size=size, bold=True)
    return right


def _face(bold: bool) -> int:  # noqa: FBT001 - private
    return cv2.FONT_HERSHEY_DUPLEX if bold else cv2.FONT_HERSHEY_SIMPLEX


def _drawable(text: str) -> str:
    return _CONTROL.sub(" ", text.encode("utf-8", "replace").decode())
