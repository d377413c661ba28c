"""`goldentwin doctor`: what works on this machine and what does not, each with its remedy."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.text import Text

from flows.commands import options, terminal

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    context: typer.Context,
    *,
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Say what works on this machine and what does not, each with its remedy.

    Nothing is changed. The exit code is 1 where something that is needed does not work.
    """
    from pipeline.doctor import Status, examine  # noqa: PLC0415 - imports the database's library

    findings = examine(options.workspace_of(context, home, references))
    failed = any(finding.status is Status.FAIL for finding in findings)
    if as_json:
        terminal.print_json({"ok": not failed, "findings": [asdict(finding) for finding in findings]})
    else:
        table = terminal.plain_table("", "check", "finding")
        for finding in findings:
            mark = Text(finding.status.value, style=STYLES[finding.status.value])
            said = Text(finding.detail)
            if finding.remedy:
                said.append(f"\nremedy: {finding.remedy}", style="bold")
            table.add_row(mark, finding.name, said)
        terminal.console().print(table)
    if failed:
        raise typer.Exit(1)
