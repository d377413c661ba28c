"""A folder that camera software fills: each picture once, as soon as it is written to its end."""

from __future__ import annotations

import os
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from inspection.decoding import decode_image
from inspection.errors import UnreadableImageError
from pipeline.cameras.camera import CameraLostError, Shot
from pipeline.cameras.sidecar import Sidecar, SidecarError, read_sidecar
from pipeline.reading import FRAME_SUFFIXES, natural_order, read_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import numpy as np
    from numpy.typing import NDArray

SHORTEST_PAUSE, LONGEST_PAUSE = 0.03, 0.3  # seconds between two looks: while frames come, when none does
SCAN_SHARE = 5  # looking takes at most a fifth of the time, however many files there are
END_MARKS = {".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9", ".jpe": b"\xff\xd9", ".jfif": b"\xff\xd9", ".png": b"IEND"}
TAIL = 16  # bytes in which the end mark stands
UNCHANGED_SECONDS = 0.2  # a file without an end mark is complete once it has not changed for so long


@dataclass(kw_only=True)
class _Arrival:
    """A file on its way in: its state at the last look, and since when (`time.monotonic()`) it has been so."""

    frame: str
    path: Path
    came: float | None
    stamp: tuple[int, int] | None = None  # size, mtime in ns
    since: float = 0.0
    tried: bool = False
    look_at: float = 0.0


