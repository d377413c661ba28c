"""Python, processor and clock."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from pipeline.doctor.finding import Finding, ok, warn
from pipeline.workspace import Workspace, cores

NEWEST_TESTED = (3, 13)
THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
BUILT_AFTER = datetime(2026, 1, 1, tzinfo=UTC)  # a clock before this has lost its battery


def examine_python(_workspace: Workspace) -> list[Finding]:
    """Which Python, on what system."""
    detail = f"{platform.python_version()} on {platform.system()} {platform.machine()} ({sys.prefix})"
    if sys.version_info[:2] > NEWEST_TESTED:
        return [warn("python", f"{detail}; not tested with this version", "use Python 3.11, 3.12 or 3.13")]
    return [ok("python", detail)]


def examine_processor(_workspace: Workspace) -> list[Finding]:
    """How many cores may be used, and whether a setting keeps the network on fewer."""
    there = cores()
    fewer = [name for name in THREAD_SETTINGS if os.environ.get(name, "").isdecimal() and int(os.environ[name]) < there]
    if fewer:
        detail = f"{there} cores, but {', '.join(f'{name}={os.environ[name]}' for name in fewer)}"
        return [warn("processor", detail, f"unset {' '.join(fewer)}, or set it to {there}, unless cores are shared")]
    wish = os.environ.get("GOLDENTWIN_CORES", "")
    if wish and not (wish.isdecimal() and int(wish) > 0):
        detail = f"GOLDENTWIN_CORES={wish} is no number of cores, so all {there} are used"
        return [warn("processor", detail, "set GOLDENTWIN_CORES to a whole number, or unset it")]
    asked = " by GOLDENTWIN_CORES" if os.environ.get("GOLDENTWIN_CORES") else ""
    return [ok("processor", f"{there} {'core' if there == 1 else 'cores'}{asked}, no setting that limits threads")]


def examine_clock(_workspace: Workspace) -> list[Finding]:
    """Whether times in UTC are right and time zones of schedules can be found."""
    now = datetime.now(UTC)
    said = f"{now:%Y-%m-%d %H:%M} UTC"
    if now < BUILT_AFTER:
        return [warn("clock", f"it says {said}, which is past", "set the clock, best by NTP: timedatectl set-ntp true")]
    zone = os.environ.get("TZ", "").lstrip(":") or "Europe/Berlin"
    try:
        ZoneInfo(zone)
    except (KeyError, OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError
        detail = f"{said}; the time zone {zone!r} is not known, so schedules in local time may run at a wrong hour"
        return [warn("clock", detail, "mend TZ, or install the time zone data: pip install tzdata")]
    return [ok("clock", f"{said}, time zone data there")]
