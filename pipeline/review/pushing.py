"""Push: parts chosen for review become traces in a queue of MLflow, once each, however often it is tried."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from inspection.errors import NotEnrolledError, TrackingError
from inspection.recipe import ReviewSettings
from inspection.reference_set import load_reference_set
from pipeline.evidence import has_evidence
from pipeline.records import ReviewRecords
from pipeline.review.selection import Kind, uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.review.items import ReviewItem
    from pipeline.tracking.review_room import ReviewRoom
    from pipeline.workspace import Workspace

_PORTION = 50
_LOCK_SECONDS = 3.0
_NIGHT_BEGINS, _NIGHT_ENDS = 18, 6  # hours; between them the night is that of the evening


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """What a push did: `pushed` parts by queue, `lost` parts whose picture is gone, addresses of the queues."""

    pushed: dict[str, int]
    lost: tuple[str, ...]
    addresses: dict[str, str]

    @property
    def total(self) -> int:
        """How many parts came to MLflow."""
        return sum(self.pushed.values())


def push_reviews(
    workspace: Workspace,
    *,
    product: str | None = None,
    view: str | None = None,
    batch: str | None = None,
    watcher: Callable[[int, int], None] | None = None,
) -> Pushed:
    """Push every part that waits: a queue per night and station, worst first, the passed ones mixed among them.

    Safe to be killed and run again at any moment: the traces' ids follow from the verdicts' keys.

    Raises:
        RecordsError: the records can't be read or written.
        TrackingError: MLflow does not answer; what was not pushed waits for the next time.
    """
    with ReviewRecords(workspace.records_url) as records:
        if not records.items(product=product, view=view, batch=batch, waiting=True):
            return Pushed(pushed={}, lost=(), addresses={})
        workspace.home.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(workspace.home / ".push.lock", timeout=_LOCK_SECONDS):
                waiting = records.items(product=product, view=view, batch=batch, waiting=True)
                return _Push(workspace, records, len(waiting), watcher).all(waiting)
        except Timeout as error:
            message = "another process is pushing reviews to MLflow; it takes these parts too"
            raise TrackingError(message) from error


class _Push:
    """One push, and what it did so far."""

    def __init__(
        self, workspace: Workspace, records: ReviewRecords, total: int, watcher: Callable[[int, int], None] | None
    ) -> None:
        self._workspace, self._records, self._total, self._watcher = workspace, records, total, watcher
        self._pushed: dict[str, int] = defaultdict(int)
        self._addresses: dict[str, str] = {}
        self._lost: list[str] = []

    def all(self, waiting: Sequence[ReviewItem]) -> Pushed:
        by_view: dict[tuple[str, str], list[ReviewItem]] = defaultdict(list)
        for item in waiting:
            by_view[item.product, item.view].append(item)
        for (product, view), items in by_view.items():
            self._view(product, view, items)
        return Pushed(pushed=dict(self._pushed), lost=tuple(self._lost), addresses=self._addresses)

    def _view(self, product: str, view: str, items: Sequence[ReviewItem]) -> None:
        from pipeline.tracking.review_room import review_room  # noqa: PLC0415 - knows MLflow; nothing waits usually

        settings = settings_of(self._workspace, product, view)
        queues: dict[str, list[ReviewItem]] = defaultdict(list)
        for item in items:
            queues[queue_name(item)].append(item)
        with review_room(self._workspace, product, view) as room:
            for name, members in queues.items():
                self._queue(room, name, members, settings)

    def _queue(self, room: ReviewRoom, name: str, items: Sequence[ReviewItem], settings: ReviewSettings) -> None:
        there = [item for item in mixed(items) if has_evidence(self._workspace, item.picture)]
        self._lost += [item.key for item in items if item not in there]
        queue = room.queue(name, settings.defect_types)
        self._addresses[name] = room.address(queue)
        latest = max(_judged_at(item) for item in items)
        for start in range(0, len(there), _PORTION):
            portion = there[start : start + _PORTION]
            room.push(portion, queue, latest=latest, first=start, tells=settings.shows_verdict)
            self._records.mark_pushed([item.key for item in portion], queue=name)
            self._pushed[name] += len(portion)
            if self._watcher is not None:
                self._watcher(sum(self._pushed.values()), self._total)


def settings_of(workspace: Workspace, product: str, view: str) -> ReviewSettings:
    """The recipe's settings of the review; the usual ones where the goldens are out of reach."""
    try:
        return load_reference_set(workspace.references, product, view).recipe.review
    except (NotEnrolledError, OSError):
        return ReviewSettings()


def queue_name(item: ReviewItem) -> str:
    """`night 2026-11-23`, and the station where there is one: the evening's day, in this machine's time zone."""
    local = _judged_at(item).astimezone()
    night = local.hour >= _NIGHT_BEGINS or local.hour < _NIGHT_ENDS
    day = (local - timedelta(hours=_NIGHT_ENDS)).date() if night else local.date()
    named = (item.row or {}).get("station")
    station = f", station {named}" if named else ""
    return f"{'night' if night else 'day'} {day:%Y-%m-%d}{station}"


def _judged_at(item: ReviewItem) -> datetime:
    return datetime.fromisoformat(item.row["judged_at"]) if item.row else datetime.now(UTC)


def mixed(items: Sequence[ReviewItem]) -> list[ReviewItem]:
    """Flagged parts worst first, those that passed at random places among them, the same places every time."""
    flagged = [item for item in items if item.kind is Kind.FLAGGED]
    places = {item.key: float(place) for place, item in enumerate(flagged)}
    places |= {
        item.key: uniform(f"place:{item.key}") * max(len(flagged), 1) - 0.5
        for item in items
        if item.kind is Kind.SAMPLED
    }
    return sorted(items, key=lambda item: (places[item.key], item.key))
