"""`goldentwin deployments`: Prefect's deployments from a site's file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.commands import options, terminal


def deployments(
    site: Annotated[Path, typer.Argument(metavar="SITE", help="The site's file; flows/site.yaml is an example.")],
    *,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Prefect's file to be written.")] = Path(
        "prefect.yaml"
    ),
    as_json: options.Json = False,
) -> None:
    """Write Prefect's deployments for all products and lines of a site: nights, lines, training, review, retention.

    What was in the file before is replaced; `prefect deploy --all --prefect-file FILE` takes it over.
    """
    from flows.sites import prefect_file, read_site, wanted_queues  # noqa: PLC0415 - Prefect takes seconds to import
    from inspection.durable import write_text  # noqa: PLC0415 - goes with it

    found = read_site(site)
    write_text(to, prefect_file(found, site_path=site, own_path=to))
    products, lines = len(found.products), len(found.lines)
    if as_json:
        terminal.print_json({"file": str(to), "products": products, "lines": lines, "queues": wanted_queues(found)})
        return
    terminal.say(f"{to}: {products} products, {lines} lines, times of {found.timezone}")
    for pool, queues in wanted_queues(found).items():
        terminal.say(f"  {pool} wants workers for {', '.join(queues)}")
    terminal.suggest(f"prefect --no-prompt deploy --all --prefect-file {to}", "from the project's folder")
