"""How far a night has come, told to whoever waits for it in the same process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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
