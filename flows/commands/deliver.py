"""`goldentwin deliver`: what waits for MLflow, delivered now."""

from __future__ import annotations

from dataclasses import asdict

import typer

from flows.commands import options, terminal


def deliver(
    context: typer.Context,
    *,
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Hand over to MLflow what was kept while it could not be reached.

    Every calibration, evaluation and batch does so too; this is for when none is due. The exit code is 1 where
    something is still waiting.
    """
    from pipeline.outbox import deliver as deliver_waiting  # noqa: PLC0415 - only this command needs it

    report = deliver_waiting(options.workspace_of(context, home, references))
    if as_json:
        terminal.print_json(asdict(report))
    else:
        terminal.say(f"{report.delivered} delivered, {report.waiting} waiting, {report.rejected} refused")
        if report.reason:
            terminal.warn(report.reason)
    if report.waiting or report.rejected:
        raise typer.Exit(1)
