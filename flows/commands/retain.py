"""`goldentwin retain`: what has had its days goes, by the policy in the home."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands import options, terminal

if TYPE_CHECKING:
    from pipeline.retention.retaining import Retained

_UNITS = ("B", "kB", "MB", "GB", "TB")
_STEP = 1000


def retain(
    context: typer.Context,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go; nothing is removed.")] = False,
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Remove evidence, kept frames, traces, reports and records that have had their days.

    How many days that is stands in `retention.toml` in the home; reviewed parts stay longer, and labelled frames for
    good. The exit code is 1 where something could not be done, such as while MLflow is down.
    """
    from pipeline.retention.retaining import retain as retain_now  # noqa: PLC0415 - SQLAlchemy takes long to import

    done = retain_now(options.workspace_of(context, home, references), dry_run=dry_run)
    if as_json:
        kinds = {one.kind.value: {k: v for k, v in asdict(one).items() if k != "kind"} for one in done.kinds}
        terminal.print_json({**asdict(done), "kinds": kinds})
    else:
        print_retained(done)
    if done.problems:
        raise typer.Exit(1)


def print_retained(done: Retained) -> None:
    """What went and stayed, for people."""
    table = terminal.plain_table("", "would go" if done.dry_run else "gone", "", "stay", "", right=("gone", "would go"))
    for one in done.kinds:
        kept = "" if one.bytes_kept is None else bytes_text(one.bytes_kept)
        table.add_row(one.kind.value, str(one.gone), bytes_text(one.bytes_gone), str(one.kept), kept)
    terminal.console().print(table)
    if done.given_back:
        terminal.say(f"the database's file is {bytes_text(done.given_back)} smaller")
    for problem in done.problems:
        terminal.warn(problem)
    if done.dry_run:
        terminal.suggest("goldentwin retain", "remove them")


def bytes_text(size: int) -> str:
    """`1.2 GB`."""
    value, unit = float(size), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{size} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"
