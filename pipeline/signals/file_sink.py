"""Signals as lines of a file, for a PLC gateway that reads it, and as a log: the default that needs no receiver."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Final

from inspection.durable import write_text
from pipeline.signals.sink import SinkLostError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.signals.message import Signal, StateReport
    from pipeline.signals.sink import Acknowledgement

LARGEST_BYTES: Final = 20_000_000
KEPT_FILES: Final = 5
_TAIL_BYTES: Final = 65_536

logger = logging.getLogger(__name__)


class FileSink:
    """Appends a line of JSON per signal, and keeps the line's state in `<file>.state.json` beside it.

    A file of 20 MB is put aside as `<file>.1`, and so on; five are kept. A last line that was cut off by a full disk is
    taken away before the next.

    Args:
        path: the file; its folder is made.
    """

    acknowledges = False

    def __init__(self, path: Path) -> None:
        self.name = f"file:{path}"
        self._path = path
        self._state_path = path.with_name(f"{path.name}.state.json")
        self._file: int | None = None

    def open(self) -> None:
        """Open the file, and mend its end.

        Raises:
            SinkLostError: the file can't be written.
        """
        self.close()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._cut_torn_line(self._file)
        except OSError as error:
            raise self._lost(error) from error

    def last_sequence(self) -> int | None:
        """The sequence in the last line, of this file or the one put aside before it.

        Raises:
            SinkLostError: the file can't be read.
        """
        for path in (self._path, self._aside(1)):
            try:
                lines = _tail(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._lost(error) from error
            for line in reversed(lines):
                try:
                    return int(json.loads(line)["sequence"])
                except (ValueError, KeyError, TypeError):
                    logger.warning("%s has a line that is no signal", path)
        return None

    def send(self, signal: Signal) -> None:
        """Append a line.

        Raises:
            SinkLostError: the disk is full, or the file can't be written.
        """
        line = (signal.to_json() + "\n").encode()
        try:
            if self._file is None:
                self.open()
            file = self._file
            if file is None:
                raise OSError(None, "it is not open")  # noqa: TRY301 - said like all that ails the file
            size = os.fstat(file).st_size
            written = os.write(file, line)
            if written < len(line):
                os.ftruncate(file, size)
                raise OSError(None, "the disk is full")  # noqa: TRY301 - the same
            if size + written >= LARGEST_BYTES:
                self._put_aside()
        except OSError as error:
            raise self._lost(error) from error

    def report(self, state: StateReport) -> None:
        """Replace the state's file.

        Raises:
            SinkLostError: it can't be written.
        """
        try:
            write_text(self._state_path, state.to_json() + "\n")
        except OSError as error:
            raise self._lost(error) from error

    def acknowledgements(self) -> Sequence[Acknowledgement]:
        """None: nobody answers in a file."""
        return ()

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _cut_torn_line(self, file: int) -> None:
        size = os.fstat(file).st_size
        start = max(0, size - _TAIL_BYTES)
        tail = os.pread(file, size - start, start)
        whole = tail.rfind(b"\n") + 1
        if whole < len(tail):
            os.ftruncate(file, start + whole)

    def _put_aside(self) -> None:
        """Move all kept files up by one; the oldest goes."""
        self.close()
        for number in range(KEPT_FILES - 1, 0, -1):
            younger = self._path if number == 1 else self._aside(number - 1)
            if younger.exists():
                younger.replace(self._aside(number))

    def _aside(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _lost(self, error: OSError) -> SinkLostError:
        self.close()
        return SinkLostError(f"{self._path} can't be written: {error.strerror or error}; free space or mend its folder")


class LogSink:
    """Signals as log lines: PASS as information, all else as warnings."""

    name = "log:"
    acknowledges = False

    def open(self) -> None:
        """Always there."""

    def last_sequence(self) -> int | None:
        """A log can't be asked."""
        return None

    def send(self, signal: Signal) -> None:
        """Log it."""
        level = logging.INFO if signal.verdict == "PASS" else logging.WARNING
        logger.log(level, "%s %d %s: %s", signal.line, signal.sequence, signal.part_id, signal.reason or signal.verdict)

    def report(self, state: StateReport) -> None:
        """States are events, and logged as such."""

    def acknowledgements(self) -> Sequence[Acknowledgement]:
        """None."""
        return ()

    def close(self) -> None:
        """Nothing to close."""


def _tail(path: Path) -> list[bytes]:
    """The whole lines at the end of a file."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        data = file.read()
    return data[: data.rfind(b"\n") + 1].splitlines()
