"""What a site says wrong of its lines, told before any runs: addresses that are none, ports that two would have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from inspection.errors import GoldentwinError
from pipeline.cameras.addresses import open_camera
from pipeline.signals.opening import require_signal_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flows.sites import Line

_SCHEME: Final = re.compile(r"[A-Za-z]+:")


def address_problems(lines: Iterable[Line]) -> Iterator[str]:
    """Each problem in words, with the lines' names.

    What lies on the lines' own machines (folders of frames, files and variables with secrets) is not looked for.
    """
    taken: dict[tuple[str, str, str], str] = {}
    for line in lines:
        try:
            if _SCHEME.match(line.source):
                open_camera(line.source.replace("${", "{"))  # the secret is where the line runs
            for signal in line.signals:
                require_signal_address(signal)
        except GoldentwinError as error:
            yield f"line {line.line!r}: {error}"
        only_one = {"camera": "" if line.source.startswith("sim:") else line.source, "page_port": line.page_port}
        for what, value in only_one.items():
            other = taken.setdefault((line.host, what, str(value)), line.line) if value else line.line
            if other != line.line:
                yield f"lines {other!r} and {line.line!r} have the same {what} on {line.host!r}; each needs its own"
