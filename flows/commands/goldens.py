"""`goldentwin goldens`: which goldens decide, which never do, and what would change without each."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.text import Text

from flows.commands import options, terminal


def goldens(
    context: typer.Context,
    product: options.Product,
    *,
    labelled: options.Labelled,
    view: options.View = "default",
    engine: options.Engine = "auto",
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Judge labelled parts with each golden left out in turn.

    A golden decides a part whose similarity falls most without it. One that decides nothing, and without which nothing
    gets worse, can go.
    """
    from pipeline.golden_health import golden_health  # noqa: PLC0415 - torch takes seconds to import

    workspace = options.workspace_of(context, home, references)
    with terminal.progress("leaving out", "goldens", quiet=as_json) as watcher:
        found = golden_health(workspace, product, view, labelled=labelled, engine=engine, watcher=watcher)
    if as_json:
        terminal.print_json(asdict(found))
        return
    table = terminal.plain_table(
        "golden", "decides", "of these flagged", "AUROC without", "overkill without", "escape without",
        right=("decides", "of these flagged", "AUROC without"),
    )  # fmt: skip
    for golden in found.goldens:
        table.add_row(
            Text(golden.name),
            f"{golden.decides} of {found.parts}",
            str(len(golden.flagged)),
            _number(golden.image_auroc),
            terminal.rate_text(golden.overkill),
            terminal.rate_text(golden.escape),
        )
    table.add_row(
        Text("all", style="bold"), "", "", _number(found.image_auroc),
        terminal.rate_text(found.overkill), terminal.rate_text(found.escape),
    )  # fmt: skip
    terminal.console().print(table)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
