"""`goldentwin audit`: who did what, when, on which evidence, and whether anybody changed that record."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands import options, terminal

if TYPE_CHECKING:
    from pipeline.records import AuditRow


def audit(
    context: typer.Context,
    product: options.MaybeProduct = None,
    *,
    against_mlflow: Annotated[
        bool, typer.Option("--mlflow", help="Also hold the record to what MLflow's runs remember of it.")
    ] = False,
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """List the audit record and verify it: each row holds the hash of the one before.

    The whole record is verified, whichever product is listed. Exit code 1 where a row was changed, removed or put in
    between, or where the end was cut off that this home, or with --mlflow MLflow, remembers.
    """
    from pipeline.keeping import open_audit  # noqa: PLC0415 - SQLAlchemy takes long to import
    from pipeline.records import Anchor  # noqa: PLC0415 - goes with it

    workspace = options.workspace_of(context, home, references)
    with open_audit(workspace) as record:
        rows = record.rows()
        tags: list[str] = []
        if against_mlflow:
            from pipeline.tracking.anchors import audit_tags  # noqa: PLC0415 - MLflow takes seconds to import

            tags = audit_tags(workspace, sorted({(row.product, row.view) for row in rows}))
        broken = record.verify([anchor for tag in tags if (anchor := Anchor.parse(tag)) is not None])
    listed = [row for row in rows if product is None or row.product == product]
    if as_json:
        found = [{**asdict(row), "evidence": row.facts} for row in listed]
        terminal.print_json({"rows": found, "verified": len(rows), "broken": asdict(broken) if broken else None})
    else:
        _print(listed)
        if broken is None:
            head = rows[-1].hash if rows else "none"
            terminal.say(f"{len(rows)} rows verified; the newest hash is {head}")
        else:
            terminal.warn(f"the record was tampered with: {broken.problem}")
    if broken is not None:
        raise typer.Exit(1)


def _print(rows: list[AuditRow]) -> None:
    table = terminal.plain_table("row", "at", "who", "what", "product", "model", "on what", right=("row",))
    for row in rows:
        facts = row.facts
        grounds = {name: facts[name] for name in ("before", "data", "threshold", "version") if facts.get(name)}
        refused = [gate["name"] for gate in facts.get("gates", []) if not gate["passed"]]
        grounds |= {"refused by": ", ".join(refused)} if refused else {}
        told = ", ".join(
            f"{name} {value if isinstance(value, str) else json.dumps(value)}" for name, value in grounds.items()
        )
        table.add_row(
            str(row.number), row.at, row.who, row.action, f"{row.product}/{row.view}", facts.get("bundle", ""), told
        )
    terminal.console().print(table)
