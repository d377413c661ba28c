"""The nightly flow, once, now, in this process: with Prefect where it answers, and without it where it does not."""

from __future__ import annotations

import logging
import time
from typing import cast

from flows.embedded_server import embedded_server
from flows.night import Night
from flows.prefect_here import answering, deliver_logs_and_events, first_line, named_api, quiet_prefect, used
from flows.settings import prepare_prefect
from flows.watching import Watcher, report_progress, watched_by
from inspection.errors import GoldentwinError
from pipeline.batch import BatchSummary, judge_chunk, summarise_batch

CLIENT_RETRIES = 1

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
            logger.warning("inspecting without Prefect, which fails: %s", first_line(error))
        return run_plainly(night)


def run_plainly(night: Night) -> BatchSummary:
    """The steps of the nightly flow without Prefect: no retries, no page, the same verdicts."""
    started = time.monotonic()
    plan = night.plan()
    for number, chunk in enumerate(plan.chunks, start=1):
        judge_chunk(plan, chunk)
        report_progress(number, len(plan.chunks))
    return summarise_batch(plan, time.monotonic() - started)


def _run_with_prefect(night: Night) -> BatchSummary:
    if api_url := named_api(night.workspace.home):
        with quiet_prefect(), answering(api_url):
            return _run_flow(night)
    with embedded_server(night.workspace.home) as server, quiet_prefect():
        night.open()  # takes as long as the server takes to start
        server.wait()
        with used(server.api_url, retries=CLIENT_RETRIES):
            summary = _run_flow(night)
            deliver_logs_and_events()
            return summary


def _run_flow(night: Night) -> BatchSummary:
    from flows.nightly import nightly_inspection  # noqa: PLC0415 - importing Prefect takes seconds

    return cast("BatchSummary", nightly_inspection(**night.parameters()))
