"""A hundred files that a night's folder may hold and nobody wants: written here, each with what is to become of it."""

from __future__ import annotations

import io
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

TRUNCATIONS = {".jpg": 8, ".png": 8, ".bmp": 2, ".tif": 2, ".webp": 3, ".gif": 3}
FORMATS = {".jpg": "JPEG", ".png": "PNG", ".bmp": "BMP", ".tif": "TIFF", ".webp": "WEBP", ".gif": "GIF"}
TEXTS = {"notes.png": "not an image\n" * 20, "page.jpg": "<html></html>", "table.tif": "a,b\n1,2\n", "data.webp": "{}"}
NAMES = ("with space.png", "Ünïcödé 部品.png", 'quote\'s "two".png', "-dash.png", "100%.PNG", f"{'long' * 50}.png")


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """Whether the file reads as an image; where not, a word that its problem must hold."""

    reads: bool
    says: str = ""


READS = Expectation(reads=True)


def write_bad_inputs(folder: Path) -> dict[str, Expectation]:
    """Write 100 entries into `folder`, all named like images; name to what reading it must give."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {**_broken(), **_odd_pixels(), **_odd_shapes(), **_odd_names()}
    for name, (data, _) in contents.items():
        (folder / name).write_bytes(data)
    expectations = {name: expectation for name, (_, expectation) in contents.items()}
    expectations |= _odd_entries(folder)
    assert len(expectations) == 100, len(expectations)
    return expectations


def drawn_part(width: int = 96, height: int = 72) -> np.ndarray:
    """A part that looks different in each of its eight orientations: RGB uint8 (height, width, 3)."""
    image = np.full((height, width, 3), 180, np.uint8)
    cv2.rectangle(image, (width // 8, height // 6), (width // 2, height - height // 6), (40, 90, 160), -1)
    cv2.circle(image, (width * 3 // 4, height // 3), height // 5, (200, 60, 40), -1)
    cv2.line(image, (width // 2, height - 8), (width - 6, height - 14), (20, 20, 20), 3)
    return image


def encoded(image: np.ndarray, kind: str, **options: object) -> bytes:
    """The picture as a file of Pillow's format `kind`."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def with_orientation(image: np.ndarray, orientation: int, kind: str = "JPEG") -> bytes:
    """A file stored turned, with the EXIF orientation that turns it back to `image`."""
    stored = {
        1: image,
        2: image[:, ::-1],
        3: image[::-1, ::-1],
        4: image[::-1],
        5: image.transpose(1, 0, 2),
        6: np.rot90(image),
        7: image[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(image, 3),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(np.ascontiguousarray(stored), kind, exif=exif.tobytes())


def sixteen_bit(image: np.ndarray, suffix: str = ".png", bits: int = 16) -> bytes:
    """An RGB or grey uint8 picture as a file with 16-bit channels, of which `bits` are used."""
    deep = (image.astype(np.uint16) * 257) >> (16 - bits)
    return cv2.imencode(suffix, deep[..., ::-1] if deep.ndim == 3 else deep)[1].tobytes()


def huge_png(side: int = 30_000) -> bytes:
    """A black 1-bit PNG of side x side pixels in some 100 kB: a decompression bomb."""
    packer = zlib.compressobj(1)
    rows = bytes(100 * (1 + (side + 7) // 8))
    packed = b"".join(packer.compress(rows) for _ in range(side // 100)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def huge_jpeg(side: int = 30_000) -> bytes:
    """A small JPEG whose header claims side x side pixels."""
    data = encoded(drawn_part(), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", side, side) + data[at + 4 :]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _refused(says: str = "") -> Expectation:
    return Expectation(reads=False, says=says)


def _broken() -> dict[str, tuple[bytes, Expectation]]:
    part = drawn_part()
    whole = {suffix: encoded(part, kind) for suffix, kind in FORMATS.items()}
    jpeg, png = whole[".jpg"], whole[".png"]
    found = {}
    for suffix, count in TRUNCATIONS.items():
        for index in range(count):
            length = max(4, len(whole[suffix]) * (index + 1) // (count + 1))
            found[f"truncated_{index}{suffix}"] = (whole[suffix][:length], _refused())
    for suffix in (".jpg", ".png", ".bmp", ".tif", ".webp"):
        found[f"zero_bytes{suffix}"] = (b"", _refused("empty"))
    for suffix, data in whole.items():
        found[f"signature_only{suffix}"] = (data[:3], _refused())
    found |= {name: (text.encode(), _refused("not an image")) for name, text in TEXTS.items()}
    noise = np.random.default_rng(0).bytes(5000)
    found |= {f"noise{suffix}": (noise, _refused("not an image")) for suffix in (".png", ".jpg")}
    found |= {f"nulls{suffix}": (bytes(5000), _refused("not an image")) for suffix in (".png", ".jpg")}
    found["no_end.jpg"] = (jpeg[:-2], _refused("end marker"))
    found["null_tail.jpg"] = (jpeg[: len(jpeg) // 2] + bytes(len(jpeg) // 2), _refused("end marker"))
    found["no_end_deep.png"] = (sixteen_bit(part)[:-14], _refused("16-bit"))
    found["float.tif"] = (encoded(part[..., 0].astype(np.float32), "TIFF"), _refused("8 or 16 bit"))
    found["damaged.png"] = (png[:90] + bytes(60) + png[150:], _refused("damaged"))
    return found


def _odd_pixels() -> dict[str, tuple[bytes, Expectation]]:
    part = drawn_part()
    grey, picture = part[..., 0].copy(), Image.fromarray(part)
    clear = np.dstack([part, np.where(np.arange(part.shape[1]) < 48, 255, 0)[None].repeat(72, 0)]).astype(np.uint8)
    negative = [Image.fromarray(255 - part)]
    files = {
        "deep.png": sixteen_bit(part),
        "deep_grey.png": sixteen_bit(grey),
        "deep.tif": sixteen_bit(part, ".tiff"),
        "deep_grey.tif": sixteen_bit(grey, ".tiff"),
        "twelve_bit.png": sixteen_bit(part, bits=12),
        "twelve_bit.tif": sixteen_bit(part, ".tiff", bits=12),
        "grey.jpg": encoded(grey, "JPEG"),
        "grey.png": encoded(grey, "PNG"),
        "grey_alpha.png": encoded(clear[..., 2:], "PNG"),
        "alpha.png": encoded(clear, "PNG"),
        "alpha.webp": encoded(clear, "WEBP"),
        "animated.gif": encoded(part, "GIF", save_all=True, append_images=negative),
        "animated.webp": encoded(part, "WEBP", save_all=True, append_images=negative),
        "animated.png": encoded(part, "PNG", save_all=True, append_images=negative),
        "pages.tif": encoded(part, "TIFF", save_all=True, append_images=negative),
        "a_png.jpg": encoded(part, "PNG"),
        "a_jpeg.png": encoded(part, "JPEG"),
    }
    for mode, name, kind in (("CMYK", "cmyk.jpg", "JPEG"), ("P", "palette.png", "PNG"), ("1", "one_bit.png", "PNG")):
        buffer = io.BytesIO()
        picture.convert(mode).save(buffer, kind)
        files[name] = buffer.getvalue()
    files |= {f"turned_{turn}.jpg": with_orientation(part, turn) for turn in range(1, 9)}
    return {name: (data, READS) for name, data in files.items()}


def _odd_shapes() -> dict[str, tuple[bytes, Expectation]]:
    dot = np.full((1, 1, 3), 90, np.uint8)
    found = {f"one_pixel.{kind.lower()}": (encoded(dot, kind), READS) for kind in ("PNG", "BMP", "GIF")}
    found["one_row.png"] = (encoded(dot.repeat(500, 1), "PNG"), READS)
    found["one_column.png"] = (encoded(dot.repeat(500, 0), "PNG"), READS)
    found["huge.png"] = (huge_png(), _refused("megapixels"))
    found["huge.jpg"] = (huge_jpeg(), _refused("megapixels"))
    return found


def _odd_names() -> dict[str, tuple[bytes, Expectation]]:
    data = encoded(drawn_part(), "PNG")
    return dict.fromkeys(NAMES, (data, READS))


def _odd_entries(folder: Path) -> dict[str, Expectation]:
    """Entries that are no plain files: folders, links, a pipe, a file that may not be read."""
    (folder / "folder.png").mkdir()
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "loop_one.jpg").symlink_to("loop_two.jpg")
    (folder / "loop_two.jpg").symlink_to("loop_one.jpg")
    (folder / "dangling.png").symlink_to("nowhere.png")
    (folder / "up.png").symlink_to("..", target_is_directory=True)
    (folder / "linked.png").symlink_to("deep.png")
    os.mkfifo(folder / "pipe.png")
    (folder / "no_permission.png").write_bytes(encoded(drawn_part(), "PNG"))
    (folder / "no_permission.png").chmod(0)
    may_read_all = os.geteuid() == 0
    return {
        "folder.png": _refused("folder"),
        "loop.png": _refused("link"),
        "loop_one.jpg": _refused("link"),
        "loop_two.jpg": _refused("link"),
        "dangling.png": _refused("link"),
        "up.png": _refused("folder"),
        "linked.png": READS,
        "pipe.png": _refused("pipe"),
        "no_permission.png": READS if may_read_all else _refused("permission"),
    }
