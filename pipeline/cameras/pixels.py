"""Pixels as industrial cameras send them become RGB.

The formats and their numbers are those of the GenICam Pixel Format Naming Convention (PFNC) 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pipeline.cameras.problems import CameraSetupError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class _Kind(Enum):
    MONO = "one grey value a pixel"
    BAYER = "one colour a pixel"
    COLOUR = "all colours a pixel"
    LUMA_FIRST = "Y Cb Y Cr for two pixels"
    LUMA_SECOND = "Cb Y Cr Y for two pixels"


@dataclass(frozen=True, kw_only=True)
class _Format:
    """`bits` of a value, which takes one byte up to 8 bits and two above; `bytes` of a pixel; OpenCV's conversion."""

    name: str
    kind: _Kind
    bits: int = 8
    bytes: int = 1
    conversion: int | None = None


def _mono(bits: int) -> _Format:
    return _Format(name=f"Mono{bits}", kind=_Kind.MONO, bits=bits, bytes=1 if bits == 8 else 2)  # noqa: PLR2004


def _bayer(first_two: str, bits: int) -> _Format:
    conversion = {
        "GR": cv2.COLOR_BayerGRBG2RGB,
        "RG": cv2.COLOR_BayerRGGB2RGB,
        "GB": cv2.COLOR_BayerGBRG2RGB,
        "BG": cv2.COLOR_BayerBGGR2RGB,
    }[first_two]
    size = 1 if bits == 8 else 2  # noqa: PLR2004
    return _Format(name=f"Bayer{first_two}{bits}", kind=_Kind.BAYER, bits=bits, bytes=size, conversion=conversion)


def _colour(name: str, conversion: int | None, size: int = 3) -> _Format:
    return _Format(name=name, kind=_Kind.COLOUR, bytes=size, conversion=conversion)


FORMATS = {
    0x01080001: _mono(8),
    0x01100003: _mono(10),
    0x01100005: _mono(12),
    0x01100025: _mono(14),
    0x01100007: _mono(16),
    **{0x01080008 + i: _bayer(first, 8) for i, first in enumerate(("GR", "RG", "GB", "BG"))},
    **{0x0110000C + i: _bayer(first, 10) for i, first in enumerate(("GR", "RG", "GB", "BG"))},
    **{0x01100010 + i: _bayer(first, 12) for i, first in enumerate(("GR", "RG", "GB", "BG"))},
    **{0x0110002E + i: _bayer(first, 16) for i, first in enumerate(("GR", "RG", "GB", "BG"))},
    0x02180014: _colour("RGB8", None),
    0x02180015: _colour("BGR8", cv2.COLOR_BGR2RGB),
    0x02200016: _colour("RGBa8", cv2.COLOR_RGBA2RGB, 4),
    0x02200017: _colour("BGRa8", cv2.COLOR_BGRA2RGB, 4),
    0x0210001F: _Format(name="YUV422_8_UYVY", kind=_Kind.LUMA_SECOND, bytes=2),
    0x02100032: _Format(name="YUV422_8", kind=_Kind.LUMA_FIRST, bytes=2),
    0x0210003B: _Format(name="YCbCr422_8", kind=_Kind.LUMA_FIRST, bytes=2),
    0x02100043: _Format(name="YCbCr422_8_CbYCrY", kind=_Kind.LUMA_SECOND, bytes=2),
}


def check_format(code: int, camera: str) -> None:
    """Refuse a pixel format that can't be turned into RGB.

    Raises:
        CameraSetupError: it is none of `FORMATS`.
    """
    if code not in FORMATS:
        names = ", ".join(pixels.name for pixels in FORMATS.values())
        message = f"{camera}: its pixel format 0x{code:08X} is not understood; set its PixelFormat to one of {names}"
        raise CameraSetupError(message)


def rgb_from_pixels(data: NDArray[np.uint8], *, code: int, width: int, height: int, padding: int = 0) -> Any:
    """A buffer of pixels as a picture of its own, which does not change when the buffer is used again.

    10 to 16 bits are brought to 8 by leaving out the lowest ones. YUV is full range, BT.601, as GigE Vision has it.

    Args:
        data: bytes, line after line.
        code: the pixel format's number.
        width: in pixels.
        height: in pixels.
        padding: bytes after each line.

    Returns:
        RGB uint8 (H, W, 3), C-contiguous.

    Raises:
        CameraSetupError: the format is none of `FORMATS`.
        ValueError: the buffer is too short.
    """
    check_format(code, "the camera")
    pixels = FORMATS[code]
    used = width * pixels.bytes
    if width < 1 or height < 1 or data.size < (used + padding) * (height - 1) + used:
        message = f"{data.size} bytes are too few for {width} x {height} pixels of {pixels.name}"
        raise ValueError(message)
    lines = _lines(data, used, padding, height)
    if pixels.kind is _Kind.COLOUR:
        picture = lines.reshape(height, width, pixels.bytes)
        return picture.copy() if pixels.conversion is None else cv2.cvtColor(picture, pixels.conversion)
    if pixels.kind in {_Kind.LUMA_FIRST, _Kind.LUMA_SECOND}:
        return _from_luma(lines.reshape(height, width, 2), luma=0 if pixels.kind is _Kind.LUMA_FIRST else 1)
    grey = lines if pixels.bits == 8 else (lines.view("<u2") >> (pixels.bits - 8)).astype(np.uint8)  # noqa: PLR2004
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB if pixels.conversion is None else pixels.conversion)


def _lines(data: NDArray[np.uint8], used: int, padding: int, height: int) -> NDArray[np.uint8]:
    """The lines without what is between them, (H, bytes), contiguous."""
    if not padding:
        return np.ascontiguousarray(data[: used * height]).reshape(height, used)
    whole = np.zeros((used + padding) * height, np.uint8)  # the last line's padding may be missing
    whole[: data.size] = data[: whole.size]
    return np.ascontiguousarray(whole.reshape(height, used + padding)[:, :used])


def _from_luma(pairs: NDArray[np.uint8], *, luma: int) -> Any:
    """Two pixels share a Cb and a Cr."""
    chroma = pairs[:, : pairs.shape[1] // 2 * 2, 1 - luma]
    blue, red = (np.repeat(chroma[:, at::2], 2, axis=1) for at in (0, 1))
    return cv2.cvtColor(np.dstack([pairs[:, : blue.shape[1], luma], red, blue]), cv2.COLOR_YCrCb2RGB)
