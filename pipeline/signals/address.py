"""Addresses of receivers as people type them; what is secret in them never leaves this module but to connect."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from inspection.errors import GoldentwinError

if TYPE_CHECKING:
    from collections.abc import Collection


class SignalAddressError(GoldentwinError):
    """The address of a receiver can't be understood; the message names the forms there are."""


@dataclass(frozen=True, kw_only=True)
class SignalAddress:
    """An address in its parts. `path` has no leading slash; `options` are those behind the question mark.

    `user` and `password` are "" where there are none; they come from the address itself, or by the options `user_env`,
    `password_env` and `password_file` from the environment or a file.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    options: dict[str, str] = field(default_factory=dict)
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """The address without user, password and options."""
        port = "" if self.port is None else f":{self.port}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{port}/{self.path}".rstrip("/")

    def flag(self, name: str) -> bool:
        """Whether an option is switched on."""
        return self.options.get(name, "0").lower() in {"1", "true", "yes"}


CREDENTIALS = frozenset({"user_env", "password_env", "password_file"})


def parse_address(address: str, *, known: Collection[str] | None) -> SignalAddress:
    """Take an address apart.

    Args:
        address: `scheme://[user:password@]host[:port]/path[?option=value&...]`.
        known: names of the options there are, beside those of credentials; None lets all pass.

    Raises:
        SignalAddressError: it names no host, an unknown option, or a secret that is not there.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        message = f"the signal's address can't be understood: {error}; it looks like scheme://host:port/path"
        raise SignalAddressError(message) from error
    if not host:
        message = f"a signal of {parts.scheme}: needs a host; it looks like {parts.scheme}://host:port/path"
        raise SignalAddressError(message)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = set() if known is None else set(options) - set(known) - CREDENTIALS
    if unknown:
        there = ", ".join(sorted({*(known or ()), *CREDENTIALS}))
        message = f"{min(unknown)!r} is no option of {parts.scheme}: signals; there are {there}"
        raise SignalAddressError(message)
    return SignalAddress(
        scheme=parts.scheme,
        host=host,
        port=port,
        path=unquote(parts.path).strip("/"),
        options=options,
        user=unquote(parts.username or "") or _from_environment(options.get("user_env")),
        password=unquote(parts.password or "") or secret(options, "password"),
    )


def secret(options: dict[str, str], what: str) -> str:
    """A secret named by the options `<what>_env` or `<what>_file`; "" where neither is given.

    Raises:
        SignalAddressError: the variable is not set, or the file can't be read.
    """
    if file := options.get(f"{what}_file"):
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            message = f"the signal's {what} can't be read from {file}: {error}"
            raise SignalAddressError(message) from error
    return _from_environment(options.get(f"{what}_env"))


def _from_environment(variable: str | None) -> str:
    if not variable:
        return ""
    value = os.environ.get(variable)
    if value is None:
        message = f"the environment has no {variable}, which a signal's address names; set it where the line runs"
        raise SignalAddressError(message)
    return value
