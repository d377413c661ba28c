"""Shifts: the records of a line are parted into batches of some hours each, as people work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.line.settings import LineSettings


@dataclass(frozen=True, kw_only=True)
class Shift:
    """One shift of one line; `begins` and `ends` in this machine's time zone. `batch` names it in the records."""

    batch: str
    begins: datetime
    ends: datetime


def shift_of(settings: LineSettings, moment: datetime) -> Shift:
    """The shift that `moment` (with a time zone) belongs to. Shifts follow the clock on the wall.

    The night on which clocks are put forward or back has a shift that is an hour shorter or longer.
    """
    local = moment.astimezone().replace(tzinfo=None)  # wall clock
    begins = local.replace(hour=settings.shift_begins, minute=0, second=0, microsecond=0)
    while begins > local:
        begins -= timedelta(hours=settings.shift_hours)
    while begins + timedelta(hours=settings.shift_hours) <= local:
        begins += timedelta(hours=settings.shift_hours)
    return Shift(
        batch=f"{settings.line}-{begins:%Y-%m-%d-%H}h",
        begins=begins.astimezone(),
        ends=(begins + timedelta(hours=settings.shift_hours)).astimezone(),
    )
