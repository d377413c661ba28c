"""Signals to a web address: a real server on the loopback that answers what a test tells it to."""

from __future__ import annotations

import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from certificates import self_signed
from signal_samples import LINE, a_signal, a_state

from pipeline.signals import SignalRefusedError, Sink, SinkLostError
from pipeline.signals.address import SignalAddressError
from pipeline.signals.opening import open_sink

TOKEN = "s3cret-token"  # noqa: S105 - no secret


@dataclass(kw_only=True)
class Receiver:
    """A web server; `answers` are given in turn, the last one for ever: status, body, headers, seconds before it."""

    port: int = 0
    answers: list[tuple[int, bytes, dict[str, str], float]] = field(default_factory=lambda: [(204, b"", {}, 0.0)])
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, delay: float = 0.0) -> None:
        """Answer so from now on."""
        self.answers[:] = [(status, body, headers or {}, delay)]

    def address(self, path: str = "/hook", options: str = "") -> str:
        """An address for `--signal`."""
        return f"http://127.0.0.1:{self.port}{path}?timeout=2{options}"

    def sent(self) -> list[dict]:
        """The bodies that were POSTed."""
        return [json.loads(body) for method, _, _, body in self.requests if method == "POST"]


@pytest.fixture
def receiver():
    """A server that takes everything until told otherwise."""
    yield from serving(Receiver())


