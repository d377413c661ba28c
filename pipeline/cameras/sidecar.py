"""A sidecar: the JSON file that camera software lays beside a picture, with the part's id."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from inspection.errors import GoldentwinError
from pipeline.part_ids import printable_id

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 1_000_000
_FIRST_YEAR, _LAST_YEAR = 1980, 2200


class SidecarError(GoldentwinError):
    """The sidecar of a picture is damaged, half-written, or does not say what it should."""


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """What a sidecar says: the part's id, "" where it names none, and when the picture was taken, in UTC."""

    part_id: str = ""
    captured_at: datetime | None = None


def read_sidecar(picture: Path) -> Sidecar | None:
    """What lies beside `NAME.png` as `NAME.json`: `{"part_id": "A-17", "captured_at": "2026-11-25T22:16:49+01:00"}`.

    Both are optional, other keys are passed over. A time without a zone is taken for UTC.

    Returns:
        None where there is none.

    Raises:
        SidecarError: it can't be read or understood.
    """
    path = picture.with_suffix(".json")
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error
    if len(text) > MAX_BYTES:
        raise _damaged(path, "it is larger than a megabyte")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "it is no JSON") from error
    if not isinstance(said, dict):
        raise _damaged(path, "it is no object")
    return Sidecar(part_id=_part_id(path, said.get("part_id")), captured_at=_moment(path, said.get("captured_at")))


def _part_id(path: Path, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return printable_id(str(value))
    raise _damaged(path, "its part_id is neither text nor a whole number")


def _moment(path: Path, value: object) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _damaged(path, "its captured_at is no time in ISO 8601") from error
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:  # what a program writes that has not set the time
        raise _damaged(path, f"its captured_at lies in the year {moment.year}")
    return moment


def _damaged(path: Path, why: str) -> SidecarError:
    remedy = "let the camera software write it whole, before the picture"
    return SidecarError(f"the sidecar {path.name} can't be used, {why}; {remedy}")
