"""Values in the form that MLflow takes: parameters are text, metrics are finite numbers, keys and names are safe."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from inspection.recipe import digest_of

_PARAMETER_LENGTH = 500


def numbers_of(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The finite numbers in nested `values` as metrics: `{"escape": {"rate": 0, "n": 9}}` is escape and escape_n."""
    found: dict[str, float] = {}
    for key, value in values.items():
        name = re.sub(r"[^\w.\- /]", "_", f"{prefix}{key}")
        if isinstance(value, Mapping):
            found |= numbers_of(value, f"{name}_")
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            found[name.removesuffix("_rate")] = float(value)
    return found


def params_of(values: Mapping[str, Any]) -> dict[str, str]:
    """What is not None in `values`, as text of a length that MLflow takes."""
    return {
        name: flag(value) if isinstance(value, bool) else encodable(str(value))[:_PARAMETER_LENGTH]
        for name, value in values.items()
        if value is not None
    }


def run_key(kind: str, *grounds: object) -> str:
    """The key of a run: the same for the same `grounds`."""
    return f"{kind}-{digest_of(grounds)}"


def flag(value: bool) -> str:  # noqa: FBT001 - turns the flag itself into a word
    """`true` or `false`, as MLflow's own tags say it."""
    return "true" if value else "false"


def safe_name(name: str) -> str:
    """`name` as part of a file name on any system."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)[-80:]


def encodable(text: str) -> str:
    """`text` with lone surrogates (bytes of a file name that are no UTF-8), which can't be written, escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def before(moment: str, seconds: float) -> str:
    """The moment `seconds` earlier, ISO 8601."""
    return (datetime.fromisoformat(moment) - timedelta(seconds=seconds)).isoformat()


def local_minute(moment: str) -> str:
    """The moment for people, in this machine's time zone: `2026-11-23 02:00`."""
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}"
