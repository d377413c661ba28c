"""Where evidence pictures lie: in the home folder, or in S3 where `GOLDENTWIN_EVIDENCE_URL` says; named alike."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from inspection.errors import EvidenceError

if TYPE_CHECKING:
    from pipeline.workspace import Workspace

URL_VARIABLE: Final = "GOLDENTWIN_EVIDENCE_URL"
FOLDER: Final = "evidence"
_BATCH_LEVEL: Final = 3  # evidence/<product>/<view>/<batch>/...


@dataclass(frozen=True, kw_only=True)
class EvidenceAge:
    """A picture that is there: `evidence` is its path relative to the home, as rows have it; `batch` drew it."""

    evidence: str
    batch: str
    modified: datetime
    size: int


class EvidenceStore(Protocol):
    """Keeps pictures by the names that rows have, `evidence/<product>/<view>/<batch>/.../<frame>.jpg`.

    Each method raises EvidenceError where the store is away or refuses, or the name leads elsewhere.
    """

    def write(self, evidence: str, data: bytes) -> None:
        """Keep a picture whole or not at all; one of the same name is replaced."""

    def read(self, evidence: str) -> bytes | None:
        """The picture's bytes; None where it is gone."""

    def has(self, evidence: str) -> bool:
        """Whether it is there."""

    def ages(self) -> Iterator[EvidenceAge]:
        """Every picture there is, those of a batch one after the other."""

    def examine(self) -> str:
        """Where pictures lie, in words, once it has answered; changes nothing there."""

    def remove(self, evidence: str) -> None:
        """Remove a picture for good; removing it again changes nothing."""


def evidence_store(workspace: Workspace) -> EvidenceStore:
    """The store that the environment names, the home folder by default.

    Raises:
        EvidenceError: `GOLDENTWIN_EVIDENCE_URL` is no `s3://bucket/prefix`, or boto3 is not installed.
    """
    folder = FolderStore(workspace.home)
    address = os.environ.get(URL_VARIABLE)
    if not address:
        return folder
    from pipeline.evidence_s3 import S3Store  # noqa: PLC0415 - only who keeps evidence in S3 needs it

    return S3Store(address, before=folder)


def checked(evidence: str) -> str:
    """`evidence` itself, where it is a name below `evidence/` and nothing else.

    Raises:
        EvidenceError: it leads out of there, or names nothing.
    """
    first, *levels = evidence.split("/")
    if first != FOLDER or not levels or any(level in {"", ".", ".."} or not _plain(level) for level in levels):
        message = f"{evidence!r} is no evidence picture; rows name one as {FOLDER}/PRODUCT/VIEW/BATCH/FRAME.jpg"
        raise EvidenceError(message)
    return evidence


def batch_of(evidence: str) -> str:
    """The batch that a picture is of; "" for one that lies beside all batches."""
    levels = evidence.split("/")
    return levels[_BATCH_LEVEL] if len(levels) > _BATCH_LEVEL + 1 else ""


class FolderStore:
    """Pictures as files below `home`."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def write(self, evidence: str, data: bytes) -> None:
        """See `EvidenceStore`."""
        write_whole(self._home / checked(evidence), data)

    def read(self, evidence: str) -> bytes | None:
        """See `EvidenceStore`."""
        path = self._home / checked(evidence)
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            message = f"the evidence {path} can't be read: {error}; make it readable for this user"
            raise EvidenceError(message) from error

    def has(self, evidence: str) -> bool:
        """See `EvidenceStore`."""
        return (self._home / checked(evidence)).is_file()

    def ages(self) -> Iterator[EvidenceAge]:
        """See `EvidenceStore`."""
        head = len(str(self._home)) + 1
        for entry in _files_below(str(self._home / FOLDER)):
            evidence = entry.path[head:].replace(os.sep, "/")
            try:
                found = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # gone meanwhile
            yield EvidenceAge(
                evidence=evidence,
                batch=batch_of(evidence),
                modified=datetime.fromtimestamp(found.st_mtime, UTC),
                size=found.st_size,
            )

    def examine(self) -> str:
        """See `EvidenceStore`."""
        return f"pictures lie in {self._home / FOLDER}"

    def remove(self, evidence: str) -> None:
        """See `EvidenceStore`; with the last picture go its batch's folders."""
        path = self._home / checked(evidence)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            message = f"the evidence {path} can't be removed: {error}; make its folder writable for this user"
            raise EvidenceError(message) from error
        with contextlib.suppress(OSError):  # not empty yet, or another is at it
            for folder in path.parents:
                if len(folder.relative_to(self._home).parts) <= _BATCH_LEVEL:
                    break
                folder.rmdir()


def write_whole(path: Path, data: bytes) -> None:
    """Write a picture into its folder, made where it is missing; it appears whole or not at all.

    Raises:
        EvidenceError: it can't be written (no permission, full disk); the message names the folder.
    """
    unfinished = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_bytes(data)
            os.replace(unfinished, path)  # noqa: PTH105 - the same call, and it says what it does
        finally:
            with contextlib.suppress(OSError):
                unfinished.unlink()
    except OSError as error:
        message = f"evidence can't be written to {path.parent}: {error}; free space or name another home with --home"
        raise EvidenceError(message) from error


def _plain(level: str) -> bool:
    """Whether a part of a name is safe in a path and in an address alike."""
    return level.isprintable() and "\\" not in level


def _files_below(folder: str) -> Iterator[os.DirEntry[str]]:
    """All files in a folder and those below it, sorted; a folder that is gone by now has none."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files_below(entry.path)
        else:
            yield entry
