"""Image files of all kinds decode to upright RGB uint8, or are refused with a typed error."""

import io
import struct

import cv2
import numpy as np
import pytest
from bad_inputs import drawn_part, encoded, huge_jpeg, huge_png, sixteen_bit, with_orientation
from PIL import Image

from inspection.decoding import decode_image
from inspection.errors import UnreadableImageError

PART = drawn_part()
NEARLY = 8  # grey values that lossy compression may cost; a wrong turn or colour costs 30 and more


def decoded(data: bytes) -> np.ndarray:
    """The picture in a file's bytes."""
    return decode_image(data, source="frame.png")


def gap(image: np.ndarray, expected: np.ndarray = PART) -> float:
    """Mean absolute difference in grey values; infinite where the shapes differ."""
    return float(np.abs(image.astype(int) - expected).mean()) if image.shape == expected.shape else np.inf


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_files_come_back_exactly(kind):
    """RGB order, shape and values are those that were saved."""
    image = decoded(encoded(PART, kind))
    assert np.array_equal(image, PART)
    assert (image.dtype, image.flags.c_contiguous, image.flags.writeable) == (np.uint8, True, True)


@pytest.mark.parametrize(
    ("kind", "options"), [("JPEG", {}), ("JPEG", {"progressive": True}), ("WEBP", {}), ("GIF", {})]
)
def test_lossy_files_come_back_nearly(kind, options):
    """Colours survive in RGB order."""
    assert gap(decoded(encoded(PART, kind, **options))) < NEARLY


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(kind, orientation):
    """A picture that the camera stored turned is seen upright."""
    assert gap(decoded(with_orientation(PART, orientation, kind))) < NEARLY


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sixteen_bit_tiff_orientation_is_applied(orientation):
    """The path for deep pictures turns them just as well."""
    exif_turned = np.array(Image.open(io.BytesIO(with_orientation(PART[..., :1].repeat(3, 2), orientation, "PNG"))))
    buffer = io.BytesIO()
    Image.fromarray(exif_turned[..., 0].astype(np.uint16) * 257).save(buffer, "TIFF", tiffinfo={274: orientation})
    assert gap(decoded(buffer.getvalue()), PART[..., :1].repeat(3, 2)) == 0


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("bits", [12, 16])
def test_deep_pictures_are_scaled_by_their_range(suffix, bits):
    """16 bits, and 12 bits in 16, come back as the 8 bits they were drawn with, in RGB order."""
    assert gap(decoded(sixteen_bit(PART, suffix, bits))) < 0.6
    assert gap(decoded(sixteen_bit(PART[..., 1], suffix, bits)), PART[..., 1:2].repeat(3, 2)) < 0.6


def test_grey_becomes_three_equal_channels():
    """A grey camera's picture has the shape that all others have."""
    assert np.array_equal(decoded(encoded(PART[..., 0].copy(), "PNG")), PART[..., :1].repeat(3, 2))


def test_cmyk_jpeg_keeps_its_colours():
    """Print colours are converted, not inverted."""
    buffer = io.BytesIO()
    Image.fromarray(PART).convert("CMYK").save(buffer, "JPEG", quality=95)
    assert gap(decoded(buffer.getvalue())) < 5


def test_transparent_places_show_white():
    """What a transparent pixel hides is never judged."""
    alpha = np.full((*PART.shape[:2], 1), 255, np.uint8)
    alpha[:, :40] = 0
    expected = PART.copy()
    expected[:, :40] = 255
    eight = np.dstack([PART, alpha])
    deep = cv2.imencode(".png", eight[..., [2, 1, 0, 3]].astype(np.uint16) * 257)[1].tobytes()
    assert gap(decoded(encoded(eight, "PNG")), expected) == 0
    assert gap(decoded(deep), expected) == 0


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_picture_counts(kind):
    """Also where later pictures are quite different."""
    data = encoded(PART, kind, save_all=True, append_images=[Image.fromarray(255 - PART)])
    assert gap(decoded(data)) < NEARLY


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize(("kind", "options"), [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("BMP", {})])
def test_a_truncated_file_is_refused(kind, options, share):
    """A frame whose lower part is missing is not filled up with grey and judged."""
    data = encoded(np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8), kind, **options)
    with pytest.raises(UnreadableImageError, match="copy it again"):
        decoded(data[: int(len(data) * share)])


def test_a_truncated_jpeg_with_a_whole_thumbnail_is_refused():
    """The thumbnail's end marker does not pass for the picture's."""
    data = encoded(PART, "JPEG")
    thumbnail = encoded(PART[::4, ::4].copy(), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    whole = data[:2] + segment + data[2:]
    assert gap(decoded(whole)) < NEARLY
    with pytest.raises(UnreadableImageError, match="truncated"):
        decoded(whole[:-200])


def test_bytes_after_the_end_of_a_jpeg_do_no_harm():
    """Cameras append their own data."""
    assert gap(decoded(encoded(PART, "JPEG") + b"camera data" * 50)) < NEARLY


@pytest.mark.parametrize("data", [huge_png(), huge_jpeg()], ids=["png", "jpeg"])
def test_a_decompression_bomb_is_refused_from_its_header(data, monkeypatch):
    """900 megapixels are refused before a pixel is decoded."""
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(UnreadableImageError, match="megapixels"):
        decoded(data)


def test_pixels_without_a_scale_are_refused():
    """32-bit float pixels have no agreed white; the message says what to save instead."""
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.float32)).save(buffer, "TIFF")
    with pytest.raises(UnreadableImageError, match="8 or 16 bit"):
        decoded(buffer.getvalue())


def test_the_error_names_the_source():
    """Whoever reads it knows which file is meant."""
    with pytest.raises(UnreadableImageError, match=r"^frame\.png: the file is empty"):
        decoded(b"")


def test_damage_is_not_told_on_stderr(capfd):
    """OpenCV's own warnings stay away from the terminal."""
    for data in (encoded(PART, "PNG")[:300], sixteen_bit(PART)[:300], encoded(PART, "JPEG")[:500]):
        with pytest.raises(UnreadableImageError):
            decoded(data)
    assert capfd.readouterr().err == ""
