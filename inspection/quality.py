"""The quality gate: a frame that is blurred, dark, blank or of another size is not judged at all."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from inspection.errors import ReferenceSetError
from inspection.verdicts import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inspection.recipe import QualityLimits

WORKING_SIDE = 256
BLOCKS = 32
BLANK_OF_GOLDENS = 0.5
FEW_GOLDENS_SLACK = 0.25


@dataclass(frozen=True, kw_only=True)
class FrameQuality:
    """What is told of a frame before it is judged.

    `brightness` is the mean grey value, 0 to 255. `contrast` is the standard deviation of grey values between
    places of the picture, 0 to 128, free of noise. `focus` is how steep the steepest edges are for the picture's
    contrast: 0 upward, without unit, hardly changed by brightness, contrast or noise; only figures of the same
    view can be compared. `width` and `height` are in pixels as delivered.
    """

    brightness: float
    focus: float
    contrast: float
    width: int
    height: int


class QualityGate:
    """Says whether a frame is fit to be judged, by limits relative to the goldens' own figures.

    The focus limit refers to the least sharp golden drawn a third of the way (on a logarithmic scale) to the median
    one, so that one soft golden does not open the gate. Few goldens show less than the whole range of light: the
    brightness limits are a quarter wider with one golden, an eighth with sixteen.
    """

    def __init__(self, golden_qualities: Sequence[FrameQuality], limits: QualityLimits) -> None:
        if not golden_qualities:
            message = "the quality gate needs the figures of at least one golden"
            raise ReferenceSetError(message)
        self._limits = limits
        brightness = [golden.brightness for golden in golden_qualities]
        slack = 1 + FEW_GOLDENS_SLACK / len(golden_qualities) ** 0.25
        self._focus = [golden.focus for golden in golden_qualities]
        self._darkest = limits.min_brightness * min(brightness) / slack
        self._brightest = limits.max_brightness * max(brightness) * slack
        self._blurriest = limits.min_focus * math.cbrt(min(self._focus) ** 2 * statistics.median(self._focus))
        # A product of fine texture on an even ground has little contrast between places; its goldens set the limit.
        self._blank = min(limits.min_contrast, BLANK_OF_GOLDENS * min(golden.contrast for golden in golden_qualities))
        self._goldens = tuple(golden_qualities)

    def problem(self, quality: FrameQuality) -> str | None:
        """Why the frame can't be judged, as `<Reason value>: <detail>`, or None where it can."""
        return self._size(quality) or self._exposure(quality) or self._detail(quality)

    def _size(self, quality: FrameQuality) -> str | None:
        golden = min(self._goldens, key=lambda other: aspect_change(quality, other))
        change = aspect_change(quality, golden)
        smallest = min(min(other.width, other.height) for other in self._goldens)
        small = min(quality.width, quality.height) < self._limits.min_size_ratio * smallest
        if small or change > self._limits.max_aspect_change:
            sizes = f"{quality.width} x {quality.height} px, goldens {golden.width} x {golden.height}"
            detail = "too small" if small else f"aspect ratio off by {change:.0%}"
            return f"{Reason.WRONG_SIZE.value}: {sizes} ({detail})"
        return None

    def _exposure(self, quality: FrameQuality) -> str | None:
        goldens = _span([golden.brightness for golden in self._goldens], 0)
        if quality.brightness < self._darkest:
            detail = f"brightness {quality.brightness:.0f} below {self._darkest:.0f} (goldens {goldens})"
            return f"{Reason.TOO_DARK.value}: {detail}"
        if quality.brightness > self._brightest:
            detail = f"brightness {quality.brightness:.0f} above {self._brightest:.0f} (goldens {goldens})"
            return f"{Reason.TOO_BRIGHT.value}: {detail}"
        return None

    def _detail(self, quality: FrameQuality) -> str | None:
        if quality.contrast < self._blank:
            goldens = _span([golden.contrast for golden in self._goldens], 0)
            detail = f"contrast {quality.contrast:.1f} below {self._blank:.1f} (goldens {goldens})"
            return f"{Reason.BLANK.value}: {detail}"
        if quality.focus < self._blurriest:
            goldens = _span(self._focus, 3)
            detail = f"focus {quality.focus:.3f} below {self._blurriest:.3f} (goldens {goldens})"
            return f"{Reason.BLURRED.value}: {detail}"
        return None


def measure_quality(image: NDArray[np.uint8]) -> FrameQuality:
    """Measure an RGB uint8 (H, W, 3) picture on a grey copy of at most 256 pixels a side."""
    height, width = image.shape[:2]
    grey = small_grey(image)
    mean, variance = _moments(grey)
    return FrameQuality(
        brightness=mean,
        focus=_focus(grey, variance),
        contrast=_contrast(grey, variance),
        width=width,
        height=height,
    )


def small_grey(image: NDArray[np.uint8], side: int = WORKING_SIDE) -> NDArray[np.float32]:
    """A grey float32 copy (h, w), 0 to 255, of an RGB uint8 picture, its longer side at most `side` pixels."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    scale = side / max(grey.shape)
    if scale < 1:
        height, width = (max(1, round(length * scale)) for length in grey.shape)
        grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(grey, dtype=np.float32)


def aspect_change(one: FrameQuality, other: FrameQuality) -> float:
    """By how much two aspect ratios differ: 0 the same, 0.1 one is 10 % longer for its height."""
    ratio = (one.width * other.height) / (one.height * other.width)
    return max(ratio, 1 / ratio) - 1


def _moments(grey: NDArray[Any]) -> tuple[float, float]:
    """Mean and variance of the grey values, in double precision; several times faster than NumPy's."""
    mean, deviation = cv2.meanStdDev(grey)
    return float(mean[0, 0]), float(deviation[0, 0]) ** 2


def _focus(grey: NDArray[np.float32], variance: float) -> float:
    """The energy of the Laplacian of Gaussian, sharp edges foremost, over the variance of grey values.

    The Laplacian's energy is the focus measure of Subbarao, Choi and Nikzad (Optical Engineering 32, 1993). The
    fourth power in place of the square lets the steepest edges decide, so that neither noise nor an empty ground
    weighs much.
    """
    smooth = cv2.GaussianBlur(grey, (0, 0), 1)
    energy = np.square(cv2.Laplacian(smooth, cv2.CV_32F, ksize=3))
    return float(np.sqrt(np.square(energy).mean(dtype=np.float64)) / (variance + 1))


def _contrast(grey: NDArray[np.float32], variance: float) -> float:
    """The standard deviation between blocks, less what noise inside them gives it (one-way analysis of variance)."""
    height, width = grey.shape
    rows, columns = min(BLOCKS, height), min(BLOCKS, width)
    means = cv2.resize(grey, (columns, rows), interpolation=cv2.INTER_AREA)
    _, between = _moments(means)
    within = max(variance - between, 0.0)
    pixels = (height * width) / (rows * columns)
    noise = within / (pixels - 1) if pixels > 1 else 0.0
    return float(np.sqrt(max(between - noise, 0.0)))


def _span(values: Sequence[float], digits: int) -> str:
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"