def serving(receiver: Receiver, *certificate: Path):
    """Serve `receiver` on a free port, encrypted with a certificate."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            receiver.connections.add(self.client_address[1])
            receiver.requests.append((self.command, self.path, dict(self.headers), body))
            status, reply, headers, delay = receiver.answers[0]
            if len(receiver.answers) > 1:
                receiver.answers.pop(0)
            time.sleep(delay)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        do_GET = do_POST  # noqa: N815 - so called

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield receiver
        server.shutdown()
        thread.join()


def opened(address: str, line: str = LINE) -> Sink:
    """A sink at the address, open."""
    sink = open_sink(address, line=line)
    sink.open()
    return sink


def test_signals_and_states_are_posted(receiver):
    """As JSON with their kind, over one connection, each signal with a key of its own."""
    sink = opened(receiver.address(), line="Linie ß")
    sink.send(a_signal(1))
    sink.report(a_state(sequence=1))
    sink.send(a_signal(2))
    sink.close()
    bodies = receiver.sent()
    assert [body.pop("kind") for body in bodies] == ["signal", "state", "signal", "state"]
    assert bodies[0] == a_signal(1).to_dict()
    assert bodies[1] == json.loads(a_state(sequence=1).to_json())
    assert bodies[3]["state"] == "stopped"
    keys = [headers.get("Idempotency-Key") for _, _, headers, _ in receiver.requests]
    assert keys == ["Linie%20%C3%9F/1", None, "Linie%20%C3%9F/2", None]
    assert len(receiver.connections) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_answer_that_says_later_is_lost(receiver, status):
    """The same signal goes out again with the same key."""
    sink = opened(receiver.address())
    receiver.answers.insert(0, (status, b"", {}, 0.0))
    with pytest.raises(SinkLostError, match=str(status)):
        sink.send(a_signal(1))
    sink.open()
    sink.send(a_signal(1))
    assert receiver.requests[0][2]["Idempotency-Key"] == receiver.requests[1][2]["Idempotency-Key"]
    sink.close()


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422])
def test_signal_that_is_refused_holds_up_no_other(receiver, status):
    """A 4xx is an error of its own, and the next signal goes through on the same connection."""
    sink = opened(receiver.address())
    receiver.answers.insert(0, (status, b"no", {}, 0.0))
    with pytest.raises(SignalRefusedError, match=f"refuses signal 1 with {status}"):
        sink.send(a_signal(1))
    sink.send(a_signal(2))
    assert len(receiver.connections) == 1
    sink.close()


def test_states_that_are_refused_are_logged_once(receiver, caplog):
    """A receiver that knows no states gets its signals all the same."""
    receiver.answer(404)
    sink = opened(receiver.address())
    for _ in range(3):
        sink.report(a_state())
    assert caplog.text.count("refuses states with 404") == 1
    sink.close()


def test_redirect_is_not_followed(receiver):
    """Nothing is sent to a place that nobody typed."""
    other = Receiver()
    for _ in serving(other):
        receiver.answer(307, headers={"Location": other.address()})
        sink = opened(receiver.address())
        with pytest.raises(SignalRefusedError, match="redirects"):
            sink.send(a_signal(1))
        sink.close()
    assert other.requests == []


def test_silence_is_lost(receiver):
    """An answer that takes longer than the timeout is none."""
    sink = opened(receiver.address().replace("timeout=2", "timeout=0.2"))
    receiver.answer(204, delay=0.6)
    started = time.monotonic()
    with pytest.raises(SinkLostError, match="does not answer"):
        sink.send(a_signal(1))
    assert time.monotonic() - started < 0.55
    sink.close()


def test_server_stopped_and_started():
    """Nobody there is lost, on open and on send; the first one back takes the signal."""
    first = Receiver()
    for _ in serving(first):
        sink = opened(first.address())
        sink.send(a_signal(1))
    with pytest.raises(SinkLostError):
        sink.open()
    with pytest.raises(SinkLostError, match="not open"):
        sink.send(a_signal(2))
    sink.close()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b'{"sequence": 41}', 41),
        (200, b"41", 41),
        (204, b"", None),
        (404, b"", None),
        (200, b"<html>", None),
        (200, b"true", None),
        (403, b"", None),
    ],
)
def test_newest_sequence_is_asked_for(receiver, status, body, expected):
    """Where `last` names an address; anything but a number counts as none."""
    receiver.answer(status, body)
    sink = opened(receiver.address(options=f"&last=http://127.0.0.1:{receiver.port}/last%3Fline=1"))
    assert sink.last_sequence() == expected
    assert receiver.requests[0][:2] == ("GET", "/last?line=1")
    sink.close()


def test_newest_sequence_that_can_not_be_asked_for(receiver):
    """Without `last` nobody is asked; a server in trouble is lost, for guessing would double or lose signals."""
    sink = opened(receiver.address())
    assert sink.last_sequence() is None
    assert receiver.requests == []
    sink.close()
    receiver.answer(500)
    sink = opened(receiver.address(options=f"&last=http://127.0.0.1:{receiver.port}/last"))
    with pytest.raises(SinkLostError, match="500"):
        sink.last_sequence()
    sink.close()


def test_reply_acknowledges(receiver):
    """`{"acknowledged": true}` confirms that very signal; nothing else does."""
    sink = opened(receiver.address(options="&ack=1"))
    assert sink.acknowledges
    for sequence, reply in enumerate([b'{"acknowledged": true}', b'{"acknowledged": 1}', b"true", b""], start=1):
        receiver.answer(200, reply)
        sink.send(a_signal(sequence))
    assert [acknowledgement.sequence for acknowledgement in sink.acknowledgements()] == [1]
    assert sink.acknowledgements() == []
    sink.close()


def test_token_goes_to_its_own_server_alone(receiver, monkeypatch, caplog):
    """From the environment into a header, to the receiver and not to another server asked for the newest number."""
    monkeypatch.setenv("HOOK_TOKEN", TOKEN)
    caplog.set_level("DEBUG")
    other = Receiver()
    for _ in serving(other):
        options = f"&token_env=HOOK_TOKEN&site=3&key=abc&last=http://127.0.0.1:{other.port}/last"
        sink = opened(receiver.address("/T000/XYZ", options))
        sink.send(a_signal(1))
        sink.last_sequence()
        assert sink.name.startswith(f"http://127.0.0.1:{receiver.port}/~")
        assert "XYZ" not in sink.name
        assert TOKEN not in repr(sink.__dict__)
        assert "abc" not in repr(sink.__dict__)
        receiver.answer(400)
        with pytest.raises(SignalRefusedError) as caught:
            sink.send(a_signal(2))
        sink.close()
    assert receiver.requests[0][1] == "/T000/XYZ?site=3&key=abc"
    assert receiver.requests[0][2]["Authorization"] == f"Bearer {TOKEN}"
    assert "Authorization" not in other.requests[0][2]
    assert not any(secret in str(caught.value) for secret in (TOKEN, "abc", "XYZ"))
    ours = [record.getMessage() for record in caplog.records if record.levelname != "DEBUG"]
    assert not any(TOKEN in said or "abc" in said for said in ours)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the refused server's
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the same, its socket
def test_encrypted_receiver_is_trusted_by_its_authority(tmp_path):
    """`https://` with the plant's own authority; a stranger is told nothing."""
    certificate = self_signed(tmp_path, "receiver")
    receiver = Receiver()
    for _ in serving(receiver, *certificate):
        address = receiver.address().replace("http:", "https:")
        stranger = opened(address)
        with pytest.raises(SinkLostError, match="ConnectError"):
            stranger.send(a_signal(1))
        sink = opened(f"{address}&ca={certificate[0]}")
        sink.send(a_signal(1))
        sink.close()
    assert len(receiver.sent()) == 1


def test_user_and_password_are_sent_as_such(receiver):
    """`http://user:password@` is basic authentication, and is not in the name."""
    sink = opened(receiver.address().replace("//", "//me:p%40ss@"))
    sink.send(a_signal(1))
    assert receiver.requests[0][2]["Authorization"] == "Basic bWU6cEBzcw=="
    assert "me" not in sink.name
    sink.close()


@pytest.mark.parametrize("options", ["?token_env=MISSING", "?last=ftp://x/y", "?ack=yes", "?timeout=-1", "?ca=/none"])
def test_wrong_option_is_named(options):
    """What can't work is found when the address is read."""
    with pytest.raises(SignalAddressError):
        open_sink(f"http://127.0.0.1:1/hook{options}", line=LINE)
