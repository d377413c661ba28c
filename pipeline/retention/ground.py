"""What every step of retention stands on: where, by which policy, at what moment, and what is never touched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from inspection.durable import write_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from pipeline.records import PartUse, RetentionRecords
    from pipeline.retention.policy import Ages
    from pipeline.retention.tally import Way
    from pipeline.workspace import Workspace

PORTION = 500
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Ground:
    """`untouched` are batches of which nothing goes: the newest, those begun and not summarised, those to be delivered.

    `started` is when this run of retention began, by the clock, whatever moment the policy is held against.
    """

    workspace: Workspace
    records: RetentionRecords
    ages: Ages
    way: Way
    untouched: frozenset[str]
    started: datetime

    def needed(self, use: PartUse) -> bool:
        """Whether a part's things stay whatever their age."""
        return use.waiting or bool(use.batches & self.untouched)


class Going:
    """The files that are about to be removed, on disk until they are: after a kill the next run goes on with them.

    The rows that pointed to them say already that they are gone.

    Args:
        workspace: where the list is kept.
        what: which list.
    """

    def __init__(self, workspace: Workspace, what: str) -> None:
        self._path: Path = workspace.home / "retention" / f"going-{what}.json"
        self._failed: set[str] = set()
        self.left = self._read()

    def begin(self, files: Collection[str]) -> None:
        """These are about to go, and what an earlier run left."""
        write_text(self._path, json.dumps(sorted({*files, *self.left, *self._failed})) + "\n")

    def failed(self, file: str) -> None:
        """It could not be removed: the next run tries again."""
        self._failed.add(file)

    def end(self) -> None:
        """All others are gone."""
        if self._failed:
            write_text(self._path, json.dumps(sorted(self._failed)) + "\n")
        else:
            self._path.unlink(missing_ok=True)

    def _read(self) -> frozenset[str]:
        try:
            return frozenset(map(str, json.loads(self._path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError):
            return frozenset()


def portions(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """At most `PORTION` at a time."""
    for start in range(0, len(values), PORTION):
        yield values[start : start + PORTION]
