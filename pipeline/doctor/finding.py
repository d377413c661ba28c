"""What an examination finds: one line each, with its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How bad it is: `warn` limits something, `fail` stops something."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that works or does not. `remedy` is empty where all is well."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


def ok(name: str, detail: str) -> Finding:
    """It works."""
    return Finding(name=name, status=Status.OK, detail=detail)


def warn(name: str, detail: str, remedy: str) -> Finding:
    """It works with limits."""
    return Finding(name=name, status=Status.WARN, detail=detail, remedy=remedy)


def fail(name: str, detail: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(name=name, status=Status.FAIL, detail=detail, remedy=remedy)


def with_remedy(error: Exception, otherwise: str) -> tuple[str, str]:
    """Detail and remedy of one of our own errors, whose messages name the remedy after their last semicolon.

    Args:
        error: what was raised.
        otherwise: the remedy where the message names none.
    """
    detail, _, remedy = str(error).rpartition("; ")
    return (detail, remedy) if detail else (str(error), otherwise)
