"""Images as registration looks at them: small, square, grey, with slow changes of light taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CANVAS: Final = 256  # pixels: side of the finest level
LEVELS: Final = (64, 128, 256)  # coarse to fine
_LIGHT: Final = 6.0  # pixels at the coarsest level: light that changes more slowly than this is taken out
_FLAT: Final = 0.25  # of the image's own contrast: what varies less is no structure


@dataclass(frozen=True, kw_only=True)
class View:
    """One image at every level: (S, S) float32, local mean 0, local deviation about 1 where there is structure."""

    levels: dict[int, NDArray[np.float32]]


def view_of(image: NDArray[np.uint8]) -> View:
    """Reduce an RGB uint8 (H, W, 3) image to square grey levels with light and contrast evened out."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    pyramid = {side: _resized(grey, side).astype(np.float32) for side in LEVELS}
    coarse = pyramid[LEVELS[0]]
    light = cv2.GaussianBlur(coarse, (0, 0), _LIGHT, borderType=cv2.BORDER_REFLECT_101)
    detail = cv2.GaussianBlur(np.square(coarse - light), (0, 0), _LIGHT, borderType=cv2.BORDER_REFLECT_101)
    floor = (_FLAT * float(coarse.std()) + 1.0) ** 2
    gain = 1 / np.sqrt(detail + floor)
    return View(levels={side: (grey - _resized(light, side)) * _resized(gain, side) for side, grey in pyramid.items()})


def _resized(image: NDArray[Any], side: int) -> NDArray[np.float32]:
    if image.shape[:2] == (side, side):
        return image
    shrinks = min(image.shape[:2]) >= side
    resized: Any = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized  # type: ignore[no-any-return]
