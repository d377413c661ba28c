"""Writing reference sets: numbered versions, one of them current, never half written.

A version's goldens and manifest are complete on disk before `current.json` names it, in one rename; a process that
is killed leaves the old version current. One writer at a time holds the view's lock, which the system frees when
the writer dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspection.durable import write_bytes
from inspection.errors import ReferenceSetError
from inspection.reference_set import (
    Golden,
    current_version,
    list_versions,
    load_reference_set,
    read_json,
    version_file,
    view_folder,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from inspection.recipe import Recipe
    from inspection.reference_set import ReferenceSet

LOCK_SECONDS = 60.0
ROI_FILE = "roi.png"


@dataclass(frozen=True, kw_only=True)
class NewGolden:
    """A picture that passed the audit: where it lies, what it is called, its hash and its size in pixels."""

    name: str
    path: Path
    sha256: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Change:
    """One entry of a view's history: which version became current, when (ISO 8601, UTC), by whom and by what.

    `action` is "enrol", "restore", "promote" or "rollback".
    """

    version: int
    at: str
    by: str
    action: str


def store_version(  # noqa: PLR0913 - what a version consists of, by name
    references: Path,
    product: str,
    view: str,
    *,
    pictures: Sequence[NewGolden],
    recipe: Recipe,
    roi: bytes | None,
    added_by: str,
    add: bool,
) -> tuple[ReferenceSet, bool]:
    """Write a version that holds exactly `pictures` (with `add`: the current goldens, then those); make it current.

    The view's recipe is replaced by `recipe`, its ROI mask by `roi` (PNG bytes) where one is given. Where the
    goldens are those of the current version already, no version is made.

    Returns:
        The current reference set, and whether it is a new version.

    Raises:
        ReferenceSetError: a name can't be used, a picture changed meanwhile, or another process kept the lock.
    """
    folder = view_folder(references, product, view)
    with store_lock(folder):
        old = _current_goldens(references, product, view, needed=add)
        goldens = _merged(old if add else (), pictures, added_by)
        for picture in pictures:
            _copy(picture, folder)
        created = [golden.sha256 for golden in goldens] != [golden.sha256 for golden in old]
        number = max(list_versions(references, product, view), default=0) + 1
        if created:
            write_json(version_file(folder, number), manifest_of(product, view, number, goldens, added_by))
        if roi is not None:
            write_bytes(folder / ROI_FILE, roi)
        write_bytes(folder / "recipe.json", recipe.to_json().encode())
        if created:
            make_current(folder, version=number, by=added_by, action="enrol")
    return load_reference_set(references, product, view), created


def restore_version(references: Path, product: str, view: str, version: int, by: str) -> ReferenceSet:
    """Make a stored version current again, and note who did. The view's recipe and masks stay as they are.

    Raises:
        NotEnrolledError: the product and view have no reference set.
        ReferenceSetError: no such version, or one of its files is missing or was altered.
    """
    found = load_reference_set(references, product, view, version)
    with store_lock(found.folder):
        make_current(found.folder, version=version, by=by, action="restore")
    return found


def history(references: Path, product: str, view: str = "default") -> list[Change]:
    """Which versions were current, oldest first; empty where nothing is enrolled."""
    path = view_folder(references, product, view) / "current.json"
    if not path.is_file():
        return []
    try:
        return [Change(**change) for change in read_json(path)["history"]]
    except (KeyError, TypeError) as error:
        message = f"{path} is damaged ({error}); enrol again or restore the folder from a backup"
        raise ReferenceSetError(message) from error


def _current_goldens(references: Path, product: str, view: str, *, needed: bool) -> tuple[Golden, ...]:
    """The goldens that are current now. A damaged store is no obstacle to enrolling anew, only to adding."""
    try:
        number = current_version(references, product, view)
        return () if number is None else load_reference_set(references, product, view, number).goldens
    except ReferenceSetError:
        if needed:
            raise
        return ()


def _merged(old: Sequence[Golden], pictures: Sequence[NewGolden], added_by: str) -> list[Golden]:
    known = {golden.sha256 for golden in old}
    now = _now()
    fresh = [
        Golden(
            name=picture.name,
            sha256=picture.sha256,
            width=picture.width,
            height=picture.height,
            file=_stored_as(picture),
            added_at=now,
            added_by=added_by,
        )
        for picture in pictures
        if picture.sha256 not in known
    ]
    return [*old, *fresh]


def _stored_as(picture: NewGolden) -> str:
    """The golden's file relative to the view's folder, named by its content."""
    suffix = picture.path.suffix.lower()
    return f"goldens/{picture.sha256[:16]}{suffix if re.fullmatch(r'[.][a-z0-9]{1,5}', suffix) else ''}"


def _copy(picture: NewGolden, folder: Path) -> None:
    target = folder / _stored_as(picture)
    if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == picture.sha256:
        return
    data = picture.path.read_bytes()
    if hashlib.sha256(data).hexdigest() != picture.sha256:
        message = f"{picture.path} changed while it was being enrolled; enrol again"
        raise ReferenceSetError(message)
    write_bytes(target, data)


def manifest_of(product: str, view: str, version: int, goldens: Sequence[Golden], by: str) -> dict[str, Any]:
    """What a version's file says."""
    return {
        "product": product,
        "view": view,
        "version": version,
        "created_at": _now(),
        "created_by": by,
        "goldens": [asdict(golden) for golden in goldens],
    }


def make_current(folder: Path, *, version: int, by: str, action: str) -> None:
    """Name the version that is current from now on, and note in the history who did; the caller holds the lock."""
    path = folder / "current.json"
    try:
        past = list(read_json(path).get("history", [])) if path.is_file() else []
    except ReferenceSetError:
        past = []  # a damaged file is replaced
    change = Change(version=version, at=_now(), by=by, action=action)
    write_json(path, {"version": version, "history": [*past, asdict(change)]})


def write_json(path: Path, content: dict[str, Any]) -> None:
    """A JSON file that appears whole or not at all."""
    write_bytes(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


@contextmanager
def store_lock(folder: Path) -> Iterator[None]:
    """Held by one writer of a view's folder at a time.

    Raises:
        ReferenceSetError: another process kept it for too long.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _locked(file.fileno()):
            if time.monotonic() > deadline:
                message = f"another enrolment holds {folder} for {LOCK_SECONDS:.0f} s; wait for it or end it"
                raise ReferenceSetError(message)
            time.sleep(0.05)
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
