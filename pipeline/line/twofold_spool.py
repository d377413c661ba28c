"""The spool on disk, and one in memory for as long as the disk is full to the last: the line is told all the same."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pipeline.records import Spool, SpooledPart, SpoolFullError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MOST_IN_MEMORY: Final = 20_000


class TwofoldSpool:
    """Parts go to the disk; where that is full, to memory, and from there to the disk once it has room again.

    Safe to use from several threads. Methods raise RecordsError where the file is broken rather than full.

    Args:
        path: the spool's file.
        sinks: names of all receivers; a part stays until each was told.
        remember_as: where frames come from, if their names are remembered, so that a folder gives none twice.
    """

    def __init__(self, path: Path, *, sinks: Sequence[str], remember_as: str | None) -> None:
        self._lock = threading.RLock()
        self._file = Spool(path)
        self._memory = Spool(None)
        self._in_memory = 0
        self._sinks = tuple(sinks)
        self._remember_as = remember_as
        self._file.forget_sinks(self._sinks)
        self._next = self._file.next_sequence()
        self._newest_decided = self._next - 1
        self.dropped = 0

    def close(self) -> None:
        """Close both."""
        self._file.close()
        self._memory.close()

    @property
    def durable(self) -> bool:
        """Whether all there is to keep is on disk."""
        return self._in_memory == 0

    @property
    def roomy(self) -> bool:
        """Whether the disk is not full."""
        return self._file.reserved

    def next_sequence(self) -> int:
        """The number of the next part."""
        return self._next

    def newest_decided(self) -> int:
        """The highest number of a part that was decided."""
        return self._newest_decided

    def skip_to(self, sequence: int) -> None:
        """Let the next part have `sequence` at least."""
        with self._lock:
            self._file.skip_to(sequence)
            self._next = max(self._next, sequence)
            self._newest_decided = max(self._newest_decided, self._next - 1)

    def undecided(self) -> list[SpooledPart]:
        """Parts that an earlier run took in and did not decide."""
        return self._file.undecided()

    def admit(self, part: SpooledPart) -> None:
        """Write a part down; its sequence must be `next_sequence()`."""
        with self._lock:
            try:
                self._file.admit([part], seen_as=self._remember_as)
            except SpoolFullError:
                self._keep_in_memory(part)
            self._next = part.sequence + 1

    def decide(self, part: SpooledPart) -> bool:
        """Write down what is told and recorded of an admitted part; it must have signal, record and batch.

        Returns:
            False where the disk is full, and nothing was written: then `decide_in_memory`.
        """
        with self._lock:
            if not self.durable and self._memory.has(part.sequence):
                return False
            try:
                self._file.decide(part.sequence, signal=part.signal or "", record=part.record or "", batch=part.batch)
            except SpoolFullError:
                return False
            self._newest_decided = max(self._newest_decided, part.sequence)
            return True

    def amend(self, sequence: int, *, signal: str | None = None, record: str | None = None) -> None:
        """Write down other words for a decided part, before anybody is told of them; not where the disk is full."""
        with self._lock:
            if not self.durable:
                self._memory.amend(sequence, signal=signal, record=record)
            with suppress(SpoolFullError):
                self._file.amend(sequence, signal=signal, record=record)

    def decide_in_memory(self, part: SpooledPart) -> None:
        """The same where the disk is full. A kill would lose it, so it must not let a part pass."""
        with self._lock:
            self._keep_in_memory(part)
            self._newest_decided = max(self._newest_decided, part.sequence)

    def to_tell(self, sink: str, limit: int) -> list[SpooledPart]:
        """Decided parts of which `sink` was not told, in their order, none behind one that is not decided."""
        told = self.told(sink)
        with self._lock:
            parts = {part.sequence: part for part in self._file.after(told, limit)}
            if not self.durable:
                parts |= {part.sequence: part for part in self._memory.after(told, limit)}
        ready = []
        for sequence in sorted(parts):
            if parts[sequence].signal is None:
                break
            ready.append(parts[sequence])
        return ready[:limit]

    def told(self, sink: str) -> int:
        """The newest part that `sink` was told of; 0 where it was told of none."""
        with self._lock:
            return max(self._file.told(sink), 0 if self.durable else self._memory.told(sink))

    def untold(self) -> int:
        """How many decided parts the receiver that lags most has not been told of."""
        with self._lock:
            told = min((self.told(sink) for sink in self._sinks), default=self._newest_decided)
            return self._file.untold(told) + (0 if self.durable else self._memory.untold(told))

    def mark_told(self, sink: str, sequence: int) -> None:
        """`sink` was told of this part and all before it."""
        with self._lock:
            try:
                self._file.mark_told(sink, sequence)
            except SpoolFullError:
                self._in_memory += not self._in_memory
                self._memory.mark_told(sink, sequence)

    def to_record(self, limit: int) -> list[SpooledPart]:
        """Decided parts whose record is still to be written, in their order."""
        with self._lock:
            parts = {part.sequence: part for part in self._file.to_record(limit)}
            if not self.durable:
                parts |= {part.sequence: part for part in self._memory.to_record(limit)}
            return [parts[sequence] for sequence in sorted(parts)][:limit]

    def unrecorded(self) -> int:
        """How many decided parts have no record yet."""
        return self._file.unrecorded() + (0 if self.durable else self._memory.unrecorded())

    def mark_recorded(self, sequences: Sequence[int]) -> None:
        """Their records are written; what everybody was told of goes."""
        with self._lock:
            if not self.durable:
                self._memory.mark_recorded(sequences, self._sinks)
            with suppress(SpoolFullError):  # then they are recorded once more, under the same keys
                self._file.mark_recorded(sequences, self._sinks)

    def restore(self) -> None:
        """Take the space kept free again, and bring to the disk what had to be kept in memory, where there is room."""
        with self._lock:
            if not self._file.reserve() or self.durable:
                return
            try:
                for sink in self._sinks:
                    self._file.mark_told(sink, max(self._file.told(sink), self._memory.told(sink)))
                for part in self._memory.after(0, MOST_IN_MEMORY):
                    if part.record != "":
                        self._file.keep(part, seen_as=self._remember_as)
                    else:
                        self._file.mark_recorded([part.sequence], self._sinks)
                self._file.mark_recorded(self._left_behind(), self._sinks)
            except SpoolFullError:
                return
            self._memory.close()
            self._memory, self._in_memory = Spool(None), 0

    def _left_behind(self) -> list[int]:
        """Parts that came to the disk and were decided, told and recorded in memory: the disk knows of no end."""
        told = min((self._file.told(sink) for sink in self._sinks), default=0)
        waiting = self._file.undecided()
        return [one.sequence for one in waiting if one.sequence <= told and not self._memory.has(one.sequence)]

    def _keep_in_memory(self, part: SpooledPart) -> None:
        self._memory.keep(part, seen_as=None)
        self._in_memory = self._memory.count()
        if self._in_memory > MOST_IN_MEMORY:
            self._memory.remove([part.sequence for part in self._memory.after(0, 1)])
            self.dropped += 1
