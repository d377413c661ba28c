"""Signals to a web address: one POST each, with a key by which the receiver knows it again."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import socket
import time
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import httpx

from pipeline.signals.address import Address, SignalAddressError, checked_name, options_of
from pipeline.signals.farewell import farewell
from pipeline.signals.sink import Acknowledgement, SignalRefusedError, SinkLostError
from pipeline.signals.told import is_sequence

if TYPE_CHECKING:
    import ssl

    from pipeline.signals.message import Signal, StateReport

logger = logging.getLogger(__name__)

OPTIONS = frozenset({"last", "token_env", "token_file", "ack", "timeout", "ca"})
_PORTS = {"http": 80, "https": 443}
_TRY_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_LONGEST_REPLY = 65536
_MOST_ACKNOWLEDGEMENTS = 10_000


@dataclass(frozen=True, kw_only=True)
class WebSettings:
    """Where to POST, and where to GET the newest sequence; secrets are in both and in `authorization`."""

    name: str
    url: httpx.URL = field(repr=False)
    last: httpx.URL | None = field(default=None, repr=False)
    authorization: str | None = field(default=None, repr=False)
    trusted: ssl.SSLContext
    timeout: float = 5.0
    acknowledges: bool = False


class WebhookSink:
    """POSTs signals (`"kind": "signal"`) and states (`"kind": "state"`) over one connection that is kept.

    Any 2xx means delivered. Redirects are not followed, and no proxy is used: what is sent goes where it was addressed.
    """

    def __init__(self, settings: WebSettings, *, line: str) -> None:
        self.settings = settings
        self.line = checked_name(line, "the name of a line")
        self._transport: httpx.HTTPTransport | None = None
        self._confirmed: deque[Acknowledgement] = deque(maxlen=_MOST_ACKNOWLEDGEMENTS)
        self._reported: StateReport | None = None
        self._state_refused = False

    @property
    def name(self) -> str:
        """Scheme, host and port; of a path or query, which can be a secret, a mark that tells two of them apart."""
        return self.settings.name

    @property
    def acknowledges(self) -> bool:
        """Whether replies say `{"acknowledged": true}` once the line acted."""
        return self.settings.acknowledges

    def open(self) -> None:
        """See that somebody listens.

        Raises:
            SinkLostError: nobody does.
        """
        self._drop()
        url = self.settings.url
        try:
            with socket.create_connection((url.host, url.port or _PORTS[url.scheme]), timeout=self.settings.timeout):
                pass
        except OSError as error:
            message = f"nobody listens at {self.name} ({type(error).__name__}); start the receiver or mend the address"
            raise SinkLostError(message) from error
        one = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=60)
        self._transport = httpx.HTTPTransport(verify=self.settings.trusted, trust_env=False, limits=one)

    def last_sequence(self) -> int | None:
        """What the address behind `?last=` answers: `{"sequence": n}` or a bare number; None for 204, 404 or nonsense.

        Raises:
            SinkLostError: it does not answer.
        """
        address = self.settings.last
        if address is None:
            return None
        ours = _origin(address) == _origin(self.settings.url)
        status, reply = self._exchange(httpx.Request("GET", address, headers=self._headers(secret=ours)))
        sequence = reply.get("sequence") if isinstance(reply, dict) else reply
        if _delivered(status) and is_sequence(sequence):
            return sequence
        if status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND}:
            logger.warning("%s answers %d and no sequence when asked for the newest", self.name, status)
        return None

    def send(self, signal: Signal) -> None:
        """POST it.

        Raises:
            SinkLostError: no answer in time, or one that says to try again (408, 429, 5xx).
            SignalRefusedError: any other answer but 2xx.
        """
        key = f"{quote(self.line, safe='')}/{signal.sequence}"
        status, reply = self._post({"kind": "signal", **signal.to_dict()}, {"Idempotency-Key": key})
        if not _delivered(status):
            message = f"{self.name} refuses signal {signal.sequence} with {_said(status)}; {_remedy(status)}"
            raise SignalRefusedError(message)
        if isinstance(reply, dict) and reply.get("acknowledged") is True:
            self._confirmed.append(Acknowledgement(sequence=signal.sequence, at=time.monotonic()))

    def report(self, state: StateReport) -> None:
        """POST it; that the receiver wants no states is logged once.

        Raises:
            SinkLostError: as for `send`.
        """
        status, _ = self._post({"kind": "state", **json.loads(state.to_json())}, {})
        refused = not _delivered(status)
        if refused and not self._state_refused:
            logger.warning("%s refuses states with %s; %s", self.name, _said(status), _remedy(status))
        self._state_refused = refused
        self._reported = state

    def acknowledgements(self) -> list[Acknowledgement]:
        """The signals whose replies said so since."""
        return [self._confirmed.popleft() for _ in range(len(self._confirmed))]

    def close(self) -> None:
        """POST that it stopped, and hang up."""
        last = farewell(self._reported)
        if self._transport is not None and last is not None:
            try:
                self.report(last)
            except SinkLostError as error:
                logger.warning("%s", error)
        self._reported = None
        self._drop()

    def _drop(self) -> None:
        if self._transport is not None:
            transport, self._transport = self._transport, None
            transport.close()

    def _post(self, values: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
        headers = {**self._headers(secret=True), "Content-Type": "application/json", **headers}
        request = httpx.Request("POST", self.settings.url, headers=headers, content=json.dumps(values).encode())
        return self._exchange(request)

    def _headers(self, *, secret: bool) -> dict[str, str]:
        given = self.settings.authorization
        return {
            "User-Agent": "goldentwin",
            "Accept": "application/json",
            **({"Authorization": given} if secret and given else {}),
        }

    def _exchange(self, request: httpx.Request) -> tuple[int, Any]:
        """Status and JSON of the answer, None for anything else; an answer to try again later counts as none."""
        if self._transport is None:
            message = f"{self.name} is not open; open it first"
            raise SinkLostError(message)
        request.extensions["timeout"] = httpx.Timeout(self.settings.timeout).as_dict()
        try:
            response = self._transport.handle_request(request)
            try:
                reply = _reply(response, until=time.monotonic() + self.settings.timeout)
            finally:
                response.close()
        except httpx.TransportError as error:
            self._drop()
            message = f"{self.name} does not answer ({type(error).__name__}); see that the receiver runs"
            raise SinkLostError(message) from error
        status = response.status_code
        if status in _TRY_AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            message = f"{self.name} answers {_said(status)}; see its own log"
            raise SinkLostError(message)
        return status, reply


def webhook_sink(address: Address, *, line: str) -> WebhookSink:
    """The sink at `http[s]://[user:password@]host[:port]/path[?option=value]`; options not ours are the receiver's.

    Raises:
        SignalAddressError: an option, name or secret is missing or wrong.
    """
    theirs = "&".join(entry for entry in address.query.split("&") if entry and not options_of(entry).keys() & OPTIONS)
    url = _url(f"{address.place}{address.path or '/'}" + (f"?{theirs}" if theirs else ""))
    last = address.options.get("last")
    settings = WebSettings(
        name=f"{address.place}{_mark(url)}",
        url=url,
        last=None if last is None else _url(last),
        authorization=_authorization(address),
        trusted=address.trusted(),
        timeout=address.seconds(),
        acknowledges=address.switch("ack"),
    )
    return WebhookSink(settings, line=line)


def _url(text: str) -> httpx.URL:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in _PORTS and bool(parts.hostname) and not parts.username
        if usable:
            return httpx.URL(text)
    except (ValueError, httpx.InvalidURL):
        pass
    message = "the web address of the signals, or that behind last=, is none; write http://host:port/path"
    raise SignalAddressError(message)


def _mark(url: httpx.URL) -> str:
    return "" if url.raw_path == b"/" else f"/~{hashlib.sha256(url.raw_path).hexdigest()[:8]}"


def _authorization(address: Address) -> str | None:
    token = address.secret("token")
    if token is not None and address.user is not None:
        message = "the signal's address has both a user and a token; leave one out"
        raise SignalAddressError(message)
    if address.user is not None:
        pair = f"{address.user}:{address.password or ''}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"
    if token is not None and not (token.isascii() and token.isprintable()):
        message = "the token of the signal's address holds other than printable ASCII signs; mend it"
        raise SignalAddressError(message)
    return None if token is None else f"Bearer {token}"


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or _PORTS[url.scheme]


def _reply(response: httpx.Response, *, until: float) -> Any:
    """The JSON of an answer that is neither too long nor too slow; its status counts in any case."""
    body = b""
    for block in response.iter_raw():
        body += block
        if len(body) > _LONGEST_REPLY or time.monotonic() > until:
            return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _delivered(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def _said(status: int) -> str:
    return f"{status} {httpx.codes.get_reason_phrase(status)}".strip()


def _remedy(status: int) -> str:
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return "mend the token or its rights"
    redirect = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
    return "give the address that it redirects to" if redirect else "mend the address or the receiver"
