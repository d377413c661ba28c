"""Pixels of industrial cameras become RGB, and their clocks and counts become ours."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.cameras import clocks
from pipeline.cameras.capture import rgb
from pipeline.cameras.clocks import BlockCount, DeviceClock, in_utc
from pipeline.cameras.pixels import FORMATS, check_format, rgb_from_pixels
from pipeline.cameras.problems import CameraSetupError

CODES = {pixels.name: code for code, pixels in FORMATS.items()}
COLOURS = {"R": 0, "G": 1, "B": 2}


def ramps(height: int = 16, width: int = 24) -> NDArray[np.uint8]:
    """A smooth picture whose channels differ in level and direction."""
    y, x = np.mgrid[:height, :width]
    return np.dstack([40 + 3 * x, 200 - 4 * y, 90 + 2 * x + y]).astype(np.uint8)


def mosaic(image: NDArray[np.uint8], pattern: str) -> NDArray[np.uint8]:
    """The picture behind a Bayer filter: `pattern` names the colours of the first two lines, as PFNC does."""
    raw = np.zeros(image.shape[:2], np.uint8)
    for at, colour in enumerate(pattern):
        raw[at // 2 :: 2, at % 2 :: 2] = image[at // 2 :: 2, at % 2 :: 2, COLOURS[colour]]
    return raw


def converted(name: str, data: NDArray, padding: int = 0, size: tuple[int, int] = (24, 16)) -> NDArray[np.uint8]:
    """What becomes of a buffer."""
    flat = np.ascontiguousarray(data).view(np.uint8).reshape(-1)
    image = rgb_from_pixels(flat, code=CODES[name], width=size[0], height=size[1], padding=padding)
    assert (image.dtype, image.flags.c_contiguous, image.shape) == (np.uint8, True, (size[1], size[0], 3))
    return image


def inner(image: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Without the border, where a demosaicing has no neighbours."""
    return image[2:-2, 2:-2].astype(np.int16)


@pytest.mark.parametrize("pattern", ["GRBG", "RGGB", "GBRG", "BGGR"])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_bayer_patterns_give_the_colours_back(pattern: str, bits: int) -> None:
    """Red stays red for each of the four patterns, at every depth."""
    image = ramps()
    raw = mosaic(image, pattern)
    sent = raw if bits == 8 else raw.astype("<u2") << (bits - 8)
    assert np.abs(inner(converted(f"Bayer{pattern[:2]}{bits}", sent)) - inner(image)).max() <= 3


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_grey_of_any_depth_keeps_its_scale(bits: int) -> None:
    """Black stays black, white white: a 12-bit value of 4095 is 255."""
    grey = ramps()[..., 0]
    sent = grey if bits == 8 else grey.astype("<u2") << (bits - 8)
    assert np.array_equal(converted(f"Mono{bits}", sent), np.dstack([grey] * 3))


def test_colours_of_every_order_become_rgb() -> None:
    """RGB, BGR, and both with a fourth channel."""
    image = ramps()
    alpha = np.full((16, 24, 1), 9, np.uint8)
    for name, sent in {
        "RGB8": image,
        "BGR8": image[..., ::-1],
        "RGBa8": np.dstack([image, alpha]),
        "BGRa8": np.dstack([image[..., ::-1], alpha]),
    }.items():
        assert np.array_equal(converted(name, sent), image), name


@pytest.mark.parametrize(
    ("name", "luma"), [("YUV422_8", 0), ("YCbCr422_8", 0), ("YUV422_8_UYVY", 1), ("YCbCr422_8_CbYCrY", 1)]
)
def test_full_range_yuv_gives_the_colours_back(name: str, luma: int) -> None:
    """No stretch of the contrast: black 0 and white 255 are such in YUV too."""
    image = ramps()
    image[:8, :2], image[8:, :2] = 0, 255
    luma_red_blue = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    sent = np.zeros((16, 24, 2), np.uint8)
    sent[..., luma] = luma_red_blue[..., 0]
    sent[:, 0::2, 1 - luma] = luma_red_blue[:, 0::2, 2]
    sent[:, 1::2, 1 - luma] = luma_red_blue[:, 0::2, 1]
    assert np.abs(converted(name, sent).astype(np.int16) - image).max() <= 8
    assert np.array_equal(converted(name, sent)[:, 0], image[:, 0])


@pytest.mark.parametrize("padded_end", [True, False], ids=["padding after the last line", "none after the last line"])
def test_bytes_between_the_lines_are_left_out(padded_end: bool) -> None:
    """Lines that begin at multiples of 32 bytes, say."""
    image = ramps()
    lines = np.full((16, 24 * 3 + 5), 77, np.uint8)
    lines[:, :72] = image.reshape(16, 72)
    flat = lines.reshape(-1)
    assert np.array_equal(converted("RGB8", flat if padded_end else flat[:-5], padding=5), image)


