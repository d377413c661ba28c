"""`goldentwin audit`: who did what, when, on which evidence, and whether anybody changed that record."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands import options, terminal

if TYPE_CHECKING:
    from pipeline.records import AuditRow

_TO_THE_SECOND = len("2026-11-25T22:53:41")


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
            also = f", {len(tags)} of them also against what MLflow remembers" if against_mlflow else ""
            terminal.say(f"{len(rows)} rows verified{also}; the newest hash is {head}")
        else:
            terminal.warn(f"the record was tampered with: {broken.problem}")
    if broken is not None:
        raise typer.Exit(1)


def _print(rows: list[AuditRow]) -> None:
    table = terminal.plain_table("row", "at (UTC)", "who", "what", "product", "model", "on what", right=("row",))
    for row in rows:
        model = str(row.facts.get("bundle") or row.facts.get("twin") or "")
        product = f"{row.product}/{row.view}"
        at = row.at[:_TO_THE_SECOND].replace("T", " ")
        table.add_row(str(row.number), at, row.who, row.action, product, model, _grounds(row.facts))
    terminal.console().print(table)


def _grounds(facts: dict[str, Any]) -> str:
    """What a person wants to know first of the evidence; all of it is in `--json`."""
    named = ("before", "data", "threshold", "version")
    told = [f"{name} {_short(facts[name])}" for name in named if facts.get(name)]
    if "goldens" in facts:
        told.insert(0, f"{len(facts['goldens'])} goldens, set {facts.get('reference_set', '')}")
    if "reviewed" in facts:
        told.append(f"{len(facts['reviewed'])} confirmed from reviews")
    refused = [gate["name"] for gate in facts.get("gates", []) if not gate["passed"]]
    if refused:
        told.append(f"refused by {', '.join(refused)}")
    return ", ".join(told)


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)
