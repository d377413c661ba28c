"""Signals by HTTP POST, one request each, with a key by which the receiver knows a repeated one."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import httpx

from pipeline.signals.address import CREDENTIALS, parse_address, secret
from pipeline.signals.sink import Acknowledgement, SignalRefusedError, SinkLostError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.signals.message import Signal, StateReport

OPTIONS: Final = frozenset({"ack", "last", "token_env", "token_file"})
_SECONDS: Final = 2.0
_WAIT_AND_TRY_AGAIN: Final = frozenset({408, 425, 429})


class WebhookSink:
    """Posts `{"kind": "verdict", ...}` and `{"kind": "state", ...}` as JSON to one address.

    Any 2xx answer means delivered. Each signal has the header `Idempotency-Key: LINE/SEQUENCE`. Redirects are not
    followed. With `?last=URL` that address is asked after a start for `{"sequence": n}`, what the receiver has; without
    it the newest signal may be sent twice after a kill, with the same key.

    Args:
        address: `http(s)://[user:password@]host[:port]/path[?token_env=NAME&ack=1&last=URL]`; other options are the
            receiver's and stay in the address.
        line: the line's name.

    Raises:
        SignalAddressError: the address can't be understood.
    """

    def __init__(self, address: str, *, line: str) -> None:
        found = parse_address(address, known=None)
        own = OPTIONS | CREDENTIALS
        theirs = {name: value for name, value in found.options.items() if name not in own}
        self.name = found.name
        self.acknowledges = found.flag("ack")
        self._line = line
        self._url = f"{found.name}?{urlencode(theirs)}" if theirs else found.name
        self._last = found.options.get("last")
        token = secret(found.options, "token")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._auth = (found.user, found.password) if found.user else None
        self._client: httpx.Client | None = None
        self._heard: list[Acknowledgement] = []

    def open(self) -> None:
        """Make ready; whether the receiver is there shows the first report."""
        self.close()
        self._client = httpx.Client(timeout=_SECONDS, headers=self._headers, auth=self._auth, follow_redirects=False)

    def last_sequence(self) -> int | None:
        """What the receiver has, where it can be asked.

        Raises:
            SinkLostError: it does not answer, or says something else.
        """
        if self._last is None:
            return None
        answer = self._request("GET", self._last)
        try:
            found = json.loads(answer.text).get("sequence")
            return None if found is None else int(found)
        except (ValueError, TypeError, AttributeError) as error:
            message = f'{self.name}: the answer of `last` is not {{"sequence": number}}; mend the receiver'
            raise SinkLostError(message) from error

    def send(self, signal: Signal) -> None:
        """Post a verdict.

        Raises:
            SinkLostError: the receiver does not answer, or not now.
            SignalRefusedError: it refuses this signal.
        """
        key = f"{self._line}/{signal.sequence}"
        answer = self._post({"kind": "verdict", **signal.to_dict()}, {"Idempotency-Key": key})
        with suppress(ValueError, AttributeError):
            if self.acknowledges and json.loads(answer.text).get("acknowledged") is True:
                self._heard.append(Acknowledgement(sequence=signal.sequence, at=time.monotonic()))

    def report(self, state: StateReport) -> None:
        """Post the state.

        Raises:
            SinkLostError: the receiver does not answer.
        """
        with suppress(SignalRefusedError):  # a receiver need not want to know
            self._post({"kind": "state", **json.loads(state.to_json())}, {})

    def acknowledgements(self) -> Sequence[Acknowledgement]:
        """The signals that were answered with `{"acknowledged": true}` since the last call."""
        heard, self._heard = self._heard, []
        return heard

    def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _post(self, values: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
        return self._request("POST", self._url, json=values, headers=headers)

    def _request(self, method: str, url: str, **what: Any) -> httpx.Response:
        if self._client is None:
            message = f"{self.name} is not open"
            raise SinkLostError(message)
        try:
            answer = self._client.request(method, url, **what)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            message = f"{self.name} does not answer ({type(error).__name__}); start the receiver, or mend its address"
            raise SinkLostError(message) from error
        if answer.is_success:
            return answer
        if answer.status_code in _WAIT_AND_TRY_AGAIN or answer.is_server_error:
            message = f"{self.name} answers {answer.status_code}; see what ails the receiver"
            raise SinkLostError(message)
        message = f"{self.name} refuses with {answer.status_code}; mend its address or token, or the receiver"
        raise SignalRefusedError(message)
