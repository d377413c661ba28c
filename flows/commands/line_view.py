"""A running line in the terminal: a calm picture that stays in place, plain lines where nobody looks on."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from rich.live import Live

from flows.commands import terminal
from flows.commands.line_picture import line_picture, silent_picture
from flows.commands.line_words import LineWords

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from pipeline.line.snapshot import LineSnapshot

EVERY_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 2.0

logger = logging.getLogger(__name__)


class _View(Protocol):
    """Something a line is shown on."""

    def show(self, snapshot: LineSnapshot) -> None:
        """Show the line as it is."""

    def fail(self, why: str) -> None:
        """Say that the line gave no snapshot."""

    def end(self) -> None:
        """Say the last words."""


@contextmanager
def shown_line(
    snapshot: Callable[[], LineSnapshot],
    *,
    console: Console | None = None,
    address: str | None = None,
    every: float = EVERY_SECONDS,
) -> Iterator[None]:
    """Show a line while the block lasts, and its last state after it.

    Whatever goes wrong in showing it is logged and disturbs nobody.

    Args:
        snapshot: the line at this moment; called from a thread of our own.
        console: where to; standard output by default.
        address: of the line's page, named under the picture.
        every: seconds between two looks.
    """
    console = console or terminal.console()
    view = _LivePicture(console, address) if console.is_terminal else LineWords(console, address)
    stop = threading.Event()
    thread = threading.Thread(target=_watch, args=(snapshot, view, stop, every), name="line view", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_STOP_SECONDS)


def _watch(snapshot: Callable[[], LineSnapshot], view: _View, stop: threading.Event, every: float) -> None:
    """Look at the line now and then, and once more after the end."""
    try:
        while True:
            ended = stop.is_set()
            try:
                shown = snapshot()
            except Exception as error:  # noqa: BLE001 - the line's trouble is shown, not ours to mend
                view.fail(f"{type(error).__name__}: {error}")
            else:
                view.show(shown)
            if ended:
                break
            stop.wait(every)
        view.end()
    except Exception:
        logger.exception("the line can't be shown in the terminal any more; it runs on")


class _LivePicture:
    """The picture that stays in place."""

    def __init__(self, console: Console, address: str | None) -> None:
        self._console, self._address = console, address
        self._last: LineSnapshot | None = None
        self._live = Live(console=console, auto_refresh=False, transient=False, vertical_overflow="crop")

    def show(self, snapshot: LineSnapshot) -> None:
        """Draw the line in place of what stood there."""
        self._last = snapshot
        self._live.start()  # does nothing once it is started
        picture = line_picture(snapshot, self._console, now=datetime.now(UTC), address=self._address)
        self._live.update(picture, refresh=True)

    def fail(self, why: str) -> None:
        """Draw that the line does not answer, over its last figures."""
        self._live.start()
        self._live.update(silent_picture(self._last, self._console, why, address=self._address), refresh=True)

    def end(self) -> None:
        """Leave the last picture and give the terminal back."""
        self._live.stop()
