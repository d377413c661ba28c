"""`goldentwin ui`: the local MLflow and Prefect servers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands import options, terminal
from inspection.errors import GoldentwinError

if TYPE_CHECKING:
    from pipeline.workspace import Workspace

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
            _warn_of_pictures(workspace, addresses["mlflow"])
            terminal.say("ctrl-C stops them")
        try:
            while all(server.alive for server in servers):
                time.sleep(LOOK_SECONDS)
        except KeyboardInterrupt:
            return
        ended = next(server for server in servers if not server.alive)
        message = f"{ended.name}'s server ended by itself; see {ended.log}"
        raise GoldentwinError(message)


def _warn_of_pictures(workspace: Workspace, address: str) -> None:
    """Pictures in the review queue are addressed where they are pushed to; elsewhere they stay empty."""
    from pipeline.tracking.review_room import public_address  # noqa: PLC0415 - only here

    pushed_to = public_address(workspace)
    if pushed_to != address:
        terminal.warn(
            f"pictures of parts to be reviewed are looked for at {pushed_to}; free that port, or set "
            f"GOLDENTWIN_MLFLOW_ADDRESS={address} before the next night"
        )
