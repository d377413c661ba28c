"""Secrets in files: a variable's value stands in the file that `NAME_FILE` names, as container platforms lay them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from inspection.errors import GoldentwinError

NAMES: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "GOLDENTWIN_DATABASE_URL",
    "GOLDENTWIN_PAGE_TOKEN",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_USERNAME",
    "PREFECT_API_AUTH_STRING",
)
_LONGEST: Final = 64 * 1024
_ADDRESS: Final = re.compile(r"://[^/@\s]*@")


class SecretFileError(GoldentwinError):
    """A file that should hold a secret can't be read, is empty, or is no text."""


def read_secret_files() -> None:
    """Set each of `NAMES` to what stands in the file that `NAME_FILE` names, without the line's end.

    The file wins over a variable that is set too. Call it before libraries look at the environment.

    Raises:
        SecretFileError: such a file can't be read or is empty; the message names the variable and the file.
    """
    for name in NAMES:
        if file := os.environ.get(f"{name}_FILE"):
            os.environ[name] = _secret(name, Path(file))


def secret_of(name: str) -> str:
    """What stands in the file that `NAME_FILE` names, else in the variable `NAME`.

    Raises:
        SecretFileError: neither is there, or the file can't be read or is empty.
    """
    if file := os.environ.get(f"{name}_FILE"):
        return _secret(name, Path(file))
    if not (value := os.environ.get(name)):
        message = f"neither {name} nor {name}_FILE is set; set one of them where the line runs"
        raise SecretFileError(message)
    return value


def without_password(text: str) -> str:
    """Hide user and password of every address in `text`."""
    return _ADDRESS.sub("://***@", text)


def without_user(address: str) -> str:
    """The address as others may see it: without user and password."""
    return _ADDRESS.sub("://", address)


def _secret(name: str, file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as opened:
            secret = opened.read(_LONGEST).rstrip("\r\n")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        message = f"{name}_FILE names {file}, which can't be read ({why}); mend the path, or make it readable"
        raise SecretFileError(message) from None
    if not secret or "\0" in secret:
        message = f"{name}_FILE names {file}, which holds no secret; write the secret into it"
        raise SecretFileError(message)
    return secret