class FolderCamera:
    """Gives what lies in a folder in natural order, then each new picture as it comes, sub-folders too.

    `frame` is the posix path relative to the folder, `part_id` the file's stem or what a sidecar says (see
    `pipeline.cameras.sidecar`). A picture that is still being written is waited for; the others pass it meanwhile. One
    that does not become a picture is handed over with its problem. A name is given once, as long as it lies there: a
    file that is overwritten is the same frame. `captured` counts from when a file was first seen (this machine's clock,
    not that of a file server); for what lay there at `open`, from when it is given.

    The folder is looked at again and again: the kernel's notices (inotify) do not tell of what other machines write
    into a network share.

    Args:
        folder: where the pictures come.
        seen: names of frames that are known already and are not given again.
        sidecar: whether a JSON file beside a picture names its part; one that is damaged makes the frame a problem.
        settle_seconds: how long an incomplete file must not have changed to be handed over as it is.
    """

    live = False
    every_frame_a_part = True

    def __init__(
        self, folder: Path, *, seen: Collection[str] = (), sidecar: bool = True, settle_seconds: float = 5.0
    ) -> None:
        self.name = str(folder)
        self.folder = folder
        self._sidecar = sidecar
        self._settle_seconds = settle_seconds
        self._known = set(seen)  # given, or in hand
        self._new: deque[_Arrival] = deque()
        self._unfinished: list[_Arrival] = []
        self._identity: tuple[int, int] | None = None
        self._next_look = self._last_arrival = 0.0

    def pass_over(self, seen: Collection[str]) -> None:
        """Names of further frames that are known already and are not given again; before it is opened."""
        self._known |= set(seen)

    def open(self) -> None:
        """Look at what is there.

        Raises:
            CameraLostError: there is no such folder, or it can't be entered.
        """
        self.close()
        self._identity = self._identify()
        self._last_arrival = time.monotonic()
        self._look(at_open=True)

    def read(self, seconds: float) -> Shot | None:
        """The next picture; None where none was complete within `seconds`.

        Raises:
            CameraLostError: the folder is gone, or another one is in its place (an unmounted share).
        """
        if self._identity is None:
            message = f"{self.name} is not open; open it first"
            raise CameraLostError(message)
        until = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            if now >= self._next_look:
                self._look()
            if shot := self._next_complete():
                return shot
            pause = min(self._next_look, until) - time.monotonic()
            if time.monotonic() >= until:
                return None
            time.sleep(max(pause, 0.0))

    def close(self) -> None:
        """Forget what is in hand and not given; it is found again."""
        self._known -= self._in_hand()
        self._new.clear()
        self._unfinished.clear()
        self._identity = None

    def _identify(self) -> tuple[int, int]:
        try:
            status = self.folder.stat()
        except OSError as error:
            raise self._lost(error) from error
        return status.st_dev, status.st_ino

    def _look(self, *, at_open: bool = False) -> None:
        begin = time.monotonic()
        if self._identify() != self._identity:
            message = f"{self.name}: another folder is in its place, as when a share is unmounted; mount it again"
            raise CameraLostError(message)
        present = dict(self._scan(str(self.folder), ""))
        came = [frame for frame in present if frame not in self._known]
        for frame in sorted(came, key=natural_order):
            self._new.append(_Arrival(frame=frame, path=Path(present[frame]), came=None if at_open else begin))
        self._drop_what_is_gone(present.keys())
        if present:  # an empty folder makes nothing forgotten: a share may be unmounted
            self._known &= present.keys() | self._in_hand()
        self._known.update(came)
        end = time.monotonic()
        if came:
            self._last_arrival = end
        quiet = min(max((end - self._last_arrival) / 20, SHORTEST_PAUSE), LONGEST_PAUSE)
        self._next_look = end + max(quiet, SCAN_SHARE * (end - begin))

    def _scan(self, folder: str, prefix: str) -> Iterator[tuple[str, str]]:
        """Names and paths of all that is a frame by its suffix; a sub-folder that can't be entered is one too."""
        try:
            with os.scandir(folder) as entries:
                found = [(entry.name, entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except FileNotFoundError as error:
            if prefix:
                return  # deleted meanwhile
            raise self._lost(error) from error
        except OSError as error:
            if not prefix or not isinstance(error, PermissionError):
                raise self._lost(error) from error
            yield prefix.rstrip("/"), folder
            return
        for name, path, is_folder in found:
            if name.startswith("."):
                continue
            frame = prefix + (name if name.isascii() else name.encode("utf-8", "backslashreplace").decode("utf-8"))
            if os.path.splitext(name)[1].lower() in FRAME_SUFFIXES:  # noqa: PTH122 - many times faster than Path
                yield frame, path
            if is_folder:
                yield from self._scan(path, f"{frame}/")

    def _drop_what_is_gone(self, present: Collection[str]) -> None:
        """A file renamed or deleted before it was complete was no frame."""
        gone = [one for one in self._unfinished if one.frame not in present]
        self._unfinished = [one for one in self._unfinished if one.frame in present]
        self._known.difference_update(one.frame for one in gone)

    def _in_hand(self) -> set[str]:
        return {arrival.frame for arrival in (*self._new, *self._unfinished)}

    def _lost(self, error: OSError) -> CameraLostError:
        why = "no such folder" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        return CameraLostError(f"{self.name} can't be read, {why}; check the path, the share and its permissions")

    def _next_complete(self) -> Shot | None:
        """The first picture that is complete; what is not yet stands aside."""
        now = time.monotonic()
        for arrival in [one for one in self._unfinished if one.look_at <= now]:
            if shot := self._try(arrival):
                self._unfinished.remove(arrival)
                return shot
        while self._new:
            arrival = self._new.popleft()
            self._unfinished.append(arrival)
            if shot := self._try(arrival):
                self._unfinished.pop()
                return shot
        return None

    def _try(self, arrival: _Arrival) -> Shot | None:
        """The shot, if the file is complete or will not become so; None, and when to look again, if it is not."""
        now = time.monotonic()
        arrival.look_at = now + SHORTEST_PAUSE
        stamp = _stamp(arrival.path)
        if stamp != arrival.stamp:
            arrival.stamp, arrival.since, arrival.tried = stamp, now, False
        settled = now - arrival.since >= self._settle_seconds
        if not settled and (arrival.tried or not _looks_complete(arrival, now)):
            return None
        try:
            sidecar = read_sidecar(arrival.path) if self._sidecar else None
        except SidecarError as error:
            return _shot(arrival, None, str(error)) if settled else None
        arrival.tried = True
        shot = _shot(arrival, sidecar, None)
        return shot if shot.problem is None or settled else None


def _stamp(path: Path) -> tuple[int, int]:
    """Size and mtime in ns; negative where they can't be told (a link that leads nowhere)."""
    try:
        status = path.stat()
    except OSError as error:
        return -1, error.errno or 0
    return status.st_size, status.st_mtime_ns


def _looks_complete(arrival: _Arrival, now: float) -> bool:
    """Whether the file ends as its kind ends, or has not changed for a while."""
    if now - arrival.since >= UNCHANGED_SECONDS:
        return True
    mark = END_MARKS.get(arrival.path.suffix.lower())
    if mark is None:
        return False
    try:
        with arrival.path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            return mark in file.read(TAIL)
    except OSError:
        return False


def _shot(arrival: _Arrival, sidecar: Sidecar | None, problem: str | None) -> Shot:
    now, captured = datetime.now(UTC), time.monotonic()
    stamp = arrival.stamp or (-1, 0)
    written = datetime.fromtimestamp(stamp[1] / 1e9, UTC) if stamp[0] >= 0 else now
    data, unreadable = read_bytes(arrival.path)
    image, undecodable = _decoded(data, arrival.frame) if not (problem or unreadable) else (None, None)
    said = sidecar or Sidecar()
    return Shot(
        image=image,
        problem=problem or unreadable or undecodable,
        captured_at=said.captured_at or written,
        captured=captured if arrival.came is None else arrival.came,
        frame=arrival.frame,
        part_id=said.part_id or Path(arrival.frame).stem,
        data=None if unreadable else data,
        suffix=arrival.path.suffix.lower(),
    )


def _decoded(data: bytes, frame: str) -> tuple[NDArray[np.uint8] | None, str | None]:
    try:
        return decode_image(data, source=frame), None
    except UnreadableImageError as error:
        return None, str(error).removeprefix(f"{frame}: ")
    except MemoryError:
        return None, "no memory left to decode it; let fewer frames wait"
