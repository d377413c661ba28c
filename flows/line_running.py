"""Run a line in this process: opened, shown on its page, and looked at by whoever wants to. Knows no Prefect."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING

from flows.watching import line_views
from pipeline.line.opening import opened_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.line.line import Line, LineSummary
    from pipeline.line.opening import LineRequest
    from pipeline.line.snapshot import LineSnapshot


def run_line(
    request: LineRequest,
    *,
    page_port: int | None = None,
    tell: Callable[[LineSnapshot], None] = lambda _snapshot: None,
    hold: Callable[[Line], AbstractContextManager[None]] = lambda _line: nullcontext(),
) -> LineSummary:
    """Run a line until it ends.

    Args:
        request: what is asked of it.
        page_port: port of its live page; None for no page.
        tell: is called some times a second.
        hold: is entered for as long as the line runs.

    Raises:
        GoldentwinError: the line can't be started, or can't go on.
    """
    views = line_views()
    with ExitStack() as stack:
        line = stack.enter_context(opened_line(request, also=views.sinks))
        stack.enter_context(hold(line))
        address = None
        if page_port is not None:
            from pipeline.line_page.reading import ShownLine  # noqa: PLC0415 - FastAPI, for those who want the page
            from pipeline.line_page.server import PageServer  # noqa: PLC0415 - goes with it

            shown = ShownLine(snapshot=line.snapshot, golden=line.golden)
            address = stack.enter_context(PageServer([shown], port=page_port)).address
        stack.enter_context(views.showing(line, address))
        try:
            summary = line.run(tell)
        finally:
            tell(line.snapshot())  # how it ended, also where it was cancelled
    views.done(summary)
    return summary
