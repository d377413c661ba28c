"""Bytes of an image file become one RGB picture, or a typed error that says why not."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from inspection.errors import UnreadableImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_PIXELS = 100_000_000
TWELVE_BIT = 4095

_START_OF_IMAGE = b"\xff\xd8\xff"
_END_OF_IMAGE = b"\xff\xd9"
_START_OF_SCAN = 0xDA
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xDA)})
_SIXTEEN_BIT = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})


def decode_image(data: bytes, *, source: str) -> NDArray[np.uint8]:
    """Decode the first picture of an image file, upright.

    EXIF and TIFF orientation are applied. Grey becomes three equal channels, CMYK and palettes become RGB, transparent
    places show white. 16-bit pictures are scaled to 8 bits by their full range; where no value exceeds 4095 they
    are taken for 12 bits in 16, as industrial cameras deliver them. Of an animation, a stack or a multi-page file
    the first picture counts.

    Args:
        data: the whole file (JPEG, PNG, BMP, TIFF, WebP, GIF, or anything else that Pillow opens).
        source: what to call the file in an error.

    Returns:
        RGB uint8 (H, W, 3), C-contiguous.

    Raises:
        UnreadableImageError: empty, no image, truncated or damaged, a kind of pixel that has no scale (32 bit), or
            more than 100 megapixels (told from the header, before any pixel is decoded).
    """
    if not data:
        raise _unreadable(source, "the file is empty; copy it again from the camera")
    if not data.startswith(_START_OF_IMAGE):
        return _decode_with_pillow(data, source)
    header = _jpeg_header(data)
    if header is None:
        raise _unreadable(source, "the JPEG ends inside its header; copy it again from the camera")
    _refuse_large(header.width, header.height, source)
    if data.find(_END_OF_IMAGE, header.scan) < 0:
        raise _unreadable(source, "the JPEG is truncated, its end marker is missing; copy it again from the camera")
    return _decode_jpeg(data, source) if header.ordinary else _decode_with_pillow(data, source)


@dataclass(frozen=True, kw_only=True)
class _JpegHeader:
    """`scan` is the offset of the first picture data; `ordinary` is 8 bits in one or three channels."""

    width: int
    height: int
    ordinary: bool
    scan: int


def _jpeg_header(data: bytes) -> _JpegHeader | None:
    """Walk the segments up to the picture data (ITU-T T.81, annex B); None where the file ends or breaks before."""
    at, end, frame = 2, len(data), None
    while at + 4 <= end and data[at] == 0xFF:  # noqa: PLR2004 - every marker begins with 0xFF
        marker = data[at + 1]
        if marker == 0xFF or marker in _WITHOUT_LENGTH:  # noqa: PLR2004 - a fill byte
            at += 1 if marker == 0xFF else 2  # noqa: PLR2004 - a fill byte
            continue
        if marker == _START_OF_SCAN:
            return _ordinary_or_not(frame, at) if frame else None
        if marker in _FRAME_HEADERS and at + 10 <= end:
            frame = struct.unpack_from(">BHHB", data, at + 4)
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _ordinary_or_not(frame: tuple[int, ...], scan: int) -> _JpegHeader:
    bits, height, width, channels = frame
    ordinary = bits == 8 and channels in {1, 3} and height > 0  # noqa: PLR2004 - 8 bits
    return _JpegHeader(width=width, height=height, ordinary=ordinary, scan=scan)


def _decode_jpeg(data: bytes, source: str) -> NDArray[np.uint8]:
    """OpenCV's way, a quarter faster than Pillow's. It applies EXIF orientation by itself."""
    image = _decode_with_opencv(data, cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise _unreadable(source, "the JPEG is damaged; copy it again from the camera")
    return image.astype(np.uint8, copy=False)


def _decode_with_opencv(data: bytes, flags: int) -> NDArray[Any] | None:
    """`cv2.imdecode` that tells of damage by None and never on stderr."""
    level = cv2.utils.logging.getLogLevel()
    if level != cv2.utils.logging.LOG_LEVEL_SILENT:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        image: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    return image


def _decode_with_pillow(data: bytes, source: str) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(data)) as picture:
            _refuse_large(*picture.size, source)
            if _is_deep(picture):
                return _decode_deep(data, picture, source)
            upright = ImageOps.exif_transpose(picture)
            return np.array(_opaque(upright).convert("RGB"))
    except UnidentifiedImageError as error:
        raise _unreadable(
            source, "not an image, or of an unknown kind; give 8 or 16 bit PNG, JPEG, TIFF, BMP"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _unreadable(source, _too_large("it has")) from error
    except UnreadableImageError:
        raise
    except Exception as error:  # Pillow's plugins raise whatever their parsers stumble over
        raise _unreadable(source, f"truncated or damaged ({error}); copy it again from the camera") from error


def _opaque(picture: Image.Image) -> Image.Image:
    """The picture laid on white where it has transparency."""
    if not picture.has_transparency_data:
        return picture
    layer = picture.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer)


def _is_deep(picture: Image.Image) -> bool:
    """Whether a channel has more than 8 bits. Pillow itself would drop the low byte of 16-bit RGB."""
    if picture.mode in _SIXTEEN_BIT or picture.mode in {"I", "F"}:
        return True
    bits: Any = ()
    if picture.format == "TIFF":
        bits = picture.tag_v2.get(258, ())  # type: ignore[attr-defined]  # BitsPerSample
    elif picture.format == "PNG" and isinstance(picture, ImageFile.ImageFile) and picture.tile:
        return "16" in str(picture.tile[0][3])
    return max(bits if isinstance(bits, tuple) else (bits,), default=8) > 8  # noqa: PLR2004 - 8 bits


def _decode_deep(data: bytes, picture: Image.Image, source: str) -> NDArray[np.uint8]:
    cut = picture.format == "PNG" and b"IEND" not in data[-1024:]
    image = None if cut else _decode_with_opencv(data, cv2.IMREAD_UNCHANGED)
    if image is None:
        raise _unreadable(source, "the 16-bit image is truncated or damaged; copy it again from the camera")
    if image.dtype != np.uint16:
        raise _unreadable(source, f"its pixels are {image.dtype}; save it with 8 or 16 bit a channel")
    orientation = 1 if picture.format == "TIFF" else picture.getexif().get(0x0112, 1)  # OpenCV turns TIFFs by itself
    upright = _turned(_eight_bits(image), orientation)
    return np.ascontiguousarray(_rgb(upright))


def _eight_bits(image: NDArray[np.uint16]) -> NDArray[np.uint8]:
    colours = image[..., :3] if image.ndim == 3 else image  # noqa: PLR2004 - (H, W, C); alpha is always at full range
    scale = 255 / (TWELVE_BIT if colours.max(initial=0) <= TWELVE_BIT else 65535)
    scaled = cv2.convertScaleAbs(colours, alpha=scale).reshape(colours.shape)
    if image.ndim == 3 and image.shape[2] == 4:  # noqa: PLR2004 - with alpha
        alpha = image[..., 3:].astype(np.float32) / 65535
        scaled = np.rint(scaled * alpha + 255 * (1 - alpha))
    return scaled.astype(np.uint8, copy=False)


def _rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if image.ndim == 2 or image.shape[2] == 1:  # noqa: PLR2004 - grey
        return np.dstack([image.reshape(image.shape[:2])] * 3)
    return image[..., 2::-1]


def _turned(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Apply the EXIF orientation 1 to 8."""
    if orientation in {2, 4, 5, 7}:
        image = image[:, ::-1]
    turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    return np.rot90(image, turns)


def _refuse_large(width: int, height: int, source: str) -> None:
    if width * height > MAX_PIXELS:
        raise _unreadable(source, _too_large(f"{width} x {height} pixels are"))


def _too_large(size: str) -> str:
    return f"too large, {size} more than {MAX_PIXELS // 1_000_000} megapixels; crop or scale it down"


def _unreadable(source: str, why: str) -> UnreadableImageError:
    return UnreadableImageError(f"{source}: {why}")
