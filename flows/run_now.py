"""The nightly flow, once, now, in this process: with Prefect where it answers, and without it where it does not."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import cast

from flows.embedded_server import embedded_server
from flows.night import Night
from flows.settings import prepare_prefect
from flows.watching import Watcher, report_progress, watched_by
from inspection.errors import GoldentwinError
from pipeline.batch import BatchSummary, judge_chunk, summarise_batch

CLIENT_RETRIES = 1
DELIVERY_SECONDS = 10
LONGEST_MESSAGE = 200

logger = logging.getLogger(__name__)


def run_nightly(night: Night, watcher: Watcher | None = None) -> BatchSummary:
    """Run the nightly flow to its end and return what it found.

    It runs on the Prefect API that the user's settings name (`PREFECT_API_URL`), else on an embedded server with its
    database in the home folder. If neither answers, now or halfway, the frames are judged all the same and a warning
    is logged.

    Args:
        night: what to judge.
        watcher: called with (portions done, portions in all) after each portion.

    Raises:
        GoldentwinError: what neither a retry nor Prefect has a part in, such as a product without goldens.
    """
    prepare_prefect(night.workspace.home)
    with watched_by(watcher):
        try:
            return _run_with_prefect(night)
        except GoldentwinError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever ails Prefect, the frames are judged
            logger.warning("inspecting without Prefect, which fails: %s", _first_line(error))
        return run_plainly(night)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:LONGEST_MESSAGE]


def run_plainly(night: Night) -> BatchSummary:
    """The steps of the nightly flow without Prefect: no retries, no page, the same verdicts."""
    started = time.monotonic()
    plan = night.plan()
    for number, chunk in enumerate(plan.chunks, start=1):
        judge_chunk(plan, chunk)
        report_progress(number, len(plan.chunks))
    return summarise_batch(plan, time.monotonic() - started)


def _run_with_prefect(night: Night) -> BatchSummary:
    if api_url := _named_api(night.workspace.home):
        with _quiet_prefect(), _answering(api_url):
            return _run_flow(night)
    with embedded_server(night.workspace.home) as server, _quiet_prefect():
        night.open()  # takes as long as the server takes to start
        server.wait()
        with _used(server.api_url, retries=CLIENT_RETRIES):
            summary = _run_flow(night)
            _deliver_logs_and_events()
            return summary


def _run_flow(night: Night) -> BatchSummary:
    from flows.nightly import nightly_inspection  # noqa: PLC0415 - importing Prefect takes seconds

    return cast("BatchSummary", nightly_inspection(**night.parameters()))


def _named_api(home: Path) -> str | None:
    """The API that the user's environment names, or the profile in a PREFECT_HOME of their own."""
    named = os.environ.get("PREFECT_API_URL")
    if named or Path(os.environ.get("PREFECT_HOME", home / "prefect")) == home / "prefect":
        return named
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415 - importing Prefect takes seconds

    return cast("str | None", PREFECT_API_URL.value())


@contextmanager
def _answering(api_url: str) -> Iterator[None]:
    """Use the API for the block, if it answers now."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - importing Prefect takes seconds

    with _used(api_url, retries=0), get_client(sync_client=True) as client:
        if error := client.api_healthcheck():
            raise error
    with _used(api_url):
        yield


@contextmanager
def _used(api_url: str, *, retries: int | None = None) -> Iterator[None]:
    """Let Prefect use the API for the block; `retries` is how often it asks again, its own setting when None."""
    from prefect.settings import (  # noqa: PLC0415 - importing Prefect takes seconds
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
        temporary_settings,
    )

    asked = {} if retries is None else {PREFECT_CLIENT_MAX_RETRIES: retries}
    with temporary_settings({PREFECT_API_URL: api_url, **asked}):
        yield


def _deliver_logs_and_events() -> None:
    """Wait for what Prefect sends in the background, or it finds the server gone and says so in the terminal."""
    from prefect.events.worker import EventsWorker  # noqa: PLC0415 - importing Prefect takes seconds
    from prefect.logging.handlers import APILogWorker  # noqa: PLC0415 - the same

    EventsWorker.drain_all(timeout=DELIVERY_SECONDS)
    APILogWorker.drain_all(timeout=DELIVERY_SECONDS)


@contextmanager
def _quiet_prefect() -> Iterator[None]:
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
