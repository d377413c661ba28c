"""A run's portions, one after the other; or side by side on Dask, by Prefect's own task runner for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from prefect.context import FlowRunContext
from prefect.futures import as_completed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.night_tasks import judge_frames, unvisited
from inspection.errors import GoldentwinError
from pipeline.planning import BatchPlan
from pipeline.workspace import cores


def portions_runner() -> TaskRunner[Any]:
    """Where a run's portions are judged: here, or on the Dask of `GOLDENTWIN_DASK`.

    That names a scheduler (`tcp://host:8786`), whose workers see goldens, frames and records as this process does; or
    a number of processes on this machine, which share its cores and end with the run.

    Raises:
        GoldentwinError: Dask is not installed.
    """
    asked = os.environ.get("GOLDENTWIN_DASK", "").strip()
    if not asked:
        return ThreadPoolTaskRunner()
    try:
        from prefect_dask.task_runners import DaskTaskRunner  # noqa: PLC0415 - an extra
    except ImportError as error:
        message = "GOLDENTWIN_DASK is set and Dask is not installed: pip install 'goldentwin[dask]', or unset it"
        raise GoldentwinError(message) from error
    if not asked.isdecimal():
        return DaskTaskRunner(address=asked)
    processes = max(1, int(asked))
    here = {"n_workers": processes, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    share = {"GOLDENTWIN_CORES": str(max(1, cores() // processes))}
    return DaskTaskRunner(cluster_kwargs={**here, "env": share})


def judge_portions(plan: BatchPlan) -> Iterator[int]:
    """Judge and record all portions of `plan`; says after each how many are done.

    Raises:
        GoldentwinError: what no retry could mend; portions that were done stay recorded.
    """
    context = FlowRunContext.get()
    if context is None or isinstance(context.task_runner, ThreadPoolTaskRunner):
        for number, chunk in enumerate(plan.chunks, start=1):
            judge_frames(unvisited(plan), unvisited(chunk), number)
            yield number
        return
    grounds = replace(plan, chunks=())  # Dask takes apart what Prefect is told to leave whole, so little is handed over
    futures = [judge_frames.submit(grounds, chunk, number) for number, chunk in enumerate(plan.chunks, start=1)]
    for done, future in enumerate(as_completed(futures), start=1):
        future.result()
        yield done
