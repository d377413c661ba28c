"""Shards: a batch split among workers by the names of its frames, so that none of them needs a list."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from inspection.errors import CalibrationError, GoldentwinError
from inspection.reference_set import is_plain_name
from pipeline.reading import list_frames

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.reading import FrameFile


class ShardError(GoldentwinError):
    """A shard that can't be."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Shard `number` (from 1) of `of`.

    `batch` and `key` are those of the batch that was planned as a whole; "" where this plan is the whole.
    """

    number: int = 1
    of: int = 1
    batch: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        """Refuse what can't be.

        Raises:
            ShardError: there is no shard of that number, or no batch may be called so.
        """
        if not 1 <= self.number <= self.of:
            message = f"there is no shard {self.number} of {self.of}"
            raise ShardError(message)
        if self.batch and not is_plain_name(self.batch):
            message = f"no batch is called {self.batch!r}; leave it to plant-night, which names them"
            raise ShardError(message)

    def frames(self, sources: Sequence[Path]) -> list[FrameFile]:
        """The frames of these folders that belong to it, in their order."""
        return [file for file in list_frames(sources) if self.has(file.frame)]

    def has(self, frame: str) -> bool:
        """Whether a frame of this name belongs to it; every frame belongs to one shard, on every machine the same."""
        return zlib.crc32(frame.encode("utf-8", "surrogatepass")) % self.of == self.number - 1

    def check(self, key: str) -> None:
        """Refuse to judge on other grounds than the rest of the batch.

        Raises:
            CalibrationError: this worker sees other goldens, another recipe, calibration or folder.
        """
        if self.key and key != self.key:
            message = (
                "this worker sees other goldens, another recipe, calibration or folder of frames than the run that "
                "planned the night; share references and calibrations with it, mount frames at the same place, and "
                "run the night again"
            )
            raise CalibrationError(message)


WHOLE: Final = Shard()
