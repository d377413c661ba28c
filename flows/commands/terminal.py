"""How results look in a terminal: calm tables, one colour a verdict, plain text where nobody looks on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from inspection.calibration import Calibration, Rate

VERDICT_STYLES = {"PASS": "green", "FLAG": "bold red", "CANNOT_INSPECT": "yellow"}
PLAIN_WIDTH = 120

Watcher = Callable[[int, int], None]


def console(*, stderr: bool = False) -> Console:
    """A console on standard output (or error): colours and width of the terminal, else plain and 120 wide."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, width=None if stream.isatty() else PLAIN_WIDTH)


def say(text: str | Text = "") -> None:
    """A line on standard output; a string is taken as it is, without markup."""
    console().print(text if isinstance(text, Text) else Text(text), soft_wrap=True)


def warn(text: str) -> None:
    """A line on standard error that begins with `warning:`."""
    console(stderr=True).print(Text.assemble(("warning: ", "yellow"), text), soft_wrap=True)


def suggest(command: str, what: str) -> None:
    """The next command to run, and what it does."""
    say(Text.assemble(("next: ", "dim"), (command, "bold"), (f"   {what}", "dim")))


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on one line of standard output."""
    sys.stdout.write(json.dumps(value, allow_nan=False, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def verdict_text(verdict: str) -> Text:
    """The verdict in its colour."""
    return Text(verdict.replace("_", " "), style=VERDICT_STYLES.get(verdict, ""))


def plain_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """A table without lines but one under its heading; the columns in `right` hold numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return table


def facts(rows: Mapping[str, str | Text]) -> None:
    """Names on the left, values on the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value if isinstance(value, Text) else Text(value))
    console().print(table)


def rate_text(rate: Rate | Mapping[str, Any] | None) -> str:
    """`3.6 % (2 of 56; 95 % interval 0.4 % to 12.3 %)`, or that it is unknown."""
    from inspection.calibration import Rate as Known  # noqa: PLC0415 - scipy takes long to import

    if rate is None:
        return "unknown"
    return str(Known(**rate) if isinstance(rate, Mapping) else rate)


def threshold_text(calibration: Calibration) -> Text:
    """The threshold, and that it is provisional where it is."""
    text = Text(f"{calibration.threshold:.3f}")
    if calibration.provisional:
        text.append("  PROVISIONAL", style="bold magenta")
        text.append(" (from goldens alone; nothing is proven)", style="dim")
    return text


@contextmanager
def progress(what: str, unit: str, *, quiet: bool = False) -> Iterator[Watcher]:
    """A function to be told (done, total): a bar on a terminal, a line every tenth part elsewhere; on stderr."""
    if quiet:
        yield lambda _done, _total: None
        return
    error = console(stderr=True)
    if not error.is_terminal:
        yield _plain_watcher(what, unit)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit))
    with Progress(*columns, TimeElapsedColumn(), console=error, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _plain_watcher(what: str, unit: str) -> Watcher:
    told = -1

    def watch(done: int, total: int) -> None:
        nonlocal told
        tenth = 10 * done // max(total, 1)
        if tenth > told or done == total:
            told = tenth
            sys.stderr.write(f"{what}: {done} of {total} {unit}\n")

    return watch
