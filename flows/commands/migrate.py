"""`goldentwin migrate`: bring the records' database to what this version knows."""

from __future__ import annotations

import typer

from flows.commands import options, terminal


def migrate(
    context: typer.Context,
    *,
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Upgrade the tables of the records, all or nothing; every row stays.

    Every command that opens the records does it by itself. Run this first where many machines share one database, so
    that none of them waits for it, and take a backup before. A database of a newer goldentwin is left alone.
    """
    from pipeline.records import upgrade_records  # noqa: PLC0415 - the database takes long to import

    before, now = upgrade_records(options.workspace_of(context, home, references).records_url)
    if as_json:
        terminal.print_json({"before": before, "now": now})
    elif before == now:
        terminal.say(f"the records have the schema {now}, which is the newest")
    else:
        terminal.say(f"the records have the schema {now} now; before: {before}")
