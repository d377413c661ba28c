"""What fills the home, by kind, and what retention would free; within some seconds, however much is there."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspection.errors import GoldentwinError
from pipeline.doctor.finding import Finding, ok, warn, with_remedy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.workspace import Workspace

WALK_SECONDS = 10.0
SURVEY_SECONDS = 20.0
_BETWEEN_LOOKS = 500
_MEGABYTE = 10**6


@dataclass(frozen=True, kw_only=True)
class Use:
    """How many bytes and files a kind takes; not `whole` where there was no time to see all of them."""

    kind: str
    size: int
    files: int
    whole: bool


def examine_room(workspace: Workspace) -> list[Finding]:
    """What the home is full of, and what of it has had its days."""
    if not workspace.home.is_dir():
        return [ok("room", "nothing is kept yet")]
    uses = disk_use(workspace, seconds=WALK_SECONDS)
    whole = all(use.whole for use in uses)
    told = ", ".join(f"{use.kind} {_size(use.size)}" for use in uses if use.files)
    taken = ok("room", f"{'' if whole else 'at least '}{told or 'nothing is kept yet'}")
    return [taken, *_retention(workspace)]


def disk_use(workspace: Workspace, *, seconds: float) -> list[Use]:
    """What each kind of thing takes on the disk; the last one is all that has no kind."""
    until = time.monotonic() + seconds
    places = {
        "evidence": [workspace.evidence],
        "frames": [workspace.frames],
        "mlflow": [workspace.mlflow],
        "records": [workspace.home / f"records.db{suffix}" for suffix in ("", "-wal", "-shm")],
        "cache": [workspace.cache],
        "reports": [workspace.reports],
        "lines": [workspace.lines],
        "outbox": [workspace.outbox],
        "prefect": [workspace.prefect],
    }
    named = {path.name for paths in places.values() for path in paths}
    places = {kind: [path.resolve() for path in paths] for kind, paths in places.items()}  # one may lie on another disk
    places["other"] = [path for path in sorted(workspace.home.iterdir()) if path.name not in named]
    return [_use(kind, paths, until) for kind, paths in places.items()]


def _use(kind: str, paths: list[Path], until: float) -> Use:
    size = files = 0
    for number, found in enumerate(entry for path in paths for entry in _files(path)):
        if number % _BETWEEN_LOOKS == 0 and time.monotonic() > until:
            return Use(kind=kind, size=size, files=files, whole=False)
        size, files = size + found, files + 1
    return Use(kind=kind, size=size, files=files, whole=True)


def _files(path: Path) -> Iterator[int]:
    """Bytes of each file at or below `path`; what vanishes meanwhile, or can't be looked at, is passed over."""
    try:
        if path.is_symlink() or not path.is_dir():
            yield path.lstat().st_size
            return
        with os.scandir(path) as entries:
            folders = []
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path / entry.name)
                    continue
                with suppress(OSError):
                    yield entry.stat(follow_symlinks=False).st_size
    except OSError:
        return
    for folder in folders:
        yield from _files(folder)


def _retention(workspace: Workspace) -> list[Finding]:
    from pipeline.retention.retaining import survey  # noqa: PLC0415 - imports the database's library, may be broken

    try:
        found = survey(workspace, until=time.monotonic() + SURVEY_SECONDS)
    except GoldentwinError as error:
        return [warn("retention", *with_remedy(error, f"mend {workspace.retention}"))]
    gone = [f"{one.gone} {one.kind.value}, {_size(one.bytes_gone)}" for one in found.kinds if one.gone]
    if not gone:
        return [ok("retention", "nothing has had its days" if found.whole else "not all could be looked at in time")]
    told = f"{'' if found.whole else 'at least '}{'; '.join(gone)} have had their days, beside what MLflow holds"
    return [ok("retention", f"{told}: goldentwin retain removes them, and so does the deployment `retention`")]


def _size(size: int) -> str:
    return f"{size / _MEGABYTE:.1f} MB" if size < 1000 * _MEGABYTE else f"{size / 1000 / _MEGABYTE:.1f} GB"
