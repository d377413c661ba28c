"""The environment Prefect runs in. It has to stand before Prefect is imported, for Prefect reads it then."""

from __future__ import annotations

import os
from pathlib import Path

STARTUP_SECONDS = 120


def prepare_prefect(home: Path) -> None:
    """Keep Prefect's state in `<home>/prefect`, send no analytics, and be patient while its server starts.

    What the user has set in the environment stays as it is. Call it before anything imports Prefect.

    Args:
        home: the folder that holds all of goldentwin's state (`--home`).
    """
    for name, value in prefect_environment(home).items():
        os.environ.setdefault(name, value)


def prefect_environment(home: Path) -> dict[str, str]:
    """The variables that `prepare_prefect` sets, also for servers and workers started as processes of their own."""
    # a user's own PREFECT_HOME also holds the built pages of the UI, which Prefect would write beside its own code
    prefect_home = Path(os.environ.get("PREFECT_HOME") or home / "prefect")
    return {
        "PREFECT_HOME": str(prefect_home),
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(prefect_home / "ui"),
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": str(STARTUP_SECONDS),
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    }
