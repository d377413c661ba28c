"""Signals into a file: one JSON line each, on a disk that stays bounded."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from inspection.durable import write_text
from pipeline.signals.address import checked_name
from pipeline.signals.farewell import farewell
from pipeline.signals.sink import SinkLostError
from pipeline.signals.told import told_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.signals.message import Signal, StateReport
    from pipeline.signals.sink import Acknowledgement

logger = logging.getLogger(__name__)

DEFAULT_BYTES = 16_000_000
DEFAULT_FILES = 8
_BLOCK = 65536


class FileSink:
    """Appends signals to `path`, whole lines only; the state stands in `<name>.state.json` beside it.

    At `limit` bytes the file becomes `<name>.1`, that one `<name>.2` and so on; `files` are kept in all. A state
    whose stamp is older than a few heartbeats says that nobody reports any more.
    """

    acknowledges = False

    def __init__(self, path: Path, *, line: str, limit: int = DEFAULT_BYTES, files: int = DEFAULT_FILES) -> None:
        self.path = path
        self.line = checked_name(line, "the name of a line")
        self.limit = limit
        self.files = files
        self.state_path = path.with_name(f"{path.stem}.state.json")
        self._file: int | None = None
        self._alone = FileLock(path.with_name(f".{path.name}.lock"), thread_local=False)
        self._reported: StateReport | None = None

    @property
    def name(self) -> str:
        """`file:` and the path."""
        return f"file:{self.path}"

    def open(self) -> None:
        """Open the file, cut off what was left torn, and make its folder.

        Raises:
            SinkLostError: the file can't be opened or mended, holds something else or another line's signals, or is
                being written by another line.
        """
        self._drop()
        with self._as_lost("can't be opened; mend the path, its rights or the disk"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._be_alone()
            for abandoned in self.path.parent.glob(f".{self.state_path.name}.*"):
                abandoned.unlink(missing_ok=True)
            self._require_ours()
            self._file = _open_to_append(self.path)
            _mend(self.path, self._file)

    def last_sequence(self) -> int | None:
        """The newest line's, also where the file was just rotated away.

        Raises:
            SinkLostError: the file can't be read.
        """
        with self._as_lost("can't be read; mend the path, its rights or the disk"):
            for path in (self.path, *self._older()):
                if path.exists() and (found := _newest(path)) is not None:
                    return int(found["sequence"])
        return None

    def send(self, signal: Signal) -> None:
        """Append one line; when the disk is full nothing of it stays.

        Raises:
            SinkLostError: the file is not open, or can't be written.
        """
        line = f"{signal.to_json()}\n".encode()
        with self._as_lost("can't be written; make room on the disk or mend the path"):
            _append(*self._place_for(line), line)

    def report(self, state: StateReport) -> None:
        """Replace the state in one step.

        Raises:
            SinkLostError: it can't be written.
        """
        with self._as_lost("has a state that can't be written; make room on the disk or mend the path"):
            write_text(self.state_path, f"{state.to_json()}\n")
        self._reported = state

    def acknowledgements(self) -> tuple[Acknowledgement, ...]:
        """None: a file confirms nothing."""
        return ()

    def close(self) -> None:
        """Say that nothing more comes, and close the file."""
        last = farewell(self._reported)
        if last is not None:
            try:
                self.report(last)
            except SinkLostError as error:
                logger.warning("%s", error)
        self._reported = None
        self._drop()

    def _drop(self) -> None:
        self._close_file()
        self._alone.release()

    def _close_file(self) -> None:
        if self._file is not None:
            descriptor, self._file = self._file, None
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _be_alone(self) -> None:
        try:
            self._alone.acquire(timeout=0)
        except Timeout as error:
            message = f"{self.path} is being written by another line; give each line a file of its own"
            raise SinkLostError(message) from error

    @contextlib.contextmanager
    def _as_lost(self, what: str) -> Iterator[None]:
        """Any error of the disk means that the file is lost until it is opened again."""
        try:
            yield
        except OSError as error:
            self._drop()
            problem, _, remedy = what.partition("; ")
            message = f"{self.path} {problem} ({error.strerror or type(error).__name__}); {remedy}"
            raise SinkLostError(message) from error

    def _place_for(self, line: bytes) -> tuple[int, int]:
        """The open file that `line` is to go to, with its size: a new one if this one is full or was moved away."""
        if self._file is None:
            message = f"{self.path} is not open; open it first"
            raise SinkLostError(message)
        ours = os.fstat(self._file)
        if not self.path.exists() or not os.path.samestat(ours, self.path.stat()):
            self._file = self._reopened()
        elif ours.st_size and ours.st_size + len(line) > self.limit:
            self._rotate()
            self._file = self._reopened()
        return self._file, os.fstat(self._file).st_size

    def _older(self) -> list[Path]:
        return [self.path.with_name(f"{self.path.name}.{number}") for number in range(1, self.files)]

    def _rotate(self) -> None:
        """Push the files on by one, the oldest out; killed between two, it leaves a gap that the next one closes."""
        chain = [self.path, *self._older()]
        gap = next((i for i, path in enumerate(chain) if not path.exists()), len(chain) - 1)
        for i in range(gap, 0, -1):
            chain[i - 1].replace(chain[i])

    def _reopened(self) -> int:
        self._close_file()
        return _open_to_append(self.path)

    def _require_ours(self) -> None:
        """Refuse to mend, and so to cut, a file that holds anything but this line's signals."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            start = file.read(_BLOCK)
        first, whole, _ = start.partition(b"\n")
        key = b'{"line": '
        text = first.lstrip(b"\0")
        if text and not (text.startswith(key) if len(text) >= len(key) else key.startswith(text)):
            message = f"{self.path} holds something other than signals; name another file"
            raise SinkLostError(message)
        found = told_values(first) if whole else None
        if found is not None and found["line"] != self.line:
            message = f"{self.path} holds the signals of line {found['line']}; give each line a file of its own"
            raise SinkLostError(message)


def _open_to_append(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _append(descriptor: int, size: int, line: bytes) -> None:
    """Append all of `line` or nothing: what a full disk took in is cut off again."""
    if os.write(descriptor, line) != len(line):
        os.ftruncate(descriptor, size)
        raise OSError(errno.ENOSPC, "no room for a whole line")


def _mend(path: Path, descriptor: int) -> None:
    """Cut off everything behind the newest whole signal."""
    size = os.fstat(descriptor).st_size
    kept = next((end for end, line in _lines_backwards(path) if told_values(line) is not None), 0)
    if kept < size:
        logger.warning("%s ended in %d torn bytes; they were cut off", path, size - kept)
        os.ftruncate(descriptor, kept)


def _newest(path: Path) -> dict[str, Any] | None:
    return next((found for _, line in _lines_backwards(path) if (found := told_values(line)) is not None), None)


def _lines_backwards(path: Path) -> Iterator[tuple[int, bytes]]:
    """The file's whole lines, last one first, each with the offset behind its line end; a torn end is left out."""
    with path.open("rb") as file:
        start = file.seek(0, os.SEEK_END)
        rest = b""
        while start:
            step = min(_BLOCK, start)
            start = file.seek(start - step)
            rest = file.read(step) + rest
            while (end := rest.rfind(b"\n")) >= 0:
                before = rest.rfind(b"\n", 0, end)
                if before < 0 and start:
                    break
                yield start + end + 1, rest[before + 1 : end]
                rest = rest[: before + 1]
