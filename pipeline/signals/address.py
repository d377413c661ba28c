"""Addresses of receivers, as people type them: parts checked, secrets set apart."""

from __future__ import annotations

import os
import ssl
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from inspection.errors import GoldentwinError

_TOPIC_SIGNS = frozenset("+#/\\")
_LONGEST_NAME = 100
DEFAULT_TIMEOUT = 5.0


class SignalAddressError(GoldentwinError):
    """An address of a receiver of signals, or the name of a line, can't be understood or used."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """An address in parts. `user` and `password` are decoded and never shown; `query` is what follows the `?`."""

    scheme: str
    host: str
    port: int | None
    path: str
    query: str = field(default="", repr=False)
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @cached_property
    def options(self) -> dict[str, str]:
        """The query's options, decoded."""
        return options_of(self.query)

    @property
    def place(self) -> str:
        """Scheme, host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port else "")

    def require_known(self, names: Collection[str]) -> None:
        """Refuse options that mean nothing here.

        Raises:
            SignalAddressError: there is one.
        """
        unknown = sorted(set(self.options) - set(names))
        if unknown:
            message = f"{self.scheme} knows no option {', '.join(unknown)}; it knows {', '.join(sorted(names))}"
            raise SignalAddressError(message)

    def number(self, name: str, default: float, *, least: float, most: float) -> float:
        """The option as a number.

        Raises:
            SignalAddressError: it is none, or outside `least` to `most`.
        """
        text = self.options.get(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            message = f"the option {name} of the signal's address is no number in [{least:g}, {most:g}]; mend it"
            raise SignalAddressError(message)
        return value

    def switch(self, name: str) -> bool:
        """Whether the option is on: `1`; off is `0`, or leaving it out.

        Raises:
            SignalAddressError: it is something else.
        """
        text = self.options.get(name, "0")
        if text not in {"0", "1"}:
            message = f"the option {name} of the signal's address is neither 0 nor 1; mend it"
            raise SignalAddressError(message)
        return text == "1"

    def seconds(self) -> float:
        """How long an answer is waited for."""
        return self.number("timeout", DEFAULT_TIMEOUT, least=0.05, most=300)

    def secret(self, name: str) -> str | None:
        """The secret that the options `NAME_env` (an environment variable) or `NAME_file` (a file) lead to.

        Raises:
            SignalAddressError: the variable or file is not there, or both are named.
        """
        variable, file = self.options.get(f"{name}_env"), self.options.get(f"{name}_file")
        if variable is not None and file is not None:
            message = f"the signal's address names both {name}_env and {name}_file; leave one out"
            raise SignalAddressError(message)
        if variable is not None:
            return _from_environment(variable)
        return _from_file(Path(file)) if file is not None else None

    def credentials(self) -> tuple[str | None, str | None]:
        """User and password: written in the address (`user:password@`, `?user=`), or where its options lead to.

        Raises:
            SignalAddressError: one is named twice, is missing, or there is a password without a user.
        """
        user = _one("user", self.user, self.options.get("user"), self.secret("user"))
        password = _one("password", self.password, self.secret("password"))
        if password is not None and not user:
            message = "the signal's address has a password but no user; name the user"
            raise SignalAddressError(message)
        return user, password

    def trusted(self) -> ssl.SSLContext:
        """Whom encrypted connections trust: the system's authorities, or those in the file that `ca` names.

        Raises:
            SignalAddressError: the file holds none.
        """
        authorities = self.options.get("ca")
        try:
            return ssl.create_default_context(cafile=authorities)
        except OSError as error:
            message = f"{authorities} holds no certificates ({type(error).__name__}); mend the option ca"
            raise SignalAddressError(message) from None


CREDENTIALS = frozenset({"user", "user_env", "user_file", "password_env", "password_file"})


def parse(text: str) -> Address:
    """Take apart `scheme://[user:password@]host[:port]/path?option=value`.

    Raises:
        SignalAddressError: it is none. The message does not repeat it, for there may be a password in it.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        message = "the signal's address can't be taken apart; write scheme://host:port/path?option=value"
        raise SignalAddressError(message) from None
    if "#" in text or "@" in parts.path or any("@" in name for name in options_of(parts.query)):
        message = (
            "the signal's address holds a '#' or an '@' out of place; write signs in passwords as %23, %40, %2F, %3F"
        )
        raise SignalAddressError(message)
    if not parts.hostname:
        message = f"the signal's address names no host; write {parts.scheme}://HOST"
        raise SignalAddressError(message)
    return Address(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port,
        path=parts.path,
        query=parts.query,
        user=_decoded(parts.username),
        password=_decoded(parts.password),
    )


def options_of(query: str) -> dict[str, str]:
    """What stands behind the `?`, decoded; a plus is a plus.

    Raises:
        SignalAddressError: an option is named twice.
    """
    pairs = [entry.partition("=") for entry in query.split("&") if entry]
    options = {unquote(name): unquote(value) for name, _, value in pairs}
    if len(options) < len(pairs):
        message = "the signal's address names an option twice; leave one out"
        raise SignalAddressError(message)
    return options


def checked_name(name: str, what: str) -> str:
    """The name of a line, or one level of a topic, if every receiver can take it.

    Raises:
        SignalAddressError: it is empty, longer than 100 characters, or holds `+`, `#`, a slash or a control character.
    """
    if (
        not name.strip()
        or len(name) > _LONGEST_NAME
        or name.startswith("$")
        or not name.isprintable()
        or _TOPIC_SIGNS & set(name)
    ):
        message = f"{name!r} can't be {what}; use letters, digits, '-', '_', '.' and spaces, at most {_LONGEST_NAME}"
        raise SignalAddressError(message)
    return name


def _decoded(text: str | None) -> str | None:
    return unquote(text) if text is not None else None


def _one(what: str, *given: str | None) -> str | None:
    known = [value for value in given if value is not None]
    if len(known) > 1:
        message = f"the signal's address gives the {what} twice; leave one out"
        raise SignalAddressError(message)
    return known[0] if known else None


def _from_environment(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        message = f"the environment variable {variable}, which the signal's address names, is not set; set it"
        raise SignalAddressError(message)
    return value


def _from_file(file: Path) -> str:
    try:
        value = file.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        message = f"{file}, which the signal's address names, can't be read ({type(error).__name__}); mend the path"
        raise SignalAddressError(message) from None
    if not value:
        message = f"{file}, which the signal's address names, is empty; write the secret into it"
        raise SignalAddressError(message)
    return value
