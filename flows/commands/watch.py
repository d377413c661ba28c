"""`goldentwin watch`: whether the line is still as it was when its threshold was chosen."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from flows.commands import options, terminal
from pipeline.watch.hold import release_pass


def watch(
    context: typer.Context,
    product: options.Product,
    *,
    view: options.View = "default",
    batch: Annotated[
        str | None, typer.Option("--batch", metavar="ID", help="The batch; the latest by default.")
    ] = None,
    release: Annotated[
        bool, typer.Option("--release", help="Let parts pass again that a watch held back, after the line was mended.")
    ] = False,
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Hold a night against the parts of its calibration: lamp, lens, camera and product, window by window.

    The nightly flow does this by itself; this draws the charts again. The exit code is 0 whatever was found. With
    `--release` nothing is drawn: parts of the view pass again, until a night that is judged from then on drifts too.
    """
    workspace = options.workspace_of(context, home, references)
    if release:
        released = release_pass(workspace, product, view)
        said = "parts pass again" if released else "nothing was held"
        terminal.print_json({"released": released}) if as_json else terminal.facts({"automatic PASS": said})
        return
    from pipeline.watch.watching import watch_batch  # noqa: PLC0415 - matplotlib takes long to import

    found = watch_batch(workspace, product, view, batch)
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
