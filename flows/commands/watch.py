"""`goldentwin watch`: whether the line is still as it was when its threshold was chosen."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from flows.commands import options, terminal


def watch(
    context: typer.Context,
    product: options.Product,
    *,
    view: options.View = "default",
    batch: Annotated[
        str | None, typer.Option("--batch", metavar="ID", help="The batch; the latest by default.")
    ] = None,
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Hold a night against the parts of its calibration: lamp, lens, camera and product, window by window.

    The nightly flow does this by itself; this draws the charts again. The exit code is 0 whatever was found.
    """
    from pipeline.watch.watching import watch_batch  # noqa: PLC0415 - matplotlib takes long to import

    found = watch_batch(options.workspace_of(context, home, references), product, view, batch)
    if as_json:
        terminal.print_json({**asdict(found), "page": _text(found.page), "picture": _text(found.picture)})
        return
    terminal.facts(
        {
            "batch": f"{found.batch}, {found.frames} frames",
            "the line": Text(found.headline, style="bold red" if found.alarms else ""),
            "charts": _text(found.page) or "none",
        }
    )


def _text(path: object) -> str | None:
    return None if path is None else str(path)
