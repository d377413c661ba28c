"""`goldentwin versions` and `goldentwin restore`: what the goldens were, and going back to it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from flows.commands import options, terminal
from flows.commands.enrol import enrolled_json, print_enrolled

if TYPE_CHECKING:
    from inspection.reference_set import ReferenceSet


def versions(
    context: typer.Context,
    product: options.Product,
    *,
    view: options.View = "default",
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """List the versions of a product's goldens, and which one judges."""
    from inspection.reference_set import list_versions, load_reference_set  # noqa: PLC0415 - OpenCV takes a moment
    from inspection.reference_store import history  # noqa: PLC0415 - goes with it

    folder = options.workspace_of(context, home, references).references
    current = load_reference_set(folder, product, view).version
    stored = [load_reference_set(folder, product, view, number) for number in list_versions(folder, product, view)]
    changes = history(folder, product, view)
    if as_json:
        found = [_version_json(one) for one in stored]
        terminal.print_json({"current": current, "versions": found, "history": [asdict(one) for one in changes]})
        return
    last = {change.version: change for change in changes}
    table = terminal.plain_table("version", "goldens", "current since", "by", "", right=("version", "goldens"))
    for one in stored:
        change = last.get(one.version)
        mark = Text("judges now", style="green") if one.version == current else Text()
        when, who = (change.at, change.by) if change else ("", "")
        table.add_row(str(one.version), str(len(one.goldens)), when, who, mark)
    terminal.console().print(table)


def restore(
    context: typer.Context,
    product: options.Product,
    version: Annotated[int, typer.Argument(metavar="VERSION", help="The number that `versions` lists.")],
    *,
    view: options.View = "default",
    by: options.By = None,
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Make an older version of the goldens judge again, with the calibration that was made for it."""
    from pipeline.enrolling import restore_goldens  # noqa: PLC0415 - torch takes seconds to import

    workspace = options.workspace_of(context, home, references)
    restored = restore_goldens(workspace, product, view, version, by=options.approver(by))
    if as_json:
        terminal.print_json(enrolled_json(restored))
    else:
        print_enrolled(restored)


def _version_json(found: ReferenceSet) -> dict[str, object]:
    return {
        "version": found.version,
        "reference_set": found.digest,
        "goldens": [asdict(golden) for golden in found.goldens],
    }
