"""What a receiver holds of a signal it was told, whichever release told it."""

from __future__ import annotations

import json
from typing import Any, TypeGuard


def told_values(text: bytes | str) -> dict[str, Any] | None:
    """The values of a signal's JSON, with a `sequence` and a `line` at least; None for anything else."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    sequence = values.get("sequence") if isinstance(values, dict) else None
    return values if is_sequence(sequence) and isinstance(values.get("line"), str) else None


def is_sequence(value: object) -> TypeGuard[int]:
    """Whether it is a whole number; JSON's `true` is none."""
    return isinstance(value, int) and not isinstance(value, bool)