def test_a_picture_does_not_change_with_its_buffer() -> None:
    """The camera fills the buffer again while the picture is judged."""
    for name, sent in {"RGB8": ramps(), "Mono8": ramps()[..., 0].copy(), "BayerRG8": mosaic(ramps(), "RGGB")}.items():
        image = converted(name, sent)
        before = image.copy()
        sent[:] = 0
        assert np.array_equal(image, before), name


def test_too_few_bytes_are_no_picture() -> None:
    """A buffer that was cut is told, not read beyond its end."""
    with pytest.raises(ValueError, match="too few for 24 x 16 pixels of RGB8"):
        converted("RGB8", np.zeros(24 * 16 * 3 - 1, np.uint8))


def test_a_format_that_is_not_understood_names_those_that_are() -> None:
    """Packed 10 bits, for one."""
    with pytest.raises(CameraSetupError, match=r"0x010A0046 is not understood; set its PixelFormat to one of Mono8, "):
        check_format(0x010A0046, "camera 7")


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (np.full((2, 3), 7, np.uint8), (7, 7, 7)),
        (np.full((2, 3, 1), 7, np.uint8), (7, 7, 7)),
        (np.full((2, 3), 7 * 256 + 9, np.uint16), (7, 7, 7)),
        (np.full((2, 3, 3), (1, 2, 3), np.uint8), (3, 2, 1)),
        (np.full((2, 3, 4), (1, 2, 3, 255), np.uint8), (3, 2, 1)),
    ],
    ids=["grey", "grey with a channel", "16 bits", "BGR", "BGRA"],
)
def test_what_opencv_gives_becomes_rgb(picture: np.ndarray, expected: tuple[int, int, int]) -> None:
    """Grey cameras, colour cameras and deep ones give the same kind of picture."""
    image = rgb(picture)
    assert (image.shape, image.dtype, image.flags.c_contiguous) == ((2, 3, 3), np.uint8, True)
    assert tuple(image[1, 2]) == expected


def test_a_device_clock_tells_the_age_of_a_frame_that_waited() -> None:
    """A frame read half a second late is half a second old; one that came at once is new."""
    clock = DeviceClock()
    begin = time.monotonic()
    assert clock.captured(1000.0) == pytest.approx(begin, abs=0.05)
    time.sleep(0.5)
    assert clock.captured(1000.1) == pytest.approx(begin + 0.1, abs=0.05)


def test_a_device_clock_never_tells_of_the_future() -> None:
    """Also when the first frame was the one that waited."""
    clock = DeviceClock()
    clock.captured(1000.0)
    assert clock.captured(1000.7) <= time.monotonic()


def test_a_frame_that_was_held_up_for_seconds_is_no_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that stood still for three seconds must not judge what it finds then as if it were fresh."""
    now = [100.0]
    monkeypatch.setattr(clocks.time, "monotonic", lambda: now[0])
    clock = DeviceClock()
    for second in range(5):
        now[0] = 100.0 + second
        clock.captured(10.0 + second)
    now[0] = 108.0
    assert clock.captured(15.0) == pytest.approx(105.0, abs=0.01)
    assert clock.captured(18.0) == pytest.approx(108.0, abs=0.01)


def test_a_device_clock_that_was_set_anew_is_learned_again() -> None:
    """After a camera was restarted, its stamps begin at 0."""
    clock = DeviceClock()
    clock.captured(50_000.0)
    assert clock.captured(0.2) == pytest.approx(time.monotonic(), abs=0.05)


@pytest.mark.parametrize("stamp", [None, 0.0])
def test_without_a_device_clock_a_frame_is_as_old_as_its_arrival(stamp: float | None) -> None:
    """Some producers give no stamp, some give 0."""
    assert DeviceClock().captured(stamp) == pytest.approx(time.monotonic(), abs=0.05)


def test_a_moment_is_told_in_utc() -> None:
    """`time.monotonic()` of two seconds ago is two seconds ago."""
    told = in_utc(time.monotonic() - 2)
    assert (datetime.now(UTC) - told).total_seconds() == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize(
    ("blocks", "numbers"),
    [
        ([1, 2, 5], [1, 2, 5]),
        ([65534, 65535, 1, 2], [65534, 65535, 65536, 65537]),
        ([65535, 3], [65535, 65538]),
        ([7, 9, 8, 10], [7, 9, 8, 10]),
        ([70_000, 70_001, 1], [70_000, 70_001, 1]),
        ([0, 1], [0, 1]),
    ],
    ids=["a gap", "16 bits full", "a gap across it", "late", "more than 16 bits", "from 0"],
)
def test_block_ids_become_one_count(blocks: list[int], numbers: list[int]) -> None:
    """GigE Vision 1 counts to 65535 and begins at 1 again: that is no lost frame, and no 65534 of them."""
    count = BlockCount()
    assert [count.number(block) for block in blocks] == numbers
