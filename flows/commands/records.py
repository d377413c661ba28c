"""`goldentwin export`: the verdict records as a table file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.commands import options, terminal

VerdictName = Literal["PASS", "FLAG", "CANNOT_INSPECT"]


def export(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The .csv or .parquet file to write.")],
    *,
    product: Annotated[str | None, typer.Option("--product", metavar="PRODUCT", help="Only this product's.")] = None,
    view: Annotated[str | None, typer.Option("--view", metavar="VIEW", help="Only this camera position's.")] = None,
    batch: Annotated[str | None, typer.Option("--batch", metavar="ID", help="Only this batch's.")] = None,
    verdict: Annotated[VerdictName | None, typer.Option("--verdict", help="Only frames with this verdict.")] = None,
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Write the recorded verdicts to a CSV or Parquet file, one row a frame."""
    from pipeline.records import VerdictRecords  # noqa: PLC0415 - SQLAlchemy takes a moment to import

    workspace = options.workspace_of(context, home, references)
    with VerdictRecords(workspace.records_url) as records:
        rows = records.export(path, product=product, view=view, batch=batch, verdict=verdict)
    if as_json:
        terminal.print_json({"path": str(path), "rows": rows})
    else:
        terminal.say(f"{rows} verdicts in {path}")
