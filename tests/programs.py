"""Programs of other projects that tests start. CI installs them, so one that is missing there fails the test."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

_OFF_THE_PATH = "/usr/sbin:/usr/local/sbin"  # where Debian has servers, and users' paths may not lead


def program(name: str, package: str) -> str:
    """Where a program lies; `package` is Debian's that brings it. See `lacking`."""
    found = shutil.which(name) or shutil.which(name, path=_OFF_THE_PATH)
    if found is None:
        lacking(f"{name} is not installed (Debian: apt-get install {package})")
    return found


def lacking(reason: str) -> NoReturn:
    """Skip the test with the reason; in CI fail it, where a skip would hide that nothing was tested."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
