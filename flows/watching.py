"""How far a night has come, and how a line is, told to whoever waits for it in the same process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.line.line import Line, LineSummary
    from pipeline.signals import Sink

Watcher = Callable[[int, int], None]

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher | None) -> Iterator[None]:
    """Call `watcher(portions done, portions in all)` after each portion judged inside the block.

    A flow's parameters are JSON, so a terminal's progress bar can't be one of them.
    """
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def report_progress(done: int, total: int) -> None:
    """Tell the watcher, where there is one."""
    if watcher := _watcher.get():
        watcher(done, total)


@dataclass(frozen=True, kw_only=True)
class LineViews:
    """Who looks on while a line runs in this process.

    `showing` is entered with the line and the address of its page (None without one) for as long as it runs, `done`
    gets what it came to; `sinks` are told of each part after all others.
    """

    showing: Callable[[Line, str | None], AbstractContextManager[None]] = lambda _line, _address: nullcontext()
    done: Callable[[LineSummary], None] = lambda _summary: None
    sinks: list[Sink] = field(default_factory=list)


_views: ContextVar[LineViews | None] = ContextVar("views", default=None)


@contextmanager
def line_viewed_by(views: LineViews) -> Iterator[None]:
    """Let a line that runs inside the block be seen. A flow's parameters are JSON: a terminal can't be one of them."""
    token = _views.set(views)
    try:
        yield
    finally:
        _views.reset(token)


def line_views() -> LineViews:
    """Those of the block we are in; nobody outside one."""
    return _views.get() or LineViews()
