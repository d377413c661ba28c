"""How long what is kept, in days, and the file that says so."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from inspection.errors import RetentionError

if TYPE_CHECKING:
    from pipeline.workspace import Workspace

KEEP: Final = "keep"
_MOST_DAYS = 36_500
_NOT_LONGER: Final = (
    ("records", "flagged_records"),
    ("flagged_records", "reviewed_records"),
    ("evidence", "reviewed_evidence"),
    ("evidence", "records"),
    ("reviewed_evidence", "reviewed_records"),
    ("frames", "records"),
    ("frames", "labelled_frames"),
    ("traces", "reviewed_traces"),
    ("traces", "records"),
    ("reviewed_traces", "reviewed_records"),
)


@dataclass(frozen=True, kw_only=True)
class RetentionPolicy:
    """Days after which things go. `labelled_frames` is None where frames with a label are kept for good.

    `records` are those of parts that passed or could not be inspected, `evidence` the pictures of parts without a
    label, `traces` those in MLflow without one; a part is reviewed as soon as anybody answered. `open_queues` is how
    long after it was filled, or answered last, a review queue counts as open: what waits in it loses nothing.
    """

    records: int = 365
    flagged_records: int = 1825
    reviewed_records: int = 1825
    evidence: int = 90
    reviewed_evidence: int = 1825
    frames: int = 90
    labelled_frames: int | None = None
    traces: int = 180
    reviewed_traces: int = 1825
    batch_reports: int = 365
    batch_artifacts: int = 365
    line_events: int = 365
    open_queues: int = 180

    def __post_init__(self) -> None:
        """Refuse what is no number of days, and numbers of which one makes another senseless.

        Raises:
            RetentionError: it names the key.
        """
        for field in fields(self):
            _require_days(field.name, getattr(self, field.name))
        for shorter, longer in _NOT_LONGER:
            less, more = getattr(self, shorter), getattr(self, longer)
            if more is not None and less > more:
                message = (
                    f"{shorter} ({less} days) is longer than {longer} ({more} days); make {longer} at least {less}"
                )
                raise RetentionError(message)


@dataclass(frozen=True, kw_only=True)
class Ages:
    """The policy at a moment: what was made before these moments goes."""

    policy: RetentionPolicy
    now: datetime

    def cutoff(self, days: int) -> datetime:
        """What is older than this is older than `days`."""
        return self.now - timedelta(days=days)

    def old(self, at: datetime, days: int | None) -> bool:
        """Whether what is of that moment has had its days; never where they are None."""
        return days is not None and at < self.cutoff(days)


def load_policy(workspace: Workspace) -> RetentionPolicy:
    """Read `retention.toml` in the home; the usual policy where there is none.

    Raises:
        RetentionError: the file can't be read, or holds an unknown key or a senseless number; the message names it.
    """
    path = workspace.retention
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return RetentionPolicy()
    except (OSError, ValueError) as error:
        message = f"{path} can't be read: {error}; mend the file, or remove it for the usual policy"
        raise RetentionError(message) from error
    known = [field.name for field in fields(RetentionPolicy)]
    unknown = sorted(set(given) - set(known))
    if unknown:
        message = f"{path} has the unknown key {unknown[0]!r}; it may have {', '.join(known)}"
        raise RetentionError(message)
    try:
        return RetentionPolicy(**_values(given))
    except RetentionError as error:
        message = f"{path}: {error}"
        raise RetentionError(message) from error


def _values(given: dict[str, Any]) -> dict[str, Any]:
    return {name: None if (name, value) == ("labelled_frames", KEEP) else value for name, value in given.items()}


def _require_days(name: str, value: object) -> None:
    if value is None and name == "labelled_frames":
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_DAYS:
        also = f', or "{KEEP}"' if name == "labelled_frames" else ""
        message = f"{name} is {value!r}; give whole days from 1 to {_MOST_DAYS}{also}"
        raise RetentionError(message)
