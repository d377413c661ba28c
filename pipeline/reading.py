"""Read: find the frames in files and folders, and decode each one without ever failing on a bad one."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from inspection.decoding import decode_image
from inspection.errors import UnreadableImageError
from inspection.verdicts import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

FRAME_SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm"}
    | {".tif", ".tiff", ".webp"}
)
MAX_BYTES = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class FrameFile:
    """Where one frame lies.

    `frame` is its id: the posix path relative to the folder that was given, or the file's name; `part_id` is the
    file's stem where nothing else names the part.
    """

    frame: str
    path: Path
    part_id: str


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One frame as it was read.

    `sha256` is of the file's bytes, "" where they can't be read; `captured_at` is the file's modification time in
    ISO 8601, UTC, "" where unknown; `image` is RGB uint8 (H, W, 3), or None, and then `problem` says why.
    """

    frame: str
    part_id: str
    sha256: str
    captured_at: str
    image: NDArray[np.uint8] | None
    problem: str | None


def list_frames(sources: Sequence[Path]) -> list[FrameFile]:
    """Find the frames in files and folders.

    A file that is named is always a frame, also one that does not exist (its problem is told when it is read). A
    folder is walked with its sub-folders, in natural order (`2.png` before `10.png`) of the relative path: every
    entry with an image's suffix is a frame, also a dangling link, a loop of links or a folder of such a name, so
    that nothing is lost unseen; so is a sub-folder that can't be entered. Hidden entries and other files
    (`notes.txt`) are passed over; links to folders are not followed. An entry met twice (a folder given twice, a
    file named and found) is one frame. Frames of several sources that would share an id go by their whole path.
    """
    found: dict[Path, FrameFile] = {}
    for source in sources:
        for file in _frames_of(source):
            found.setdefault(Path(os.path.abspath(file.path)), file)  # noqa: PTH100 - resolve() would follow links
    shared = Counter(file.frame for file in found.values())
    return [file if shared[file.frame] == 1 else _by_path(file) for file in found.values()]


def read_frame(file: FrameFile) -> Frame:
    """Read, hash and decode one frame. Bad input raises nothing: `problem` says what is wrong and what mends it."""
    sha256 = ""
    image = None
    data, problem = read_bytes(file.path)
    if problem is None:
        sha256 = hashlib.sha256(data).hexdigest()
        image, problem = _decoded(data, file.frame)
    return Frame(
        frame=file.frame,
        part_id=file.part_id,
        sha256=sha256,
        captured_at=_modified_at(file.path),
        image=image,
        problem=None if problem is None else f"{Reason.UNREADABLE.value}: {problem}",
    )


def read_bytes(path: Path) -> tuple[bytes, str | None]:
    """The bytes of a file and None, or b"" and why it can't be read, in words that name the remedy."""
    try:
        return _bytes_of(path), None
    except (OSError, ValueError) as error:
        return b"", _why(error)
    except MemoryError:
        return b"", "no memory left to read it; judge fewer frames at a time"


def _decoded(data: bytes, source: str) -> tuple[NDArray[np.uint8] | None, str | None]:
    try:
        return decode_image(data, source=source), None
    except UnreadableImageError as error:
        return None, str(error).removeprefix(f"{source}: ")
    except MemoryError:
        return None, "no memory left to decode it; judge fewer frames at a time"


def _frames_of(source: Path) -> list[FrameFile]:
    if not os.path.isdir(source):  # noqa: PTH112 - Path.is_dir raises inside a folder that can't be entered
        return [_frame_file(source.name, source)]
    relative = {path.relative_to(source).as_posix(): path for path in _walk(source)}
    return [_frame_file(name, relative[name]) for name in sorted(relative, key=natural_order)]


def _frame_file(frame: str, path: Path) -> FrameFile:
    return FrameFile(frame=_printable(frame), path=path, part_id=Path(_printable(frame)).stem)


def _by_path(file: FrameFile) -> FrameFile:
    return replace(file, frame=_printable(file.path.as_posix()))


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _walk(folder: Path) -> Iterator[Path]:
    """Yield all entries that are frames by their suffix, and the folders that can't be entered."""
    closed: list[Path] = []
    for at, folders, files in os.walk(folder, followlinks=False, onerror=lambda e: closed.append(Path(e.filename))):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in (*files, *folders):
            if not name.startswith(".") and Path(name).suffix.lower() in FRAME_SUFFIXES:
                yield Path(at, name)
    yield from closed


def natural_order(name: str) -> tuple[tuple[int, str | int], ...]:
    """Sort key under which runs of digits compare as numbers: `2.png` before `10.png`."""
    pieces = re.split(r"([0-9]+)", name)
    return (*((0, int(piece)) if piece.isdecimal() else (1, piece) for piece in pieces), (2, name))


def _modified_at(path: Path) -> str:
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC).isoformat(timespec="milliseconds")
    except (OSError, ValueError, OverflowError):
        return ""


def _bytes_of(path: Path) -> bytes:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        if not os.access(path, os.R_OK | os.X_OK):
            raise PermissionError
        raise OSError(None, "a folder, not an image; rename it")
    if not stat.S_ISREG(status.st_mode):
        raise OSError(None, "a device or pipe, not an image file")
    if status.st_size > MAX_BYTES:
        raise OSError(None, f"larger than {MAX_BYTES // 1_000_000} MB; no frame is")
    return path.read_bytes()


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, PermissionError):
        return "no permission to read it; `chmod a+r` mends that"
    if isinstance(error, FileNotFoundError):
        return "no such file, or a link whose target is gone"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
