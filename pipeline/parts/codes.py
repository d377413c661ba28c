"""Part ids from codes in the frame: bar codes, Data Matrix, QR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import zxingcpp

from pipeline.part_ids import printable_id

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LARGEST_SIDE: Final = 2000  # pixels: above that every second pixel is looked at, to keep the time bounded


def read_code(image: NDArray[np.uint8], *, region: tuple[float, float, float, float] | None = None) -> str | None:
    """The text of the largest code in a frame.

    Args:
        image: (H, W, 3) RGB uint8.
        region: where it is looked for, (x, y, width, height) in parts of the frame; None looks everywhere.

    Returns:
        Its text, printable and of at most 200 characters; None where there is no code that can be read.
    """
    height, width = image.shape[:2]
    x, y, wide, high = region or (0.0, 0.0, 1.0, 1.0)
    seen = image[round(y * height) : round((y + high) * height), round(x * width) : round((x + wide) * width)]
    if not seen.size:
        return None
    step = -(-max(seen.shape[:2]) // _LARGEST_SIDE)
    found = zxingcpp.read_barcodes(np.ascontiguousarray(seen[::step, ::step]))
    texts = [(_area(code.position), text) for code in found if (text := printable_id(code.text))]
    return max(texts)[1] if texts else None


def _area(position: zxingcpp.Position) -> int:
    """Of the box around a code, in pixels."""
    corners = (position.top_left, position.top_right, position.bottom_left, position.bottom_right)
    across, down = [corner.x for corner in corners], [corner.y for corner in corners]
    return int((max(across) - min(across) + 1) * (max(down) - min(down) + 1))
