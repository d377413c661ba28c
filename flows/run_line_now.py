"""The line flow, now, in this process: with Prefect where a server is named and answers, and without it otherwise."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from flows.line_running import run_line
from flows.prefect_here import answering, deliver_logs_and_events, first_line, named_api, quiet_prefect
from flows.settings import prepare_prefect
from flows.watching import LineViews, line_viewed_by
from inspection.errors import GoldentwinError

if TYPE_CHECKING:
    from pipeline.line.line import LineSummary
    from pipeline.line.opening import LineRequest

logger = logging.getLogger(__name__)


def run_line_now(request: LineRequest, views: LineViews, *, page_port: int | None) -> LineSummary:
    """Run the line to its end.

    Where the user's settings name a Prefect server (`PREFECT_API_URL`), it is a run of the flow `line-inspection`
    there. No server is started for it otherwise: a line needs its cores. Should Prefect fail halfway, the line goes on
    without it.

    Raises:
        GoldentwinError: the line can't be started, or can't go on.
    """
    home = request.settings.workspace.home
    prepare_prefect(home)
    finished: list[LineSummary] = []
    with line_viewed_by(replace(views, done=finished.append)):
        if api_url := named_api(home):
            try:
                with quiet_prefect(), answering(api_url):
                    _run_flow(request, page_port)
                    deliver_logs_and_events()
            except GoldentwinError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever ails Prefect, the line runs
                logger.warning("inspecting without Prefect, which fails: %s", first_line(error))
        return finished[-1] if finished else run_line(request, page_port=page_port)


def _run_flow(request: LineRequest, page_port: int | None) -> None:
    from flows.line import line_inspection  # noqa: PLC0415 - Prefect takes seconds to import

    line_inspection(**request.parameters(), page_port=page_port)
