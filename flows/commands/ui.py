"""`goldentwin ui`: the local MLflow and Prefect servers."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from flows.commands import options, terminal
from inspection.errors import GoldentwinError

LOOK_SECONDS = 1.0


def ui(
    context: typer.Context,
    *,
    mlflow_port: Annotated[int, typer.Option(min=1, max=65535, help="MLflow's port, or a free one near it.")] = 5000,
    prefect_port: Annotated[int, typer.Option(min=1, max=65535, help="Prefect's port, or a free one near it.")] = 4200,
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Start the local MLflow and Prefect servers, print their addresses, and stop them on ctrl-C.

    MLflow shows calibrations, batches and models, Prefect the nightly runs. They are reached from this machine only.
    """
    from pipeline.servers import running_servers  # noqa: PLC0415 - only this command needs it

    workspace = options.workspace_of(context, home, references)
    if not as_json:
        terminal.say("starting MLflow and Prefect; the first time takes a minute")
    with running_servers(workspace, mlflow_port=mlflow_port, prefect_port=prefect_port) as servers:
        addresses = {server.name.lower(): server.address for server in servers}
        if as_json:
            terminal.print_json(addresses)
        else:
            terminal.facts({server.name: server.address for server in servers})
            terminal.say("ctrl-C stops them")
        try:
            while all(server.alive for server in servers):
                time.sleep(LOOK_SECONDS)
        except KeyboardInterrupt:
            return
        ended = next(server for server in servers if not server.alive)
        message = f"{ended.name}'s server ended by itself; see {ended.log}"
        raise GoldentwinError(message)
