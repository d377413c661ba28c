"""Labelled pictures that counted for nothing, named with their reason."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from flows.commands import terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.scoring import LeftOut

NAMED = 10


def left_out_json(left_out: Sequence[LeftOut]) -> list[dict[str, str]]:
    """The same as JSON objects."""
    return [asdict(one) for one in left_out]


def print_left_out(left_out: Sequence[LeftOut]) -> None:
    """Warn of each, the first ten by name."""
    for one in left_out[:NAMED]:
        terminal.warn(f"left out: {one.frame}: {one.reason}")
    if len(left_out) > NAMED:
        terminal.warn(f"left out: {len(left_out) - NAMED} more; --json names them all")
