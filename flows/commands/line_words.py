"""A running line in plain lines: each event and each flagged part when it comes, the counts now and then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.text import Text

from flows.commands.line_picture import compared, milliseconds, printable
from inspection.verdicts import Reason, Verdict
from pipeline.line_page.values import stale_for

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.line.snapshot import LineSnapshot

COUNTS_SECONDS: Final = 60.0
_UNTIMELY: Final = tuple(f"{kind.value}:" for kind in (Reason.SKIPPED, Reason.TOO_LATE))


class LineWords:
    """Says what is new in each snapshot; every line begins with its time, in local time."""

    def __init__(self, console: Console, address: str | None) -> None:
        self._console = console
        self._events: set[tuple[datetime, str, str]] = set()
        self._named = 0  # the newest sequence
        self._last: LineSnapshot | None = None
        self._counted_at: datetime | None = None
        self._counted = ""
        self._silent = False
        if address:
            self._say(datetime.now(UTC), f"page: {address}")

    def show(self, snapshot: LineSnapshot) -> None:
        """Say what is new."""
        age = stale_for(snapshot, datetime.now(UTC))
        self._silence(None if age is None else f"no new figures for {age:.0f} s")
        self._say_events(snapshot)
        self._say_rejected(snapshot)
        due = self._counted_at is None or (snapshot.now - self._counted_at).total_seconds() >= COUNTS_SECONDS
        if due or (self._last is not None and self._last.state is not snapshot.state):
            self._say_counts(snapshot)
        self._last = snapshot

    def fail(self, why: str) -> None:
        """Say once that the line does not answer."""
        self._silence(why)

    def end(self) -> None:
        """The counts as they are at last."""
        if self._last is not None:
            self._say_counts(self._last)

    def _silence(self, why: str | None) -> None:
        if (why is not None) != self._silent:
            self._silent = why is not None
            self._say(datetime.now(UTC), f"STALE: the line does not answer: {why}" if why else "the line answers again")

    def _say_events(self, snapshot: LineSnapshot) -> None:
        there = {(one.at, one.kind.value, one.said) for one in snapshot.events}
        for at, kind, said in sorted(there - self._events):
            self._say(at, f"{kind}: {said}" if said else kind)
        self._events = there

    def _say_rejected(self, snapshot: LineSnapshot) -> None:
        """Each that did not pass; those for which there was no time are events, and may be thousands."""
        new = [one for one in reversed(snapshot.rejected) if one.sequence > self._named]
        for frame in new:
            if frame.verdict is Verdict.FLAG or not str(frame.reason).startswith(_UNTIMELY):
                said = f"{frame.verdict.value} {frame.part_id}: {compared(frame)}, frame {frame.sequence}"
                self._say(frame.captured_at, said)
        self._named = max([self._named, *(one.sequence for one in new)])
        before = {} if self._last is None else self._last.counts
        more = sum(snapshot.counts.get(one, 0) - before.get(one, 0) for one in Verdict if one is not Verdict.PASS)
        if self._last is not None and more > len(new):
            self._say(snapshot.now, f"{more - len(new)} more that did not pass, too fast to be named here")

    def _say_counts(self, snapshot: LineSnapshot) -> None:
        """The counts, unless they were just said."""
        self._counted_at = snapshot.now
        counts = ", ".join(f"{snapshot.counts.get(verdict, 0)} {verdict.value}" for verdict in Verdict)
        waits = f"waiting {snapshot.waiting}, untold {snapshot.untold}"
        lacks = f"skipped {snapshot.skipped}, late {snapshot.late}, missed {snapshot.missed}"
        speed = f"latency p99 {milliseconds(snapshot.latency_p99)}, {snapshot.frames_per_second:.1f} frames/s"
        provisional = "; PROVISIONAL" if snapshot.provisional else ""
        said = f"{snapshot.state.value}: {counts}; {waits}, {lacks}; {speed}{provisional}"
        if said != self._counted:
            self._counted = said
            self._say(snapshot.now, said)

    def _say(self, at: datetime, said: str) -> None:
        stamp = at.astimezone().isoformat(timespec="seconds")
        self._console.print(Text(f"{stamp} {printable(said, self._console)}"), soft_wrap=True)
