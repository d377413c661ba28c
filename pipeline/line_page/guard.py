"""Who may ask the page: requests are refused before anything is read, and every answer carries its safety headers."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE: Final = "goldentwin_page"
_COOKIE_SECONDS: Final = 365 * 24 * 3600  # a wall screen is not to ask for its token again every morning
_HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_TOKEN_WANTED: Final = b"an access token is needed: open /?token=..., or send the header Authorization: Bearer ...\n"


class Guard:
    """An ASGI application before another one.

    A page on 127.0.0.1 can be asked by any web site that the browser on that machine has open. A site that makes its
    own name point here (DNS rebinding) is known by the name in the Host header, other sites by the Origin header.

    Args:
        inner: what answers where the request is in order.
        names: host names by which the page may be asked; addresses in figures and `localhost` always are, for a site
            that rebinds has a name.
        token: what must be shown once, as `/?token=`, or each time, as `Authorization: Bearer`; None asks for none.
        port: of the page, which tells its cookie from those of other pages on the same machine.
    """

    def __init__(self, inner: Application, *, names: Iterable[str], token: str | None, port: int) -> None:
        self._inner = inner
        self._names = frozenset(name.lower().rstrip(".") for name in names)
        self._token = None if token is None else token.encode()
        self._cookie = f"{COOKIE}_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or hand it on."""
        if scope["type"] != "http":
            return
        await self._answer(scope, receive, _with_headers(send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        hosts, origins = _headers(scope, b"host"), _headers(scope, b"origin")
        if len(hosts) != 1 or not self._known(hosts[0]):
            await _say(send, 400, b"this page is not served under that name\n")
        elif any(urlsplit(origin).netloc.lower() != hosts[0].lower() for origin in origins):
            await _say(send, 403, b"this page answers no other site\n")
        elif self._token is None or self._shown(scope, self._token):
            await self._inner(scope, receive, send)
        elif scope["path"] == "/" and _same(_asked_token(scope), self._token):
            await _redirect(send, f"{self._cookie}={_seal(self._token)}")
        else:
            await _say(send, 401, _TOKEN_WANTED, ((b"www-authenticate", b"Bearer"),))

    def _known(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return name == "localhost" or name in self._names or _is_address(name)

    def _shown(self, scope: Scope, token: bytes) -> bool:
        for header in _headers(scope, b"authorization"):
            kind, _, given = header.partition(" ")
            if kind.lower() == "bearer" and _same(given.strip(), token):
                return True
        return any(
            self._cookie in cookies and _same(cookies[self._cookie].value, _seal(token).encode())
            for cookies in map(_cookies, _headers(scope, b"cookie"))
        )


def own_names(host: str) -> set[str]:
    """The names under which a page bound to `host` is asked for."""
    own = socket.gethostname()
    return {host, own, own.partition(".")[0], f"{own.partition('.')[0]}.local"}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what is bound to `host`."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _headers(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _cookies(header: str) -> SimpleCookie:
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(header)
    except CookieError:
        cookies.clear()
    return cookies


def _asked_token(scope: Scope) -> str:
    asked = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=20) if scope["query_string"] else {}
    return str(asked.get("token", [""])[0])


def _same(given: str, wanted: bytes) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted)


def _seal(token: bytes) -> str:
    """What the cookie holds: it opens the page, also after a restart, and does not give the token away."""
    return hmac.new(token, b"goldentwin page", hashlib.sha256).hexdigest()


async def _redirect(send: Send, cookie: str) -> None:
    """To the page without the token in its address."""
    kept = f"{cookie}; Path=/; HttpOnly; SameSite=Strict; Max-Age={_COOKIE_SECONDS}".encode()
    await _say(send, 303, b"", ((b"location", b"/"), (b"set-cookie", kept)))


async def _say(send: Send, status: int, said: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    plain = ((b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(said)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": [*plain, *headers]})
    await send({"type": "http.response.body", "body": said})


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = list(message.get("headers", ()))
            if not any(name == b"cache-control" for name, _ in kept):
                kept.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*kept, *_HEADERS]}
        await send(message)

    return sending
