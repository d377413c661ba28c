"""A frame on the golden's coordinates: what the inspector hands from registration to comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from inspection.registration.outcome import seen
from inspection.verdicts import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inspection.quality import FrameQuality
    from inspection.registration import Registration

_LEAST_SEEN: Final = 0.7  # share of the inspected places that a frame must show; a part turned by 45 degrees shows 0.83


@dataclass(frozen=True, kw_only=True)
class PreparedFrame:
    """A frame on the golden's coordinates, or the `problem` why it can't be brought there, and then no `image`.

    `image` is RGB uint8 (S, S, 3); `matrix` (3, 3) maps pixels of the delivered frame to pixels of the first golden,
    `to_frame` working pixels to pixels of the delivered frame; `weights` (S, S) float32 are the places' sensitivities.
    """

    milliseconds: float
    quality: FrameQuality | None = None
    problem: str | None = None
    registration: Registration | None = None
    image: NDArray[np.uint8] | None = None
    weights: NDArray[np.float32] | None = None
    matrix: NDArray[np.float64] | None = None
    to_frame: NDArray[np.float64] | None = None


def scaling(source: tuple[int, int], target: tuple[int, int]) -> NDArray[np.float64]:
    """The matrix by which `cv2.resize` maps pixel centres of a (width, height) picture to another size."""
    x, y = target[0] / source[0], target[1] / source[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def place_weights(
    registration: Registration, sensitivity: NDArray[np.float32] | None, side: int
) -> NDArray[np.float32] | None:
    """Sensitivities of the places, (S, S), 0 where the frame shows nothing of the golden; None where all count."""
    if np.array_equal(registration.matrix, np.eye(3)):
        return sensitivity
    shown = seen(registration.matrix, (side, side)).astype(np.float32)
    return shown if sensitivity is None else shown * sensitivity


def unshown(
    registration: Registration, weights: NDArray[np.float32] | None, sensitivity: NDArray[np.float32] | None
) -> str | None:
    """Why the frame does not show the part, if it does not.

    Args:
        registration: how the frame was brought onto the golden.
        weights: (S, S), 0 where the frame shows nothing of what is to be inspected; None where it shows all.
        sensitivity: (S, S), 0 where nothing is to be inspected; None where everything is.
    """
    if not registration.accepted:
        return (
            f"{Reason.NOT_REGISTERED.value}: the part is not where the goldens have it "
            f"({registration.method.value}, quality {registration.quality:.2f})"
        )
    if weights is None:
        return None
    inspected = weights.size if sensitivity is None else int(np.count_nonzero(sensitivity))
    shown = np.count_nonzero(weights) / inspected
    if shown < _LEAST_SEEN:
        return f"{Reason.NOT_REGISTERED.value}: the frame shows only {shown:.0%} of the part"
    return None
