"""Prefect in this process: which server the user named, whether it answers, and its words kept off the terminal."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import cast

DELIVERY_SECONDS = 10
LONGEST_MESSAGE = 200
UNAUTHORISED = 401


def first_line(error: Exception) -> str:
    """What an error says, in one line; of a password that is missing or wrong, what mends it."""
    if getattr(getattr(error, "response", None), "status_code", None) == UNAUTHORISED:
        return "its server does not know this password (401); set PREFECT_API_AUTH_STRING, as user:password"
    return (str(error).splitlines() or [type(error).__name__])[0][:LONGEST_MESSAGE]


def named_api(home: Path) -> str | None:
    """The API that the user's environment names, or the profile in a PREFECT_HOME of their own."""
    named = os.environ.get("PREFECT_API_URL")
    if named or Path(os.environ.get("PREFECT_HOME", home / "prefect")) == home / "prefect":
        return named
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415 - importing Prefect takes seconds

    return cast("str | None", PREFECT_API_URL.value())


@contextmanager
def answering(api_url: str) -> Iterator[None]:
    """Use the API for the block, if it answers now; what the client raises otherwise."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - importing Prefect takes seconds

    with used(api_url, retries=0), get_client(sync_client=True) as client:
        if error := client.api_healthcheck():
            raise error
    with used(api_url):
        yield


@contextmanager
def used(api_url: str, *, retries: int | None = None) -> Iterator[None]:
    """Let Prefect use the API for the block; `retries` is how often it asks again, its own setting when None."""
    from prefect.settings import (  # noqa: PLC0415 - importing Prefect takes seconds
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
        temporary_settings,
    )

    asked = {} if retries is None else {PREFECT_CLIENT_MAX_RETRIES: retries}
    with temporary_settings({PREFECT_API_URL: api_url, **asked}):
        yield


def deliver_logs_and_events() -> None:
    """Wait for what Prefect sends in the background, or it finds the server gone and says so in the terminal."""
    from prefect.events.worker import EventsWorker  # noqa: PLC0415 - importing Prefect takes seconds
    from prefect.logging.handlers import APILogWorker  # noqa: PLC0415 - the same

    EventsWorker.drain_all(timeout=DELIVERY_SECONDS)
    APILogWorker.drain_all(timeout=DELIVERY_SECONDS)


@contextmanager
def quiet_prefect() -> Iterator[None]:
    """Keep Prefect's log lines out of the terminal, and its hands off our own; the Prefect UI shows its lines."""
    root, level = logging.getLogger(), logging.getLogger().level
    ours = root.handlers[:]
    import_module("prefect.main")  # sets up logging
    root.handlers[:] = ours
    root.setLevel(level)
    outer, inner, nowhere = logging.getLogger("prefect"), logging.getLogger("prefect._internal"), logging.NullHandler()
    inner_level = inner.level
    outer.addHandler(nowhere)
    outer.propagate = False
    inner.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        outer.removeHandler(nowhere)
        outer.propagate = True
        inner.setLevel(inner_level)
