"""Kept frames age out: those without a label after their days, those with one only where the policy says so."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.records.schema import storable
from pipeline.retention.ground import Going, portions
from pipeline.retention.tally import Kind, Tally

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pipeline.records import PartUse
    from pipeline.retention.ground import Ground
    from pipeline.workspace import Workspace

_ASIDE = ".gone-"


@dataclass(frozen=True, kw_only=True)
class _KeptFrame:
    """A file; `frame_file` is its path relative to the home, as parts have it."""

    path: Path
    frame_file: str
    modified_ns: int
    size: int

    @property
    def modified(self) -> datetime:
        return datetime.fromtimestamp(self.modified_ns / 1e9, UTC)


def age_frames(ground: Ground, tally: Tally) -> None:
    """Count and, unless it is dry, remove the frames that have had their days.

    Raises:
        RecordsError: the records can't be read or written.
    """
    if not ground.workspace.frames.is_dir():
        return
    going = Going(ground.workspace, Kind.FRAMES.value)
    uses = ground.records.frames()
    gone = []
    for frame in _frames(ground.workspace, put_back=not ground.way.dry, used=uses):
        if _goes(ground, frame, uses.get(storable(frame.frame_file)), going.left):
            gone.append(frame)
        else:
            tally.stay(frame.size)
    for portion in portions(gone):
        ground.way.go_on()
        _remove(ground, tally, going, portion)
    if not ground.way.dry:
        going.end()


def _goes(ground: Ground, frame: _KeptFrame, use: PartUse | None, left: frozenset[str]) -> bool:
    policy = ground.ages.policy
    if use is None:  # another database may know it
        return frame.frame_file in left or ground.ages.old(frame.modified, policy.reviewed_records)
    days = policy.labelled_frames if use.reviewed else policy.frames
    return not ground.needed(use) and ground.ages.old(use.at, days)


def _remove(ground: Ground, tally: Tally, going: Going, portion: Sequence[_KeptFrame]) -> None:
    if ground.way.dry:
        for frame in portion:
            tally.go(frame.size)
        return
    names = [frame.frame_file for frame in portion]
    going.begin(names)
    ground.records.forget_frames(names, chosen_before=ground.started)
    for frame in portion:
        try:
            gone = _unlink(frame)
        except OSError as error:
            gone = False
            going.failed(frame.frame_file)
            tally.problems.append(f"the frame {frame.path} can't be removed: {error}")
        (tally.go if gone else tally.stay)(frame.size)


def _unlink(frame: _KeptFrame) -> bool:
    """Remove it, unless a batch that runs now wants it again: that renews its time, or writes it anew."""
    aside = frame.path.with_name(f"{_ASIDE}{frame.path.name}")
    try:
        frame.path.rename(aside)
    except FileNotFoundError:
        return True
    if aside.stat().st_mtime_ns != frame.modified_ns:
        aside.rename(frame.path)
        return False
    aside.unlink()
    return True


def _frames(workspace: Workspace, *, put_back: bool, used: dict[str, PartUse]) -> Iterator[_KeptFrame]:
    """All kept frames; one that a killed run had put aside counts by its own name, and gets it back where it can."""
    for folder, _, names in os.walk(workspace.frames):
        for name in names:
            path = workspace.frames / folder / name
            plain = path.with_name(name.removeprefix(_ASIDE))
            frame_file = plain.relative_to(workspace.home).as_posix()
            try:
                if path != plain and put_back and (storable(frame_file) in used or not plain.exists()):
                    path = path.rename(plain)
                found = path.stat(follow_symlinks=False)
            except OSError:
                continue  # gone meanwhile
            yield _KeptFrame(path=path, frame_file=frame_file, modified_ns=found.st_mtime_ns, size=found.st_size)
