"""The picture of a running line in a terminal, from 80 columns on."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from flows.commands.terminal import VERDICT_STYLES
from inspection.verdicts import Verdict
from pipeline.line.events import BAD
from pipeline.line_page.values import not_passed, stale_for, troubled, without_credentials
from pipeline.signals import LineState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console, RenderableType

    from pipeline.line.events import LineEvent
    from pipeline.line.snapshot import Health, LineSnapshot, ShownFrame

STATE_STYLES: Final = {LineState.RUNNING: "bold green", LineState.STOPPED: "bold", LineState.LOST: "bold red"}
_MOST_FRAMES, _MOST_EVENTS = 8, 5
_FEWEST_FRAMES, _OTHER_ROWS = 2, 14
_USUALLY_UNTOLD: Final = 2
_BAR: Final = 9  # characters
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def line_picture(
    snapshot: LineSnapshot, console: Console, *, now: datetime, address: str | None = None
) -> RenderableType:
    """All that is known of the line, as wide and as high as the console at most."""
    age = stale_for(snapshot, now)
    silent = None if age is None else f"no new figures for {age:.0f} s"
    return _picture(snapshot, console, silent, address)


def silent_picture(
    last: LineSnapshot | None, console: Console, why: str, *, address: str | None = None
) -> RenderableType:
    """That the line does not answer, and why, over its last figures where there are any."""
    if last is None:
        return Text.assemble(("STALE", "bold red"), " the line gave no figures: ", printable(why, console))
    return _picture(last, console, f"it does not answer: {why}", address)


def printable(text: str, console: Console) -> str:
    """The text as this console can write it, without passwords, and without signs that would steer the terminal."""
    clean = _CONTROL.sub("?", without_credentials(text))
    return clean.encode(console.encoding, "backslashreplace").decode(console.encoding)


def clock(moment: datetime) -> str:
    """The moment in local time: `14:03:22`, or `03-01 14:03` where that is not today."""
    local = moment.astimezone()
    today = local.date() == datetime.now(UTC).astimezone().date()
    return f"{local:%H:%M:%S}" if today else f"{local:%m-%d %H:%M}"


def milliseconds(value: float | None) -> str:
    """`61 ms`, or a dash."""
    return "-" if value is None else f"{value:.0f} ms"


def compared(frame: ShownFrame) -> str:
    """`0.312 < 0.742`, with as many digits as tell both apart, or why there is nothing to compare."""
    similarity, threshold = frame.similarity, frame.threshold
    if similarity is None:
        return frame.reason or "not compared"
    if threshold is None:
        return f"{similarity:.3f}"
    apart = (digits for digits in range(3, 6) if f"{similarity:.{digits}f}" != f"{threshold:.{digits}f}")
    digits = 3 if similarity == threshold else next(apart, 6)
    return f"{similarity:.{digits}f} {'<' if similarity < threshold else '>='} {threshold:.{digits}f}"


def _picture(snapshot: LineSnapshot, console: Console, silent: str | None, address: str | None) -> RenderableType:
    parts: list[RenderableType] = [_heading(snapshot, console, silent)]
    if silent is not None:
        parts.append(Text(printable(f"STALE: {silent}; all below is old", console), style="bold red"))
    if snapshot.provisional:
        parts.append(Text.assemble(("PROVISIONAL", "bold magenta"), " threshold from goldens alone; nothing is proven"))
    parts += [_counts(snapshot), _speed(snapshot), _queues(snapshot), _lamps(snapshot.health, console), Text()]
    events = snapshot.events[:_MOST_EVENTS]
    room = console.size.height - _OTHER_ROWS - len(events)
    parts.append(_frames(snapshot.latest[: max(_FEWEST_FRAMES, min(_MOST_FRAMES, room))], console))
    if events:
        parts += [Text(), *(_event(one, console) for one in events)]
    if address:
        parts.append(Text(address, style="dim"))
    return Group(*parts)


def _heading(snapshot: LineSnapshot, console: Console, silent: str | None) -> Table:
    """The line on the left, its state on the right."""
    row = Table.grid(expand=True)
    row.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
    row.add_column(justify="right", no_wrap=True)
    words = "STALE" if silent is not None else snapshot.state.value.upper()
    style = "bold red" if silent is not None else STATE_STYLES[snapshot.state]
    if silent is None and troubled(snapshot):
        style = "bold yellow"
    product = printable(f"{snapshot.product}/{snapshot.view}", console)
    name = Text.assemble((printable(snapshot.line, console), "bold"), "  ", product)
    row.add_row(name, Text.assemble((words, style), "  ", (clock(snapshot.now), "dim")))
    return row


def _counts(snapshot: LineSnapshot) -> Text:
    told = sum(snapshot.counts.values())
    cells = []
    for verdict in Verdict:
        count = snapshot.counts.get(verdict, 0)
        cells.append(Text(f"{verdict.value.replace('_', ' ')} {count:,}", style=VERDICT_STYLES[verdict]))
        if told:
            cells[-1].append(f" ({count / told:.1%})".replace("%", " %"), style="dim")
    return Text("   ").join(cells)


def _speed(snapshot: LineSnapshot) -> Text:
    rate = not_passed(snapshot.counts).value
    p99, limit = snapshot.latency_p99, snapshot.latency_limit
    over = p99 is not None and limit is not None and p99 > limit
    aim = "" if limit is None else f", limit {milliseconds(limit)}"
    return Text.assemble(
        f"rejected {'-' if rate is None else f'{100 * rate:.2f} %'}   {snapshot.frames_per_second:.1f} frames/s   ",
        f"latency p50 {milliseconds(snapshot.latency_p50)}, ",
        (f"p99 {milliseconds(p99)}{' OVER' if over else ''}", "bold red" if over else ""),
        aim,
    )


def _queues(snapshot: LineSnapshot) -> Text:
    held = (("skipped", snapshot.skipped), ("late", snapshot.late), ("missed", snapshot.missed))
    cells = [Text(f"waiting {snapshot.waiting}"), Text(f"unrecorded {snapshot.unrecorded}")]
    cells.insert(1, Text(f"untold {snapshot.untold}", style="yellow" if snapshot.untold > _USUALLY_UNTOLD else ""))
    cells += [Text(f"{name} {count:,}", style="yellow" if count else "") for name, count in held]
    return Text("   ").join(cells)


def _lamps(health: Iterable[Health], console: Console) -> Text:
    return Text("   ").join(_lamp(one, console) for one in health)


def _lamp(health: Health, console: Console) -> Text:
    what = printable(health.what, console)
    if health.up:
        return Text.assemble(what, " ", ("up", "green"))
    since = f" since {clock(health.since)}" if health.since else ""
    said = printable(f": {health.said}", console) if health.said else ""
    return Text.assemble(what, " ", (f"LOST{since}{said}", "bold red"))


def _frames(frames: Iterable[ShownFrame], console: Console) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    table.add_column("part", ratio=2, no_wrap=True, overflow="ellipsis")
    table.add_column("verdict", no_wrap=True)
    table.add_column("similarity", ratio=3, no_wrap=True, overflow="ellipsis")
    table.add_column("latency", justify="right", no_wrap=True)
    table.add_column("taken", justify="right", no_wrap=True)
    for frame in frames:
        table.add_row(*_cells(frame, console))
    return table


def _cells(frame: ShownFrame, console: Console) -> Iterator[Text]:
    style = VERDICT_STYLES[frame.verdict]
    yield Text(printable(frame.part_id, console))
    yield Text(frame.verdict.value.replace("_", " "), style=style)
    bar = _bar(frame, ascii_only=console.options.ascii_only)
    yield Text.assemble((bar, style), printable(compared(frame), console))
    yield Text("not told" if frame.milliseconds is None else milliseconds(frame.milliseconds), style="dim")
    yield Text(clock(frame.captured_at), style="dim")


def _bar(frame: ShownFrame, *, ascii_only: bool) -> str:
    """Similarity from 0 to 1 as a filled bar with a mark at the threshold; nothing where there is none."""
    if frame.similarity is None:
        return ""
    full, empty, mark = ("#", "-", "|") if ascii_only else ("━", "─", "│")
    filled = round(frame.similarity * _BAR)
    bar = list(full * filled + empty * (_BAR - filled))
    if frame.threshold is not None:
        bar[min(_BAR - 1, max(0, round(frame.threshold * _BAR)))] = mark
    return f"{''.join(bar)} "


def _event(event: LineEvent, console: Console) -> Text:
    style = "bold red" if event.kind in BAD else "bold"
    said = printable(event.said, console)
    line = Text.assemble((clock(event.at), "dim"), "  ", (event.kind.value, style), "  ", said)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line
